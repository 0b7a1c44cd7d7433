//! Measures of how well scores tell good from bad: pure functions on scores and maps.

mod metrics;

pub use metrics::{Truth, aupro, auroc, mask_iou, pixel_auroc, recall_at, rejected};
