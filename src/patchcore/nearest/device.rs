//! Nearest rows on a graphics processor, with libtorch's own products.
//!
//! Runs over blocks, so that the N×M matrix never exists. The product picks the row and cancels badly for near ones, so the distance
//! is computed anew from the difference: exact to float32 rounding for the row that was picked, and 0 for a duplicate. Where two
//! rows are nearly the same distance away the product may pick the wrong one; the squared distance is then too large by at most
//! about 1e-6·(|q|² + |r|²).

use super::answer::Nearest;
use tch::{Device, Kind, TchError, Tensor};

/// Patches compared at a time.
const QUERY_BLOCK: i64 = 1024;
/// Bank rows compared at a time; with [`QUERY_BLOCK`] the product takes 16 MiB.
const BANK_BLOCK: i64 = 4096;

/// Bank rows on a device.
pub(super) struct DeviceRows {
    /// `[M, D]` float32, contiguous.
    pub rows: Tensor,
    /// `[M]`: half the squared norm of every row; infinite for a row that does not count.
    pub half_norms: Tensor,
}

impl DeviceRows {
    /// Takes rows `[M, D]` float32 to a device.
    pub fn new(rows: &Tensor, device: Device) -> Result<Self, TchError> {
        let rows = rows.f_to_device(device)?.f_contiguous()?;
        let (count, _) = rows.size2()?;
        let mut parts = Vec::new();
        for start in (0..count).step_by(BANK_BLOCK as usize) {
            let block = rows.f_narrow(0, start, BANK_BLOCK.min(count - start))?;
            parts.push(block.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?.f_mul_scalar(0.5)?);
        }
        Ok(Self { rows, half_norms: Tensor::f_cat(&parts, 0)? })
    }

    /// Without the rows marked true in `excluded` `[M]` bool.
    pub fn without(&self, excluded: &Tensor) -> Result<Self, TchError> {
        let excluded = excluded.f_to_device(self.rows.device())?;
        Ok(Self { rows: self.rows.shallow_clone(), half_norms: self.half_norms.f_masked_fill(&excluded, f64::INFINITY)? })
    }

    /// The nearest row of each of `queries` `[N, D]` float32.
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
