//! From the scores of the engine to mask and decision.

use crate::config::MaskConfig;
use crate::domain::{AnomalyMap, AnomalyScores, DecideBy, Decision, Picture, ScoreMethod, Tau};
use crate::imaging::heat::anomaly_map;
use crate::imaging::mask::{Mask, MaskCleanup, MaskThresholds, mask};
use serde::{Deserialize, Serialize};

/// With `score: levels` the pixels of a region of the mask are above its peak raised to this power; 1 is an ordinary good patch. Of the powers
/// from 0.3 to 0.8 it gave the best overlap with the drawn defects where that of no set got worse.
const PEAK_POWER: f64 = 0.6;

/// How a product judges its images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerdictRules {
    /// How the mask is cleaned up.
    pub mask: MaskConfig,
    /// What makes an image `ng`.
    pub decide_by: DecideBy,
    /// The thresholds of the bank are divided by this.
    pub sensitivity: f64,
}

impl Default for VerdictRules {
    /// By the score alone, with the thresholds as the build measured them.
    fn default() -> Self {
        Self { mask: MaskConfig::default(), decide_by: DecideBy::Image, sensitivity: 1.0 }
    }
}

/// The verdict on one image.
#[derive(Debug)]
pub struct Verdict {
    /// What is compared with `image_tau`; NaN when any distance is.
    pub image_score: f32,
    /// The thresholds that the image was compared with.
    pub tau: Tau,
    /// The thresholds of the bank were divided by this.
    pub sensitivity: f64,
    /// Where it is unusual, at the size of the image.
    pub map: AnomalyMap,
    /// The regions that hold a pixel above `pixel_tau`, cleaned up.
    pub mask: Mask,
    /// The decision.
    pub decision: Decision,
}

/// Judges one image.
pub(super) fn judge(scores: &AnomalyScores, picture: &Picture, bank: Tau, rules: &VerdictRules) -> Verdict {
    let VerdictRules { mask: cleanup, decide_by, sensitivity } = rules;
    let tau = bank.at(*sensitivity);
    let image_score = scores.image;
    let map = anomaly_map(&scores.grid, picture.width, picture.height);
    let cleanup = MaskCleanup { open: cleanup.open, close: cleanup.close, min_area: cleanup.min_area };
    let power = match scores.method {
        ScoreMethod::Levels => Some(PEAK_POWER),
        ScoreMethod::Guide => None,
    };
    let mask = mask(&map, MaskThresholds { above: tau.pixel, power }, cleanup);
    let decision = decide_by.decide(f64::from(image_score), tau.image, mask.area);
    Verdict { image_score, tau, sensitivity: *sensitivity, map, mask, decision }
}
