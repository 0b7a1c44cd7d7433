//! Measures of how well scores tell good from bad: pure functions on scores and maps.

mod metrics;

pub use metrics::{MaskOverlap, Truth, aupro, auroc, pixel_auroc, recall_at, rejected};
