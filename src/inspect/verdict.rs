//! From the scores of the engine to mask and decision.

use crate::config::MaskConfig;
use crate::domain::{AnomalyMap, AnomalyScores, DecideBy, DecidedBy, Decision, Picture, ScoreMethod, Tau};
use crate::imaging::heat::anomaly_map;
use crate::imaging::mask::{Mask, MaskCleanup, MaskThresholds, mask};
use serde::{Deserialize, Serialize};

/// With `score: levels` the pixels of a region of the mask are above its peak raised to this power; 1 is an ordinary good patch. Of the powers
/// from 0.3 to 0.8 it gave the best overlap with the drawn defects where that of no set got worse.
const PEAK_POWER: f64 = 0.6;

/// A region of the mask holds a pixel above `pixel_tau`. In an image that is rejected by its score, there is something to show: with
/// `score: levels` a pixel above `pixel_tau` raised to this power is enough there. Good images get no mask by it.
const REJECTED_POWER: f64 = 0.85;

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
    /// How the score was made.
    pub method: ScoreMethod,
    /// Where it is unusual, at the size of the image.
    pub map: AnomalyMap,
    /// The regions that hold a pixel above `pixel_tau`, or a little less in an image that its score rejects, cleaned up.
    pub mask: Mask,
    /// The decision.
    pub decision: Decision,
    /// What decided.
    pub decided_by: DecidedBy,
}

/// Judges one image.
pub(super) fn judge(scores: &AnomalyScores, picture: &Picture, bank: Tau, rules: &VerdictRules) -> Verdict {
    let VerdictRules { mask: cleanup, decide_by, sensitivity } = rules;
    let tau = bank.at(*sensitivity);
    let image_score = scores.image;
    let map = anomaly_map(&scores.grid, picture.width, picture.height);
    let cleanup = MaskCleanup { open: cleanup.open, close: cleanup.close, min_area: cleanup.min_area };
    let thresholds = match scores.method {
        ScoreMethod::Guide => MaskThresholds { above: tau.pixel, power: None },
        ScoreMethod::Levels => {
            let rejected = *decide_by != DecideBy::Mask && decide_by.decide(f64::from(image_score), tau.image, 0).0 == Decision::Ng;
            let above = if rejected { tau.pixel.powf(REJECTED_POWER).min(tau.pixel) } else { tau.pixel };
            MaskThresholds { above, power: Some(PEAK_POWER) }
        }
    };
    let mask = mask(&map, thresholds, cleanup);
    let (decision, decided_by) = decide_by.decide(f64::from(image_score), tau.image, mask.area);
    Verdict { image_score, tau, sensitivity: *sensitivity, method: scores.method, map, mask, decision, decided_by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DistanceGrid, Samples};

    const TAU: Tau = Tau { pixel: 1.6, image: 2.0 };

    /// Pixels of the mask of an image whose largest distance is between `pixel_tau` to the power and `pixel_tau`.
    fn marked(image: f32, method: ScoreMethod, decide_by: DecideBy) -> (u64, Decision) {
        let mut values = vec![1.0; 64];
        values[27] = 1.55;
        let scores = AnomalyScores { image, method, grid: DistanceGrid { width: 8, height: 8, values } };
        let picture = Picture { width: 8, height: 8, channels: 1, bit_depth: 8, samples: Samples::U8(vec![0; 64]) };
        let verdict = judge(&scores, &picture, TAU, &VerdictRules { decide_by, ..VerdictRules::default() });
        (verdict.mask.area, verdict.decision)
    }

    #[test]
    fn what_a_rejected_image_shows_may_be_a_little_below_pixel_tau() {
        use DecideBy::{Either, Image, Mask};
        use ScoreMethod::{Guide, Levels};
        assert!(TAU.pixel.powf(REJECTED_POWER) < 1.55);
        for decide_by in [Image, Either] {
            let (area, decision) = marked(2.1, Levels, decide_by);
            assert!(area > 0 && decision == Decision::Ng, "{decide_by:?}");
            assert_eq!(marked(1.9, Levels, decide_by), (0, Decision::Ok), "a good image has no mask");
        }
        assert_eq!(marked(2.1, Levels, Mask), (0, Decision::Ok), "where the mask decides, pixel_tau is the limit");
        assert_eq!(marked(2.1, Guide, Image), (0, Decision::Ng), "as the Python scripts");
        assert!(marked(f32::NAN, Levels, Image).0 > 0, "what is no number is rejected");
    }
}
