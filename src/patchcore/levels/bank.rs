//! The rows of both levels and the axes that patches are moved to, in memory and as one tensor.

use super::axes::PrincipalAxes;
use super::statistics::ScoreStatistics;
use super::{LEVELS, NEIGHBOURHOODS};
use crate::domain::{AnomalyScores, DistanceGrid};
use crate::patchcore::distance_grid::distance_grid;
use crate::patchcore::embedding::PatchEmbeddings;
use crate::patchcore::nearest::NearestRows;
use tch::{Device, TchError, Tensor};

/// A bank with a fine and a coarse level.
pub(in crate::patchcore) struct LevelBank {
    axes: PrincipalAxes,
    rows: [NearestRows; LEVELS],
    statistics: ScoreStatistics,
}

impl LevelBank {
    pub(super) fn new(axes: PrincipalAxes, rows: [NearestRows; LEVELS], statistics: ScoreStatistics) -> Self {
        Self { axes, rows, statistics }
    }

    /// Takes a bank apart that [`LevelBank::tensor`] put together and that [`LevelBank::fits`].
    pub fn from_tensor(tensor: &Tensor, statistics: &ScoreStatistics) -> Result<Self, TchError> {
        let [fine, coarse] = statistics.levels.each_ref().map(|level| level.rows as i64);
        let axes = tensor.size2()?.0 - fine - coarse;
        let part = |from, rows| tensor.f_narrow(0, from, rows);
        let rows = [NearestRows::new(part(0, fine)?)?, NearestRows::new(part(fine, coarse)?)?];
        let axes = PrincipalAxes::from_rows(&part(fine + coarse, axes)?)?;
        Ok(Self { axes, rows, statistics: statistics.clone() })
    }

    /// `[fine rows + coarse rows + D + 1, K]` float32 in this order: the rows of the levels, the axes, and the middle of all patches on them.
    pub fn tensor(&self) -> Result<Tensor, TchError> {
        let [fine, coarse] = &self.rows;
        let parts = [fine.rows()?, coarse.rows()?, self.axes.rows()?];
        let on_cpu = parts.iter().map(|part| part.f_to_device(Device::Cpu)).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&on_cpu, 0)
    }

    /// True when a tensor of this size `[rows, K]` can be that of a bank with these statistics and patches of `channels` values.
    pub fn fits(size: &[i64], statistics: &ScoreStatistics, channels: i64) -> bool {
        let rows = statistics.levels.iter().fold(channels + 1, |rows, level| rows.saturating_add_unsigned(level.rows as u64));
        matches!(size, &[count, values] if count == rows && (1..=channels).contains(&values))
    }

    /// The scores of an image, from its feature maps `[1, C_i, h_i, w_i]`.
    pub fn score(&self, maps: &[Tensor], stride: i64) -> Result<AnomalyScores, TchError> {
        let [fine, coarse] = project(&self.axes, maps, stride)?;
        Ok(self.statistics.score(&[self.distances(0, &fine)?, self.distances(1, &coarse)?]))
    }

    /// The map and the score of an image whose patches all lie as far from the bank as this.
    pub fn score_at(&self, distance: f64) -> (f64, f64) {
        // Large enough that some of it is no border.
        let grid = DistanceGrid { width: 5, height: 5, values: vec![distance as f32; 25] };
        let scores = self.statistics.score(&[grid.clone(), grid]);
        (f64::from(scores.grid.peak()), f64::from(scores.image))
    }

    fn distances(&self, level: usize, patches: &PatchEmbeddings) -> Result<DistanceGrid, TchError> {
        distance_grid(&self.rows[level].of(&patches.rows)?.distances, patches.height, patches.width, 0)
    }

    /// The largest norm of a row.
    pub fn reach(&self) -> Result<f64, TchError> {
        let of = |rows: &NearestRows| rows.rows()?.f_norm_scalaropt_dim(2, [1].as_slice(), false)?.f_max()?.f_double_value(&[]);
        Ok(of(&self.rows[0])?.max(of(&self.rows[1])?))
    }

    /// False when a value of any row is infinite or NaN, or so large that distances would be.
    pub fn is_finite(&self) -> Result<bool, TchError> {
        let axes = self.axes.rows()?.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
        Ok(axes && self.rows[0].is_finite()? && self.rows[1].is_finite()?)
    }

    /// The same on another device.
    pub fn to_device(&self, device: Device) -> Result<Self, TchError> {
        let [fine, coarse] = &self.rows;
        let rows = [fine.to_device(device)?, coarse.to_device(device)?];
        Ok(Self { axes: self.axes.to_device(device)?, rows, statistics: self.statistics.clone() })
    }

    /// Bytes that the rows take.
    pub fn memory_bytes(&self) -> usize {
        self.rows.iter().map(NearestRows::memory_bytes).sum()
    }
}

/// The patches of an image at each level, on the axes.
pub(super) fn project(axes: &PrincipalAxes, maps: &[Tensor], stride: i64) -> Result<[PatchEmbeddings; LEVELS], TchError> {
    let [fine, coarse] = NEIGHBOURHOODS;
    Ok([axes.project(maps, stride, fine)?, axes.project(maps, stride, coarse)?])
}
