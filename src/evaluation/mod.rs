//! Measures of how well scores tell good from bad: pure functions on scores and maps.

mod metrics;

pub use metrics::{Truth, aupro, auroc, pixel_auroc, rejected};
