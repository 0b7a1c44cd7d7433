//! Bank rows in the processor's memory, laid out to be multiplied.

use super::product::{Line, PANEL};
use super::threads::deal;
use pulp::{Arch, Simd, WithSimd};

/// Channels copied into a panel at a time: a cache line of each of its rows.
const STRIP: usize = 16;

/// Bank rows twice over: as they are, to measure distances, and in panels less their mean, to be multiplied.
///
/// Taking the same row from both sides changes no distance, but makes the products smaller and with them what rounding can do.
pub(super) struct Bank {
    /// `[M, D]` row-major.
    pub rows: Vec<f32>,
    /// M.
    pub count: usize,
    /// D.
    pub channels: usize,
    /// `[D]`: what was taken from the rows of the panels.
    pub mean: Vec<f32>,
    /// `[panels, D]` lines of 48 rows; the rows that fill up the last panel are zero.
    pub lines: Vec<Line>,
    /// `[M]`: half the squared norm of every row less the mean.
    pub half_norms: Vec<f32>,
    /// The largest norm of a row less the mean.
    pub reach: f32,
    /// False when a value is infinite or NaN, or so large that distances would be.
    pub is_finite: bool,
}

impl Bank {
    /// Lays out rows `[M, D]`, on so many threads.
    pub fn new(rows: Vec<f32>, channels: usize, threads: usize) -> Self {
        let count = rows.len() / channels.max(1);
        let mean = mean(&rows, channels, threads);
        let panels = count.div_ceil(PANEL);
        let mut lines = vec![Line::ZERO; panels * channels];
        let mut norms = vec![[(0.0, 0.0); PANEL]; panels];
        let work = lines.chunks_mut(channels.max(1)).zip(rows.chunks(PANEL * channels.max(1))).zip(&mut norms);
        deal(work, threads, |((lines, rows), norms)| Arch::new().dispatch(Pack { rows, mean: &mean, lines, norms }));
        let norms = &norms.as_flattened()[..count];
        let is_finite = norms.iter().all(|&(plain, _)| plain < f64::from(f32::MAX));
        let half_norms: Vec<f32> = norms.iter().map(|(_, centred)| (centred / 2.0) as f32).collect();
        let reach = norms.iter().map(|(_, centred)| centred.sqrt() as f32).fold(0.0, f32::max);
        Self { rows, count, channels, mean, lines, half_norms, reach, is_finite }
    }

    /// Row `row` `[D]`.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.channels..(row + 1) * self.channels]
    }

    /// The lines of one panel `[D]`.
    pub fn panel(&self, panel: usize) -> &[Line] {
        &self.lines[panel * self.channels..(panel + 1) * self.channels]
    }

    /// Panels.
    pub fn panels(&self) -> usize {
        self.count.div_ceil(PANEL)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(self.rows.as_slice()) + size_of_val(self.lines.as_slice()) + size_of_val(self.half_norms.as_slice())
    }
}

/// The mean of rows `[M, D]`, `[D]`; the same bits on any number of threads.
fn mean(rows: &[f32], channels: usize, threads: usize) -> Vec<f32> {
    /// Sums of `rows` `[_, D]` from channel `from` on.
    #[inline(always)]
    fn sum(rows: &[f32], channels: usize, from: usize, sums: &mut [f32]) {
        for row in rows.chunks_exact(channels) {
            for (sum, value) in sums.iter_mut().zip(&row[from..]) {
                *sum += value;
            }
        }
    }
    let mut mean = vec![0.0; channels];
    let part = channels.div_ceil(threads).max(1);
    deal(mean.chunks_mut(part).enumerate(), threads, |(number, sums)| {
        Arch::new().dispatch(|| sum(rows, channels, number * part, sums));
        let count = (rows.len() / channels) as f32;
        sums.iter_mut().for_each(|sum| *sum /= count);
    });
    mean
}

/// Fills one panel.
struct Pack<'a> {
    /// At most 48 rows.
    rows: &'a [f32],
    mean: &'a [f32],
    lines: &'a mut [Line],
    /// The squared norm of each row, as it is and less the mean.
    norms: &'a mut [(f64, f64); PANEL],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let channels = self.mean.len();
        for (lane, row) in self.rows.chunks_exact(channels).enumerate() {
            let (mut plain, mut centred) = (0.0, 0.0);
            for (row, mean) in row.chunks(STRIP * STRIP).zip(self.mean.chunks(STRIP * STRIP)) {
                let (mut p, mut c) = ([0.0_f32; STRIP], [0.0_f32; STRIP]);
                for (row, mean) in row.chunks(STRIP).zip(mean.chunks(STRIP)) {
                    for (((value, mean), p), c) in row.iter().zip(mean).zip(&mut p).zip(&mut c) {
                        *p += value * value;
                        *c += (value - mean) * (value - mean);
                    }
                }
                plain += p.iter().copied().map(f64::from).sum::<f64>();
                centred += c.iter().copied().map(f64::from).sum::<f64>();
            }
            self.norms[lane] = (plain, centred);
        }
        for from in (0..channels).step_by(STRIP) {
            let until = (from + STRIP).min(channels);
            for (lane, row) in self.rows.chunks_exact(channels).enumerate() {
                for ((line, value), mean) in self.lines[from..until].iter_mut().zip(&row[from..until]).zip(&self.mean[from..until]) {
                    line.0[lane] = value - mean;
                }
            }
        }
    }
}
