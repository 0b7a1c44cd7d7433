//! From patch distances to mask and decision.

use crate::config::MaskConfig;
use crate::domain::{AnomalyMap, DecideBy, Decision, DistanceGrid, Picture, Tau};
use crate::imaging::heat::anomaly_map;
use crate::imaging::mask::{Mask, MaskCleanup, mask};

/// The verdict on one image, from the engine's distances.
#[derive(Debug)]
pub struct Verdict {
    /// Largest patch distance; NaN when any distance is.
    pub image_score: f32,
    /// The thresholds of the bank.
    pub tau: Tau,
    /// Distances at the size of the image.
    pub map: AnomalyMap,
    /// The pixels above `pixel_tau`, cleaned up.
    pub mask: Mask,
    /// The decision.
    pub decision: Decision,
}

/// Judges one image.
pub(super) fn judge(grid: &DistanceGrid, picture: &Picture, tau: Tau, cleanup: &MaskConfig, decide_by: DecideBy) -> Verdict {
    let image_score = grid.image_score();
    let map = anomaly_map(grid, picture.width, picture.height);
    let cleanup = MaskCleanup { open: cleanup.open, close: cleanup.close, min_area: cleanup.min_area };
    let mask = mask(&map, tau.pixel, cleanup);
    let decision = decide_by.decide(f64::from(image_score), tau.image, mask.area);
    Verdict { image_score, tau, map, mask, decision }
}
