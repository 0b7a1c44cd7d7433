//! Stages of the engine on made-up data, for the benchmarks alone.

use super::coreset;
use super::error::EngineError;
use super::feature_extractor::FeatureExtractor;
use super::nearest::NearestRows;
use crate::domain::{CoresetMethod, Layer, ResizedImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{TchError, Tensor};

/// Non-negative values as behind a ReLU, half of them 0.
fn features(rng: &mut ChaCha8Rng, size: &[i64]) -> Result<Tensor, TchError> {
    let values: Vec<f32> = (0..size.iter().product()).map(|_| (rng.random::<f32>() - 0.5).max(0.0)).collect();
    Tensor::f_from_slice(&values)?.f_view(size)
}

/// Runs the network alone and drops its maps.
///
/// # Errors
/// As when an image is scored.
pub fn run_backbone(extractor: &FeatureExtractor, image: &ResizedImage, layers: &[Layer]) -> Result<(), EngineError> {
    extractor.features(image, layers).map(drop)
}

/// Comparing one image with a bank.
pub struct NearestStage {
    maps: Vec<Tensor>,
    bank: NearestRows,
    stride: i64,
}

impl NearestStage {
    /// Maps of ResNet50's layers 2-4 for a square image of `side` pixels, against `rows` bank rows.
    ///
    /// # Errors
    /// What libtorch says, for want of memory.
    pub fn new(side: i64, stride: i64, rows: i64) -> Result<Self, TchError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut map = |channels: i64, scale: i64| {
            // Channels innermost, as the backbone gives them.
            features(&mut rng, &[1, side / scale, side / scale, channels])?.f_permute([0, 3, 1, 2])
        };
        let maps = vec![map(512, 8)?, map(1024, 16)?, map(2048, 32)?];
        Ok(Self { maps, bank: NearestRows::new(features(&mut rng, &[rows, 3584])?)?, stride })
    }

    /// Does it once, with neighbourhood 3.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self) -> Result<usize, TchError> {
        Ok(self.bank.of_maps(&self.maps, self.stride, 3)?.0.numel())
    }
}

/// Choosing a coreset.
pub struct CoresetStage {
    rows: Tensor,
    keep: usize,
}

impl CoresetStage {
    /// `keep` of `count` patches of `dim` values.
    ///
    /// # Errors
    /// What libtorch says, for want of memory.
    pub fn new(count: i64, dim: i64, keep: usize) -> Result<Self, TchError> {
        Ok(Self { rows: features(&mut ChaCha8Rng::seed_from_u64(0), &[count, dim])?, keep })
    }

    /// Does it once.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self, method: CoresetMethod) -> Result<usize, TchError> {
        Ok(coreset::select(method, &self.rows, self.keep, 0, &mut |_, _| {})?.rows.numel())
    }
}
