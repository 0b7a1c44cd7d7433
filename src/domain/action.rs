//! The command that acts on a defect: what it is about, and how it ended.

use std::path::PathBuf;

/// The defect that an action is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Defect {
    /// The inspection.
    pub inspection_id: i64,
    /// The image, bytes as they arrived.
    pub image: PathBuf,
    /// `None` when the score was not a number.
    pub image_score: Option<f64>,
    /// Image threshold.
    pub image_tau: Option<f64>,
    /// Pixel threshold.
    pub pixel_tau: Option<f64>,
    /// Pixels in the mask.
    pub mask_pixels: i64,
    /// Connected regions of the mask.
    pub mask_regions: i64,
    /// The mask, if written.
    pub mask: Option<PathBuf>,
    /// The overlay, if written.
    pub overlay: Option<PathBuf>,
    /// The version of the bank that decided the image.
    pub bank_version: i64,
    /// Text as in the database.
    pub decided_at: String,
}

/// How an action ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActionEnd {
    /// Why the action failed; `None` when it succeeded.
    pub failure: Option<String>,
    /// Its exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The end of its stderr.
    pub stderr: String,
}
