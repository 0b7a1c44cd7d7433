//! Principal axes: patch embeddings of hundreds or thousands of values become patches of at most 128.
//!
//! The axes are those of the largest variance among the patches of the OK images. Nothing is whitened: distances keep their meaning, and
//! what is left out is mostly noise that all patches have.

use crate::patchcore::embedding::{PatchEmbeddings, averaged};
use crate::patchcore::principal_axes::principal_axes;
use tch::{Device, TchError, Tensor};

/// The most values of a patch.
const MOST: i64 = 128;
/// Rounds of the search for them.
const ROUNDS: usize = 6;

/// The axes and where the middle of all patches lies on them.
pub(super) struct PrincipalAxes {
    /// `[D, K]`, orthonormal columns, the largest variance first.
    axes: Tensor,
    /// `[K]`: the mean patch on the axes.
    middle: Tensor,
}

impl PrincipalAxes {
    /// Finds the axes of patches `[S, D]` float32.
    pub fn of(sample: &Tensor, seed: u64) -> Result<Self, TchError> {
        let (axes, mean) = principal_axes(sample, MOST, ROUNDS, seed)?;
        let middle = mean.f_matmul(&axes)?.f_view([-1])?;
        Ok(Self { axes, middle })
    }

    /// What [`PrincipalAxes::rows`] gave.
    pub fn from_rows(rows: &Tensor) -> Result<Self, TchError> {
        let (count, _) = rows.size2()?;
        Ok(Self { axes: rows.f_narrow(0, 0, count - 1)?, middle: rows.f_select(0, count - 1)? })
    }

    /// `[D + 1, K]`: the axes, then the middle.
    pub fn rows(&self) -> Result<Tensor, TchError> {
        Tensor::f_cat(&[self.axes.shallow_clone(), self.middle.f_unsqueeze(0)?], 0)
    }

    /// The same on another device.
    pub fn to_device(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self { axes: self.axes.f_to_device(device)?, middle: self.middle.f_to_device(device)? })
    }

    /// What [`PatchEmbeddings::join`] gives for `maps`, less the mean patch, on the axes: rows of K values.
    ///
    /// Averaging and resizing are linear, so the axes are applied to each map as it is, before it grows.
    pub fn project(&self, maps: &[Tensor], stride: i64, neighbourhood: i64) -> Result<PatchEmbeddings, TchError> {
        let Some(base) = maps.first() else { return Err(TchError::Shape("no feature map to join".to_owned())) };
        let (_, _, base_height, base_width) = base.size4()?;
        let mut sum: Option<Tensor> = None;
        let mut first_channel = 0;
        for map in averaged(maps, neighbourhood)? {
            let (_, channels, height, width) = map.size4()?;
            let axes = self.axes.f_narrow(0, first_channel, channels)?;
            first_channel += channels;
            let at_base = (height, width) == (base_height, base_width);
            let strided = |map: &Tensor| map.f_slice(2, 0, None, stride)?.f_slice(3, 0, None, stride);
            let map = if at_base { strided(&map)? } else { map };
            // Channels last, as the network leaves them.
            let mut projected = map.f_permute([0, 2, 3, 1])?.f_matmul(&axes)?.f_permute([0, 3, 1, 2])?;
            if !at_base {
                projected = strided(&projected.f_upsample_bilinear2d([base_height, base_width], false, None, None)?)?;
            }
            sum = Some(match sum {
                Some(sum) => sum.f_add(&projected)?,
                None => projected,
            });
        }
        let Some(sum) = sum else { return Err(TchError::Shape("no feature map to join".to_owned())) };
        let (_, values, height, width) = sum.size4()?;
        let rows = sum.f_permute([0, 2, 3, 1])?.f_reshape([height * width, values])?.f_sub(&self.middle)?;
        Ok(PatchEmbeddings { rows, height, width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use tch::Kind;

    fn random(size: &[i64], seed: u64) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..size.iter().product()).map(|_| rng.random::<f32>() - 0.3).collect();
        Tensor::f_from_slice(&values).unwrap().f_view(size).unwrap()
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.f_abs().unwrap().f_max().unwrap().f_double_value(&[]).unwrap()
    }

    #[test]
    fn projecting_maps_is_projecting_joined_patches() {
        let maps = [random(&[1, 20, 9, 12], 1), random(&[1, 30, 5, 6], 2), random(&[1, 10, 2, 3], 3)];
        let sample = PatchEmbeddings::join(&maps, 1, 1).unwrap().rows;
        let axes = PrincipalAxes::of(&sample, 0).unwrap();
        for (stride, neighbourhood) in [(1, 1), (2, 1), (2, 3), (3, 3)] {
            let joined = PatchEmbeddings::join(&maps, stride, neighbourhood).unwrap();
            let wanted = joined.rows.f_matmul(&axes.axes).unwrap().f_sub(&axes.middle).unwrap();
            let got = axes.project(&maps, stride, neighbourhood).unwrap();
            assert_eq!((got.height, got.width), (joined.height, joined.width));
            assert!(largest(&got.rows.f_sub(&wanted).unwrap()) < 1e-5, "{stride} {neighbourhood}");
        }
    }

    #[test]
    fn with_few_values_distances_stay_as_they_are() {
        let sample = random(&[300, 24], 4);
        let axes = PrincipalAxes::of(&sample, 0).unwrap();
        let moved = sample.f_matmul(&axes.axes).unwrap().f_sub(&axes.middle).unwrap();
        assert!(largest(&moved.f_mean_dim([0].as_slice(), false, Kind::Float).unwrap()) < 1e-5);
        let distance = |rows: &Tensor| rows.f_get(7).unwrap().f_sub(&rows.f_get(200).unwrap()).unwrap().f_norm().unwrap();
        let difference = distance(&moved).f_sub(&distance(&sample)).unwrap();
        assert!(largest(&difference) < 1e-5);
    }

    #[test]
    fn the_axes_are_those_of_the_largest_variance() {
        // 400 values, of which two hidden ones make nearly all the variance.
        let hidden = random(&[500, 2], 5).f_matmul(&random(&[2, 400], 6)).unwrap();
        let sample = hidden.f_add(&random(&[500, 400], 7).f_mul_scalar(1e-3).unwrap()).unwrap();
        let axes = PrincipalAxes::of(&sample, 0).unwrap();
        let moved = sample.f_matmul(&axes.axes).unwrap().f_sub(&axes.middle).unwrap();
        assert_eq!(moved.size(), [500, MOST]);
        let variance = Vec::<f32>::try_from(moved.f_var_dim([0].as_slice(), true, false).unwrap()).unwrap();
        assert!(variance[1] > 1000.0 * variance[2] && variance[0] >= variance[1], "{variance:?}");
        let back = PrincipalAxes::from_rows(&axes.rows().unwrap()).unwrap();
        assert_eq!((back.axes, back.middle), (axes.axes, axes.middle));
    }
}
