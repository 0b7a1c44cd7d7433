//! Exact Euclidean distance of patches to their nearest bank row.
//!
//! On the processor `search` finds it: the way of one patch is `grid` → `projection` (coordinates on the `axes` of the bank) → `sketch`
//! (a short vector) → `search` (which rows are still possible) → `measure`. The distance is that of the nearest row to float32 rounding, and 0 for
//! a duplicate. On a graphics processor `device` does it with libtorch.

mod answer;
mod axes;
mod bank;
mod device;
mod grid;
mod measure;
mod operand;
mod product;
mod projection;
mod search;
mod sketch;
#[cfg(test)]
mod tests;
mod threads;

use super::embedding::{PatchEmbeddings, averaged};
pub(super) use answer::Nearest;
use bank::Bank;
use device::DeviceRows;
use grid::PatchGrid;
use search::{Found, search};
use std::sync::Arc;
use tch::{Device, TchError, Tensor};

/// Embeddings compared at a time; their copies take 28 MiB at 3584 values.
const QUERY_BLOCK: i64 = 1024;

/// Rows to be nearest to.
pub(super) struct NearestRows(Rows);

enum Rows {
    /// In main memory.
    Host {
        bank: Arc<Bank>,
        /// `[M]`: half the squared norm of each row less the centre; infinite for a row that does not count.
        bias: Vec<f32>,
    },
    /// On a graphics processor.
    Device(DeviceRows),
}

impl NearestRows {
    /// Takes rows `[M, D]` float32, M ≥ 1, D ≥ 1.
    pub fn new(rows: Tensor) -> Result<Self, TchError> {
        let device = rows.device();
        Self::on(rows, device)
    }

    fn on(rows: Tensor, device: Device) -> Result<Self, TchError> {
        let (count, channels) = rows.size2()?;
        if count == 0 || channels == 0 {
            return Err(TchError::Shape("no row to be nearest to".to_owned()));
        }
        if device != Device::Cpu {
            return DeviceRows::new(&rows, device).map(|rows| Self(Rows::Device(rows)));
        }
        let values = grid::values(&rows)?;
        drop(rows);
        let bank = Bank::new(values, channels as usize, threads::count())?;
        Ok(Self(Rows::Host { bias: bank.half_norms.clone(), bank: Arc::new(bank) }))
    }

    /// M and D.
    pub fn size(&self) -> Result<(i64, i64), TchError> {
        match &self.0 {
            Rows::Host { bank, .. } => Ok((bank.count as i64, bank.channels as i64)),
            Rows::Device(on_device) => on_device.rows.size2(),
        }
    }

    /// Where the rows are.
    pub fn device(&self) -> Device {
        match &self.0 {
            Rows::Host { .. } => Device::Cpu,
            Rows::Device(on_device) => on_device.rows.device(),
        }
    }

    /// A copy of the rows, `[M, D]` float32.
    pub fn rows(&self) -> Result<Tensor, TchError> {
        match &self.0 {
            Rows::Host { bank, .. } => Tensor::f_from_slice(&bank.rows)?.f_view([bank.count as i64, bank.channels as i64]),
            Rows::Device(on_device) => Ok(on_device.rows.shallow_clone()),
        }
    }

    /// Bytes that it takes, in main memory somewhat more than those of the rows.
    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            Rows::Host { bank, bias } => bank.bytes() + size_of_val(bias.as_slice()),
            Rows::Device(on_device) => (on_device.rows.numel() + on_device.half_norms.numel()) * size_of::<f32>(),
        }
    }

    /// False when a value of any row is infinite or NaN, or so large that distances would be.
    pub fn is_finite(&self) -> Result<bool, TchError> {
        match &self.0 {
            Rows::Host { bank, .. } => Ok(bank.is_finite),
            Rows::Device(on_device) => Ok(on_device.half_norms.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0),
        }
    }

    /// The same rows on another device; in main memory they are shared.
    pub fn to_device(&self, device: Device) -> Result<Self, TchError> {
        match &self.0 {
            Rows::Host { bank, bias } if device == Device::Cpu => Ok(Self(Rows::Host { bank: bank.clone(), bias: bias.clone() })),
            _ => Self::on(self.rows()?, device),
        }
    }

    /// The same rows without those marked true in `excluded` `[M]` bool; at least one must be left.
    pub fn without(&self, excluded: &Tensor) -> Result<Self, TchError> {
        match &self.0 {
            Rows::Host { bank, bias } => {
                let mut bias = bias.clone();
                let excluded = Vec::<bool>::try_from(excluded)?;
                bias.iter_mut().zip(excluded).filter(|(_, excluded)| *excluded).for_each(|(bias, _)| *bias = f32::INFINITY);
                Ok(Self(Rows::Host { bank: bank.clone(), bias }))
            }
            Rows::Device(on_device) => on_device.without(excluded).map(|rows| Self(Rows::Device(rows))),
        }
    }

    /// The nearest row of each of `queries` `[N, D]` float32; the answer is on the device of the rows.
    ///
    /// In main memory the same bits on any number of threads and in any company. A NaN in a query makes its distance NaN.
    pub fn of(&self, queries: &Tensor) -> Result<Nearest, TchError> {
        let (bank, bias) = match &self.0 {
            Rows::Host { bank, bias } => (bank, bias),
            Rows::Device(on_device) => return on_device.of(queries),
        };
        let (count, _) = queries.size2()?;
        let (mut distances, mut rows) = (Vec::new(), Vec::new());
        for start in (0..count).step_by(QUERY_BLOCK as usize) {
            let grid = PatchGrid::of_rows(&queries.f_narrow(0, start, QUERY_BLOCK.min(count - start))?)?;
            let found = search_grid(bank, bias, &grid)?;
            distances.extend(found.distances);
            rows.extend(found.rows);
        }
        Ok(Nearest { distances: Tensor::f_from_slice(&distances)?, rows: Tensor::f_from_slice(&rows)? })
    }

    /// The distance of every patch of an image to its nearest row, `[height * width]` float32, with height and width.
    ///
    /// The patches are those of [`PatchEmbeddings::join`] of the same `maps` `[1, C_i, h_i, w_i]`; in main memory they are never
    /// put together, which saves most of the multiplications. Distances differ by float32 rounding only.
    pub fn of_maps(&self, maps: &[Tensor], stride: i64, neighbourhood: i64) -> Result<(Tensor, i64, i64), TchError> {
        let Rows::Host { bank, bias } = &self.0 else {
            let patches = PatchEmbeddings::join(maps, stride, neighbourhood)?;
            return Ok((self.of(&patches.rows)?.distances, patches.height, patches.width));
        };
        let grid = PatchGrid::of_maps(&averaged(maps, neighbourhood)?, stride)?;
        let found = search_grid(bank, bias, &grid)?;
        Ok((Tensor::f_from_slice(&found.distances)?, grid.height as i64, grid.width as i64))
    }

    /// How many rows [`NearestRows::of_maps`] measures in full, for all patches together; `None` on a graphics processor.
    pub fn measured(&self, maps: &[Tensor], stride: i64, neighbourhood: i64) -> Result<Option<u64>, TchError> {
        let Rows::Host { bank, bias } = &self.0 else { return Ok(None) };
        let grid = PatchGrid::of_maps(&averaged(maps, neighbourhood)?, stride)?;
        search_grid(bank, bias, &grid).map(|found| Some(found.measured))
    }
}

/// Searches with as many threads as libtorch has; refuses patches that have not as many values as the rows.
fn search_grid(bank: &Bank, bias: &[f32], grid: &PatchGrid) -> Result<Found, TchError> {
    match bank.channels == grid.channels() {
        true => Ok(search(bank, bias, grid, threads::count())),
        false => Err(TchError::Shape(format!("patches of {} values, but bank rows of {}", grid.channels(), bank.channels))),
    }
}
