//! One image against its bank.

use super::embedding::box_mean;
use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use super::memory_bank::{BankRows, MemoryBank};
use crate::domain::{AnomalyScores, DistanceGrid, ResizedImage, ScoreMethod};
use tch::{Kind, TchError, Tensor};

/// The scores of `image` `[H, W, 3]` against its bank, as the bank says: with `score: guide` the distance of every patch to its nearest
/// bank row, smoothed, and the largest of them; with `score: levels` the map and the score of [`crate::patchcore::ScoreStatistics`].
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

/// `[height * width]` distances as a grid, averaged over `smoothing`×`smoothing` patches where that is not 0.
pub(super) fn distance_grid(distances: &Tensor, height: i64, width: i64, smoothing: u32) -> Result<DistanceGrid, TchError> {
    let mut grid = distances.f_view([1, 1, height, width])?;
    if smoothing > 1 {
        grid = box_mean(&grid, i64::from(smoothing))?;
    }
    let values = Vec::<f32>::try_from(grid.f_flatten(0, -1)?.f_to_kind(Kind::Float)?)?;
    Ok(DistanceGrid { width: width as u32, height: height as u32, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_averages_what_is_there() {
        let distances = Tensor::f_from_slice(&[0.0_f32, 3.0, 6.0, 9.0, 12.0, 15.0]).unwrap();
        let plain = distance_grid(&distances, 2, 3, 0).unwrap();
        assert_eq!((plain.width, plain.height, plain.values[4]), (3, 2, 12.0));
        assert_eq!(distance_grid(&distances, 2, 3, 1).unwrap(), plain);
        assert_eq!(distance_grid(&distances, 2, 3, 3).unwrap().values, [6.0, 7.5, 9.0, 6.0, 7.5, 9.0]);
    }
}
