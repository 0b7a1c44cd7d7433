//! Bank rows in the processor's memory, laid out to be compared with.

use super::axes::Axes;
use super::measure::squared_distance;
use super::sketch::{Rounding, Sketches};
use super::threads::deal;
use pulp::Arch;
use tch::TchError;

/// Rows that the centre is the mean of. Any centre is right, and a good one is near enough to the mean.
const SAMPLED: usize = 256;
/// Rows whose norms are taken at a time by one thread.
const NORMED: usize = 64;

/// Bank rows as they are, to measure distances, and their sketches, to rule out most of them before.
///
/// The sketches are of the rows less a centre. Taking the same vector from both sides changes no distance, but makes the norms smaller and with
/// them what rounding can do.
pub(super) struct Bank {
    /// `[M, D]` row-major.
    pub rows: Vec<f32>,
    /// M.
    pub count: usize,
    /// D.
    pub channels: usize,
    /// `[D]`.
    pub centre: Vec<f32>,
    /// What the sketches are made with.
    pub axes: Axes,
    /// Of the rows less the centre.
    pub sketches: Sketches,
    /// `[M]`: half the squared norm of every row less the centre.
    pub half_norms: Vec<f32>,
    /// The largest norm of a row less the centre.
    pub reach: f32,
    /// False when a value is infinite or NaN, or so large that distances would be.
    pub is_finite: bool,
}

impl Bank {
    /// Lays out rows `[M, D]`, on so many threads; M and D are at least 1.
    pub fn new(rows: Vec<f32>, channels: usize, threads: usize) -> Result<Self, TchError> {
        let count = rows.len() / channels;
        let (centre, origin) = (mean(&rows, channels), vec![0.0; channels]);
        // The squared norms of each row, as it is and less the centre.
        let (mut plain, mut centred) = (vec![0.0_f64; count], vec![0.0_f64; count]);
        let work = plain.chunks_mut(NORMED).zip(centred.chunks_mut(NORMED)).zip(rows.chunks(NORMED * channels));
        deal(work, threads, |((plain, centred), rows)| {
            Arch::new().dispatch(|| {
                for ((plain, centred), row) in plain.iter_mut().zip(centred).zip(rows.chunks_exact(channels)) {
                    (*plain, *centred) = (squared_distance(row, &origin), squared_distance(row, &centre));
                }
            });
        });
        let is_finite = plain.iter().all(|&plain| plain < f64::from(f32::MAX));
        let axes = if is_finite { Axes::of(&rows, channels)? } else { Axes::none() };
        let half_norms: Vec<f32> = centred.iter().map(|centred| (centred / 2.0) as f32).collect();
        let reach = centred.iter().map(|centred| centred.sqrt() as f32).fold(0.0, f32::max);
        let rounding = Rounding::new(&centre, 1, &axes, reach);
        let sketches = Sketches::of(&rows, &centre, &centred, &axes, rounding, threads);
        Ok(Self { rows, count, channels, centre, axes, sketches, half_norms, reach, is_finite })
    }

    /// Row `row` `[D]`.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.channels..(row + 1) * self.channels]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let panels = self.sketches.short.iter().chain(&self.axes.panels);
        size_of_val(self.rows.as_slice())
            + panels.map(|lines| size_of_val(lines.as_slice())).sum::<usize>()
            + size_of_val(self.sketches.long.as_slice())
            + size_of_val(self.half_norms.as_slice())
    }
}

/// About the mean of rows `[M, D]`, `[D]`: that of at most [`SAMPLED`] of them, evenly spread.
fn mean(rows: &[f32], channels: usize) -> Vec<f32> {
    let mut mean = vec![0.0; channels];
    let step = (rows.len() / channels).div_ceil(SAMPLED).max(1);
    let sampled = rows.chunks_exact(channels).step_by(step);
    let count = sampled.len() as f32;
    for row in sampled {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count);
    }
    mean
}
