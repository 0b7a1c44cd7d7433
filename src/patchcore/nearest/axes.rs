//! The axes that bank rows and patches are looked at on before they are compared in full.

use super::product::{Line, PANEL};
use crate::patchcore::principal_axes::principal_axes;
use tch::{TchError, Tensor};

/// The most axes, whole panels of them: of rows with up to [`MANY`] values, and of longer ones, which cost more to measure in full.
const MOST: [usize; 2] = [3 * PANEL, 6 * PANEL];
const MANY: usize = 1024;
/// Rows that the axes come from. Any orthonormal axes are right; those of the largest variance rule out most.
const SAMPLED: usize = 1024;
/// Rounds of the search for them.
const ROUNDS: usize = 2;
/// How far their columns are from orthonormal, at most.
pub(super) const SKEW: f32 = 1e-5;

/// K orthonormal directions, packed to be multiplied with patches as panels of bank rows are with patches.
pub(super) struct Axes {
    /// For every 48 axes `[D]` lines; those that fill up the last panel are zero.
    pub panels: Vec<Vec<Line>>,
    /// K.
    pub count: usize,
}

impl Axes {
    /// The principal axes of rows `[M, D]`, all finite; at most as many as rows have values.
    pub fn of(rows: &[f32], channels: usize) -> Result<Self, TchError> {
        let step = (rows.len() / channels).div_ceil(SAMPLED).max(1);
        let sample: Vec<f32> = rows.chunks_exact(channels).step_by(step).flatten().copied().collect();
        let sample = Tensor::f_from_slice(&sample)?.f_view([-1, channels as i64])?;
        let most = MOST[usize::from(channels > MANY)];
        let (axes, _) = principal_axes(&sample, most as i64, ROUNDS, 0)?;
        let count = axes.size2()?.1 as usize;
        let values = super::grid::values(&axes)?;
        let panel = |first: usize| {
            let line = |values: &[f32]| {
                let mut line = Line::ZERO;
                line.0.iter_mut().zip(&values[first..]).for_each(|(to, value)| *to = *value);
                line
            };
            values.chunks_exact(count).map(line).collect()
        };
        Ok(Self { panels: (0..count).step_by(PANEL).map(panel).collect(), count })
    }

    /// No axes: of rows that are not finite.
    pub fn none() -> Self {
        Self { panels: Vec::new(), count: 0 }
    }
}
