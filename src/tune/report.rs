//! What the comparison found.

use crate::domain::FalseAlarms;
use serde::Serialize;

/// The smallest sizes that a bank finds, pixels of the original image; `None` when it finds none of those tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct FoundSizes {
    /// The contrast of these defects, percent of the grey range.
    pub contrast: f64,
    /// Length of a scratch.
    pub scratch: Option<u32>,
    /// Diameter of a spot.
    pub spot: Option<u32>,
}

/// What was measured with one bank.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Planted defects that were found.
    pub found: u32,
    /// Defects planted; 0 for settings that take longer than the budget or reject every held-out image.
    pub planted: u32,
    /// The found ones of each place. Every place has as many defects.
    #[serde(skip)]
    pub found_at: Vec<u32>,
    /// The smallest sizes that are found.
    pub smallest: FoundSizes,
    /// Held-out OK images that were decided `ng`.
    pub false_alarms: u32,
    /// Held-out OK images.
    pub held_out: u32,
    /// What the bank promises; `None` when its thresholds are from the images that are in it.
    pub promise: Option<FalseAlarms>,
    /// The share of good parts that `image_pct` asks to pass.
    pub image_pct: f64,
    /// Median time for one held-out image: reading, network, distances and decision, milliseconds.
    pub ms_per_image: f64,
    /// Time of the build, seconds.
    pub build_s: f64,
}

/// One of the compared settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TunedCandidate {
    /// What differs from the settings in use, in the names of the keys.
    pub settings: String,
    /// The section `build:` of the configuration.
    pub yaml: String,
    /// The time per image is within the budget.
    pub within_budget: bool,
    /// The false alarms are not clearly more than promised.
    pub as_promised: bool,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
}

/// Settings that were not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotTried {
    /// What differs from the settings in use.
    pub settings: String,
    /// Why not.
    pub reason: String,
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TuneReport {
    /// The product.
    pub product: String,
    /// Images of each bank.
    pub bank_images: usize,
    /// The most time that an image may take, milliseconds; `None` = any.
    pub budget_ms: Option<f64>,
    /// The settings in use, and then those they were compared with.
    pub candidates: Vec<TunedCandidate>,
    /// Those for which there was no time or no weights, and those that failed.
    pub not_tried: Vec<NotTried>,
    /// Images that cannot be used, each with the reason.
    pub unusable: Vec<String>,
    /// The number of the recommended candidate; 0 = keep the settings in use.
    pub recommended: usize,
    /// One sentence on what is gained, or why to keep the settings in use.
    pub advice: String,
}
