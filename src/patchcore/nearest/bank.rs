//! Bank rows in the processor's memory, laid out to be multiplied.

use super::product::{Line, PANEL};
use super::threads::deal;
use pulp::{Arch, Simd, WithSimd};

/// Channels copied into a panel at a time: a cache line of each of its rows.
const STRIP: usize = 16;
/// Rows that the centre is the mean of. Any centre is right, and a good one is near enough to the mean.
const SAMPLED: usize = 256;

/// Bank rows twice over: as they are, to measure distances, and in panels less their centre, to be multiplied.
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
    pub centre: Vec<f32>,
    /// `[D]` lines of 48 rows each; the rows that fill up the last panel are zero.
    pub panels: Vec<Vec<Line>>,
    /// `[M]`: half the squared norm of every row less the centre.
    pub half_norms: Vec<f32>,
    /// The largest norm of a row less the centre.
    pub reach: f32,
    /// False when a value is infinite or NaN, or so large that distances would be.
    pub is_finite: bool,
}

impl Bank {
    /// Lays out rows `[M, D]`, on so many threads; the same bits on any number of them.
    pub fn new(rows: Vec<f32>, channels: usize, threads: usize) -> Self {
        let count = rows.len() / channels.max(1);
        let centre = mean(&rows, channels);
        let mut panels: Vec<_> = (0..count.div_ceil(PANEL)).map(|_| (Vec::new(), [(0.0, 0.0); PANEL])).collect();
        let work = panels.iter_mut().zip(rows.chunks(PANEL * channels.max(1)));
        deal(work, threads, |((lines, norms), rows)| {
            *lines = vec![Line::ZERO; channels];
            Arch::new().dispatch(Pack { rows, centre: &centre, lines, norms });
        });
        let norms: Vec<(f64, f64)> = panels.iter().flat_map(|(_, norms)| norms).copied().take(count).collect();
        let is_finite = norms.iter().all(|&(plain, _)| plain < f64::from(f32::MAX));
        let half_norms: Vec<f32> = norms.iter().map(|(_, centred)| (centred / 2.0) as f32).collect();
        let reach = norms.iter().map(|(_, centred)| centred.sqrt() as f32).fold(0.0, f32::max);
        let panels = panels.into_iter().map(|(lines, _)| lines).collect();
        Self { rows, count, channels, centre, panels, half_norms, reach, is_finite }
    }

    /// Row `row` `[D]`.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.channels..(row + 1) * self.channels]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(self.rows.as_slice())
            + self.panels.iter().map(|lines| size_of_val(lines.as_slice())).sum::<usize>()
            + size_of_val(self.half_norms.as_slice())
    }
}

/// About the mean of rows `[M, D]`, `[D]`: that of at most [`SAMPLED`] of them, evenly spread.
fn mean(rows: &[f32], channels: usize) -> Vec<f32> {
    let mut mean = vec![0.0; channels];
    let step = (rows.len() / channels.max(1)).div_ceil(SAMPLED).max(1);
    let sampled = rows.chunks_exact(channels.max(1)).step_by(step);
    let count = sampled.len() as f32;
    for row in sampled {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count);
    }
    mean
}

/// Fills one panel.
struct Pack<'a> {
    /// At most 48 rows.
    rows: &'a [f32],
    centre: &'a [f32],
    lines: &'a mut [Line],
    /// The squared norm of each row, as it is and less the centre.
    norms: &'a mut [(f64, f64); PANEL],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let channels = self.centre.len();
        for (lane, row) in self.rows.chunks_exact(channels).enumerate() {
            let (mut plain, mut centred) = (0.0, 0.0);
            for (row, centre) in row.chunks(STRIP * STRIP).zip(self.centre.chunks(STRIP * STRIP)) {
                let (mut p, mut c) = ([0.0_f32; STRIP], [0.0_f32; STRIP]);
                for (row, centre) in row.chunks(STRIP).zip(centre.chunks(STRIP)) {
                    for (((value, centre), p), c) in row.iter().zip(centre).zip(&mut p).zip(&mut c) {
                        *p += value * value;
                        *c += (value - centre) * (value - centre);
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
                for ((line, value), centre) in self.lines[from..until].iter_mut().zip(&row[from..until]).zip(&self.centre[from..until]) {
                    line.0[lane] = value - centre;
                }
            }
        }
    }
}
