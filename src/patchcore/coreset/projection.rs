//! A seeded Gaussian Johnson-Lindenstrauss projection.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{TchError, Tensor};

/// Dimensions projected to, as in the authors' implementation of PatchCore. A squared distance then keeps its value within a
/// standard deviation of √(2/128) = 12.5 %, enough to tell far from near, at 1/28 of the work for ResNet50's 3584 dimensions.
pub(super) const TARGET_DIM: usize = 128;

/// Projects rows `[N, D]` to `[N, TARGET_DIM]` float32, squared distances kept in expectation; rows of no more dimensions are
/// returned as they are.
pub(super) fn project(rows: &Tensor, seed: u64) -> Result<Tensor, TchError> {
    let (_, dim) = rows.size2()?;
    if dim as usize <= TARGET_DIM {
        return rows.f_contiguous();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scale = 1.0 / (TARGET_DIM as f64).sqrt();
    let mut matrix = Vec::with_capacity(dim as usize * TARGET_DIM);
    // Box-Muller: two uniform numbers give two normal ones.
    for _ in 0..dim as usize * TARGET_DIM / 2 {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * scale;
        let (sine, cosine) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        matrix.extend([(radius * cosine) as f32, (radius * sine) as f32]);
    }
    rows.f_matmul(&Tensor::f_from_slice(&matrix)?.f_view([dim, TARGET_DIM as i64])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squared_distances_are_kept_in_the_mean() {
        let dim = 700;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f32> = (0..100 * dim).map(|_| rng.random::<f32>()).collect();
        let rows = Tensor::f_from_slice(&values).unwrap().f_view([100, dim as i64]).unwrap();
        let projected: Vec<f32> = Vec::try_from(project(&rows, 0).unwrap().f_flatten(0, -1).unwrap()).unwrap();
        let squared = |v: &[f32], width: usize, i: usize, j: usize| -> f64 {
            (0..width).map(|c| f64::from(v[i * width + c] - v[j * width + c]).powi(2)).sum()
        };
        let ratios: Vec<f64> = (0..50).map(|i| squared(&projected, TARGET_DIM, i, 99 - i) / squared(&values, dim, i, 99 - i)).collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
        assert!(ratios.iter().all(|r| (r - 1.0).abs() < 0.7), "{ratios:?}");
    }

    #[test]
    fn few_dimensions_are_left_alone() {
        let rows = Tensor::f_from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).unwrap().f_view([2, 2]).unwrap();
        assert_eq!(project(&rows, 0).unwrap(), rows);
    }
}
