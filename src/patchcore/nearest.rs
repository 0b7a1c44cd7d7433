//! Exact Euclidean distance of patches to their nearest bank row.
//!
//! `argmin |q − b|²` is `argmax q·b − |b|²/2`, a matrix product. It runs over blocks, so that the N×M matrix never exists. The
//! product cancels badly for near rows, so the winner's distance is computed anew from the difference: it is exact to
//! float32 rounding for the row that was picked, and 0 for a duplicate. Where two rows are nearly the same distance away the
//! product may pick the wrong one; the squared distance is then too large by at most about 1e-6·(|q|² + |b|²).

use tch::{Device, Kind, TchError, Tensor};

/// Patches compared at a time.
const QUERY_BLOCK: i64 = 1024;
/// Bank rows compared at a time; with [`QUERY_BLOCK`] the product takes 16 MiB.
const BANK_BLOCK: i64 = 4096;

/// Rows to be nearest to.
pub(super) struct NearestRows {
    /// `[M, D]` float32, contiguous.
    rows: Tensor,
    /// `[M]`: half the squared norm of every row; infinite for a row that does not count.
    half_norms: Tensor,
}

/// The answer for N patches.
pub(super) struct Nearest {
    /// `[N]` float32: Euclidean distances.
    pub distances: Tensor,
    /// `[N]` int64: the row that is so near.
    pub rows: Tensor,
}

impl NearestRows {
    /// Takes rows `[M, D]` float32, M ≥ 1.
    pub fn new(rows: Tensor) -> Result<Self, TchError> {
        let rows = rows.f_contiguous()?;
        let (count, _) = rows.size2()?;
        let mut parts = Vec::new();
        for start in (0..count).step_by(BANK_BLOCK as usize) {
            let block = rows.f_narrow(0, start, BANK_BLOCK.min(count - start))?;
            parts.push(block.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?.f_mul_scalar(0.5)?);
        }
        let half_norms = Tensor::f_cat(&parts, 0)?;
        Ok(Self { rows, half_norms })
    }

    /// `[M, D]` float32.
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// False when a value of any row is infinite or NaN, or so large that distances would be.
    pub fn is_finite(&self) -> Result<bool, TchError> {
        Ok(self.half_norms.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
    }

    /// The same rows on another device.
    pub fn to_device(&self, device: Device) -> Result<Self, TchError> {
        Ok(Self { rows: self.rows.f_to_device(device)?, half_norms: self.half_norms.f_to_device(device)? })
    }

    /// The same rows without those marked true in `excluded` `[M]` bool; at least one must be left.
    pub fn without(&self, excluded: &Tensor) -> Result<Self, TchError> {
        let excluded = excluded.f_to_device(self.half_norms.device())?;
        Ok(Self { rows: self.rows.shallow_clone(), half_norms: self.half_norms.f_masked_fill(&excluded, f64::INFINITY)? })
    }

    /// The nearest row of each of `queries` `[N, D]` float32; the answer is on the device of the rows.
    ///
    /// Other batch sizes or thread counts change distances by float32 rounding only. A NaN in a query makes its distance NaN.
    pub fn of(&self, queries: &Tensor) -> Result<Nearest, TchError> {
        let (count, _) = queries.size2()?;
        let mut distances = Vec::new();
        let mut rows = Vec::new();
        for start in (0..count).step_by(QUERY_BLOCK as usize) {
            let block = queries.f_narrow(0, start, QUERY_BLOCK.min(count - start))?.f_to_device(self.rows.device())?;
            let winners = self.winners(&block)?;
            let difference = self.rows.f_index_select(0, &winners)?.f_sub_(&block)?;
            distances.push(difference.f_norm_scalaropt_dim(2.0, [1], false)?);
            rows.push(winners);
        }
        Ok(Nearest { distances: Tensor::f_cat(&distances, 0)?, rows: Tensor::f_cat(&rows, 0)? })
    }

    /// The index of the best row for every query of one block.
    fn winners(&self, queries: &Tensor) -> Result<Tensor, TchError> {
        let (count, _) = self.rows.size2()?;
        let mut best: Option<(Tensor, Tensor)> = None;
        for start in (0..count).step_by(BANK_BLOCK as usize) {
            let length = BANK_BLOCK.min(count - start);
            let rows = self.rows.f_narrow(0, start, length)?;
            let bias = self.half_norms.f_narrow(0, start, length)?.f_neg()?;
            let (values, found) = bias.f_addmm(queries, &rows.f_transpose(0, 1)?)?.f_max_dim(1, false)?;
            let found = found.f_add_scalar(start)?;
            best = Some(match best {
                None => (values, found),
                Some((top, winners)) => {
                    // Strictly greater: among equals the lowest index stays.
                    let better = values.f_gt_tensor(&top)?;
                    (values.f_where_self(&better, &top)?, found.f_where_self(&better, &winners)?)
                }
            });
        }
        best.map(|(_, winners)| winners).ok_or_else(|| TchError::Shape("no row to be nearest to".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Non-negative like features behind a ReLU, so that norms are large against distances.
    fn features(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows * dim).map(|_| rng.random::<f32>()).collect()
    }

    fn tensor(values: &[f32], dim: usize) -> Tensor {
        Tensor::f_from_slice(values).unwrap().f_view([-1, dim as i64]).unwrap()
    }

    fn brute_force(queries: &[f32], rows: &[f32], dim: usize) -> Vec<f64> {
        let distance = |q: &[f32], b: &[f32]| q.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>().sqrt();
        queries.chunks(dim).map(|q| rows.chunks(dim).map(|b| distance(q, b)).fold(f64::INFINITY, f64::min)).collect()
    }

    fn distances(nearest: &NearestRows, queries: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(nearest.of(queries).unwrap().distances).unwrap()
    }

    #[test]
    fn agrees_with_a_float64_brute_force_across_blocks() {
        let dim = 24;
        let rows = features(5000, dim, 1);
        let mut queries = features(1100, dim, 2);
        // Duplicates of rows on both sides of a block border.
        for (query, row) in [(0, 0), (7, 4095), (1023, 4096), (1024, 4999)] {
            queries[query * dim..(query + 1) * dim].copy_from_slice(&rows[row * dim..(row + 1) * dim]);
        }
        let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
        let found = distances(&nearest, &tensor(&queries, dim));
        for (i, (got, want)) in found.iter().zip(brute_force(&queries, &rows, dim)).enumerate() {
            assert!((f64::from(*got) - want).abs() <= 2e-6 * want, "query {i}: {got} against {want}");
        }
        for query in [0, 7, 1023, 1024] {
            assert_eq!(found[query], 0.0);
        }
    }

    #[test]
    fn excluded_rows_do_not_count() {
        let dim = 8;
        let rows = features(40, dim, 3);
        let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
        let excluded: Vec<bool> = (0..40).map(|i| i < 30).collect();
        let left = nearest.without(&Tensor::f_from_slice(&excluded).unwrap()).unwrap();
        let found = distances(&left, &tensor(&rows, dim));
        for (got, want) in found.iter().zip(brute_force(&rows, &rows[30 * dim..], dim)) {
            assert!((f64::from(*got) - want).abs() <= 2e-6 * want.max(1e-3));
        }
        assert!(found[..30].iter().all(|d| *d > 0.0));
    }

    #[test]
    fn a_batch_of_one_equals_a_row_of_a_batch() {
        let dim = 64;
        let nearest = NearestRows::new(tensor(&features(300, dim, 4), dim)).unwrap();
        let queries = tensor(&features(50, dim, 5), dim);
        let together = distances(&nearest, &queries);
        for (i, want) in together.iter().enumerate() {
            let alone = distances(&nearest, &queries.f_narrow(0, i as i64, 1).unwrap());
            assert!((alone[0] - want).abs() <= 1e-5 * want, "query {i}: {} against {want}", alone[0]);
        }
    }

    #[test]
    fn a_nan_query_has_a_nan_distance() {
        let nearest = NearestRows::new(tensor(&features(9000, 4, 6), 4)).unwrap();
        assert!(nearest.is_finite().unwrap());
        let found = distances(&nearest, &tensor(&[0.1, f32::NAN, 0.2, 0.3, 0.1, 0.1, 0.2, 0.3], 4));
        assert!(found[0].is_nan() && found[1].is_finite());
        assert!(!NearestRows::new(tensor(&[1.0, f32::INFINITY], 2)).unwrap().is_finite().unwrap());
    }
}
