//! One image against its bank.

use super::distance_grid::distance_grid;
use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use super::memory_bank::{BankRows, MemoryBank};
use crate::domain::{AnomalyScores, ResizedImage, ScoreMethod};

/// The scores of `image` `[H, W, 3]` against its bank, as the bank says: with `score: guide` the distance of every patch to its nearest
/// bank row, smoothed, and the largest of them; with `score: levels` the joint map and the score of several readings.
///
/// The image must have been resized as the bank's `shorter` says. Another thread count moves distances by float32 rounding only.
///
/// # Errors
/// [`EngineError::BankMismatch`] when the bank belongs to another network, else what the network or libtorch refuses.
pub fn score(extractor: &FeatureExtractor, bank: &MemoryBank, image: &ResizedImage) -> Result<AnomalyScores, EngineError> {
    bank.check_extractor(extractor)?;
    let config = bank.config();
    let maps = extractor.features(image, &config.layers)?;
    let stride = i64::from(config.stride);
    match bank.content() {
        BankRows::Levels(levels) => levels.score(&maps, stride).doing("comparing patches with the bank"),
        BankRows::Single(rows) => {
            let (distances, height, width) =
                rows.of_maps(&maps, stride, i64::from(config.neighbourhood)).doing("comparing patches with the bank")?;
            let grid = distance_grid(&distances, height, width, config.smoothing).doing("smoothing the distances")?;
            Ok(AnomalyScores { image: grid.peak(), method: ScoreMethod::Guide, grid })
        }
    }
}
