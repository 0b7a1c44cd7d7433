//! Stages of the engine on made-up data, for the benchmarks alone.

use super::coreset;
use super::embedding::PatchEmbeddings;
use super::error::EngineError;
use super::feature_extractor::FeatureExtractor;
use super::nearest::NearestRows;
use crate::domain::{CoresetMethod, Layer, ResizedImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, TchError, Tensor};

/// Values that features are made of. Features of networks have many values, and vary in few directions.
const HIDDEN: i64 = 24;

fn uniform(rng: &mut ChaCha8Rng, size: &[i64]) -> Result<Tensor, TchError> {
    let values: Vec<f32> = (0..size.iter().product()).map(|_| rng.random::<f32>() - 0.5).collect();
    Tensor::f_from_slice(&values)?.f_view(size)
}

/// `[count, channels]` non-negative values as behind a ReLU: what `mix` `[HIDDEN, channels]` makes of a few hidden ones, and some noise.
fn features(rng: &mut ChaCha8Rng, count: i64, mix: &Tensor) -> Result<Tensor, TchError> {
    let noise = uniform(rng, &[count, mix.size2()?.1])?.f_mul_scalar(0.1)?;
    uniform(rng, &[count, HIDDEN])?.f_matmul(mix)?.f_add(&noise)?.f_relu()
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
    rows: Tensor,
    bank: NearestRows,
    stride: i64,
}

impl NearestStage {
    /// Maps of these channels at strides 8, 16 and 32 for a square image of `side` pixels, against `rows` bank rows.
    ///
    /// # Errors
    /// What libtorch says, for want of memory.
    pub fn new(channels: [i64; 3], side: i64, stride: i64, rows: i64) -> Result<Self, TchError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mix = uniform(&mut rng, &[HIDDEN, channels.iter().sum()])?;
        let rows = features(&mut rng, rows, &mix)?;
        let (mut maps, mut first) = (Vec::new(), 0);
        for (channels, scale) in channels.into_iter().zip([8, 16, 32]) {
            let places = side / scale;
            // Channels innermost, as the backbone gives them.
            let map = features(&mut rng, places * places, &mix.f_narrow(1, first, channels)?)?;
            maps.push(map.f_view([1, places, places, channels])?.f_permute([0, 3, 1, 2])?);
            first += channels;
        }
        Ok(Self { maps, bank: NearestRows::new(rows.shallow_clone())?, rows, stride })
    }

    /// Does it once, with neighbourhood 3.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self) -> Result<usize, TchError> {
        Ok(self.bank.of_maps(&self.maps, self.stride, 3)?.0.numel())
    }

    /// The share of all rows that is measured in full for a patch; the others are ruled out before.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn share_measured(&self) -> Result<f64, TchError> {
        let patches = self.run()? as f64;
        let measured = self.bank.measured(&self.maps, self.stride, 3)?.unwrap_or_default();
        Ok(measured as f64 / (patches * self.rows.size2()?.0 as f64))
    }

    /// The same by libtorch's product of all patches with all rows.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run_dense(&self) -> Result<usize, TchError> {
        let patches = PatchEmbeddings::join(&self.maps, self.stride, 3)?.rows;
        let half_norms = self.rows.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?.f_mul_scalar(-0.5)?;
        Ok(half_norms.f_addmm(&patches, &self.rows.f_tr()?)?.f_max_dim(1, false)?.0.numel())
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
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mix = uniform(&mut rng, &[HIDDEN, dim])?;
        Ok(Self { rows: features(&mut rng, count, &mix)?, keep })
    }

    /// Does it once.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn run(&self, method: CoresetMethod) -> Result<usize, TchError> {
        Ok(coreset::select(method, &self.rows, self.keep, 0, &mut |_, _| {})?.rows.numel())
    }
}
