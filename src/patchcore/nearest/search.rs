//! The nearest bank row of each patch of a grid.
//!
//! Patches are compared with all rows in short, 32 patches at a time, so that what they score stays in the second-level cache. The best row in
//! short is measured in full; rows that score too little to be as near are ruled out, in short and then on all axes. The few that are left
//! are measured in full, the best first, and each that is nearer rules out more. What rounding can do to a score counts for the row.

use super::bank::Bank;
use super::grid::PatchGrid;
use super::measure::{largest, product, squared_distance};
use super::product::{Column, Line, PANEL, Product, TILE};
use super::projection::Projection;
use super::sketch::{Rounding, SHORT, long_len, with_rest};
use super::threads::deal_with;
use pulp::{Arch, Simd, WithSimd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tiles compared at a time.
const TILES: usize = 4;
/// Patches compared at a time.
const BLOCK: usize = TILES * TILE;

/// What a search finds.
pub(super) struct Found {
    /// The distance of every patch to its nearest row.
    pub distances: Vec<f32>,
    /// That row; of equally near ones the lowest.
    pub rows: Vec<i64>,
    /// How many rows were measured in full, for all patches together.
    pub measured: u64,
}

/// Finds the nearest row of `bank` for every patch of `grid`.
///
/// `bias` `[M]` is half the squared norm of each row less the centre, infinite for a row that does not count. The same bits on any
/// number of threads.
pub(super) fn search(bank: &Bank, bias: &[f32], grid: &PatchGrid, threads: usize) -> Found {
    let projection = Projection::new(grid, &bank.centre, &bank.axes, threads);
    let rounding = Rounding::new(&bank.centre, grid.layers.len(), &bank.axes, bank.reach);
    let mut nearest = vec![(0.0, 0); grid.len()];
    let measured = AtomicU64::new(0);
    let blocks = nearest.chunks_mut(BLOCK).enumerate();
    deal_with(
        blocks,
        threads,
        || Desk::new(bank),
        |desk, (number, nearest)| {
            let (projection, first) = (&projection, number * BLOCK);
            let count = Arch::new().dispatch(Block { bank, bias, grid, projection, rounding, first, nearest, desk });
            measured.fetch_add(count, Ordering::Relaxed);
        },
    );
    let (distances, rows) = nearest.into_iter().unzip();
    Found { distances, rows, measured: measured.into_inner() }
}

/// What one thread works with.
struct Desk {
    /// `[BLOCK, D]`: the patches in full.
    patches: Vec<f32>,
    /// `[BLOCK, K]`: their coordinates.
    coordinates: Vec<f32>,
    /// Room for products of the tiles with one panel of axes.
    sums: Vec<[Line; TILE]>,
    /// `[tiles, 49]`: the patches in short.
    columns: Vec<Column>,
    /// `[panels, tiles]`: what each row scores for each patch in short.
    scores: Vec<[Line; TILE]>,
    /// `[panels, BLOCK]`: the best of each panel.
    peaks: Vec<f32>,
    /// One patch on all axes, as `Sketches::long` has rows.
    long: Vec<f32>,
    /// Rows not yet ruled out, with their scores.
    candidates: Vec<(f32, usize)>,
}

impl Desk {
    fn new(bank: &Bank) -> Self {
        let (axes, panels) = (bank.axes.count, bank.sketches.short.len());
        Self {
            patches: vec![0.0; BLOCK * bank.channels],
            coordinates: vec![0.0; BLOCK * axes],
            sums: vec![[Line::ZERO; TILE]; TILES],
            columns: vec![[0.0; TILE]; TILES * (axes.min(SHORT) + 1)],
            scores: vec![[Line::ZERO; TILE]; panels * TILES],
            peaks: vec![0.0; panels * BLOCK],
            long: Vec::with_capacity(long_len(axes)),
            candidates: Vec::new(),
        }
    }
}

/// Some patches that are compared together.
struct Block<'a> {
    bank: &'a Bank,
    bias: &'a [f32],
    grid: &'a PatchGrid,
    projection: &'a Projection<'a>,
    rounding: Rounding,
    /// The first of them.
    first: usize,
    /// For each of them distance and row.
    nearest: &'a mut [(f32, i64)],
    desk: &'a mut Desk,
}

impl WithSimd for Block<'_> {
    /// Rows measured in full.
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> u64 {
        let squares = self.sketch(simd);
        self.score(simd);
        let mut measured = 0;
        for (patch, square) in squares.iter().enumerate().take(self.nearest.len()) {
            let (square, row, count) = self.find(simd, patch, *square);
            self.nearest[patch] = (square.sqrt() as f32, row as i64);
            measured += count;
        }
        measured
    }
}

impl Block<'_> {
    /// Writes the patches, their coordinates and their short sketches down; gives their squared norms less the centre.
    #[inline(always)]
    fn sketch<S: Simd>(&mut self, simd: S) -> [f64; BLOCK] {
        let Desk { patches, coordinates, sums, columns, .. } = &mut *self.desk;
        let (channels, axes) = (self.bank.channels, self.bank.axes.count);
        let tiles = self.first / TILE..(self.first + self.nearest.len()).div_ceil(TILE);
        self.projection.write(simd, tiles.clone(), &mut sums[..tiles.len()], coordinates);
        let depth = axes.min(SHORT) + 1;
        let mut squares = [0.0; BLOCK];
        for patch in 0..self.nearest.len() {
            let whole = &mut patches[patch * channels..(patch + 1) * channels];
            self.grid.write(self.first + patch, whole);
            squares[patch] = squared_distance(whole, &self.bank.centre);
            let columns = &mut columns[patch / TILE * depth..][..depth];
            let short = with_rest(&coordinates[patch * axes..(patch + 1) * axes], SHORT, squares[patch], self.rounding);
            columns.iter_mut().zip(short).for_each(|(column, value)| column[patch % TILE] = value);
        }
        squares
    }

    /// Compares the patches with all rows in short.
    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S) {
        let Desk { columns, scores, peaks, .. } = &mut *self.desk;
        let panels = self.bank.sketches.short.iter().zip(self.bias.chunks(PANEL));
        for ((lines, bias), (sums, peaks)) in panels.zip(scores.chunks_exact_mut(TILES).zip(peaks.chunks_exact_mut(BLOCK))) {
            let mut start = Line([f32::NEG_INFINITY; PANEL]);
            start.0.iter_mut().zip(bias).for_each(|(start, bias)| *start = -bias);
            let sums = &mut sums[..self.nearest.len().div_ceil(TILE)];
            sums.fill([start; TILE]);
            Product { lines, columns, sums: &mut *sums }.with_simd(simd);
            for (sum, peak) in sums.as_flattened().iter().zip(peaks) {
                *peak = largest(simd, &sum.0);
            }
        }
    }

    /// The nearest row of a patch with this square: squared distance, row, and how many rows were measured.
    #[inline(always)]
    fn find<S: Simd>(&mut self, simd: S, patch: usize, square: f64) -> (f64, usize, u64) {
        let Desk { patches, coordinates, scores, peaks, long, candidates, .. } = &mut *self.desk;
        let (bank, rounding) = (self.bank, self.rounding);
        let whole = &patches[patch * bank.channels..(patch + 1) * bank.channels];
        let peaks = || peaks.iter().skip(patch).step_by(BLOCK).enumerate();
        let scores = |panel: usize| &scores[panel * TILES + patch / TILE][patch % TILE].0;
        let (mut panel, mut best) = (0, f32::NEG_INFINITY);
        for (number, peak) in peaks() {
            if *peak > best {
                (panel, best) = (number, *peak);
            }
        }
        // A patch with NaN scores nothing; it is compared with row 0 and gets a NaN distance.
        let lane = scores(panel).iter().position(|score| *score == best).unwrap_or(0);
        let mut row = if best > f32::NEG_INFINITY { panel * PANEL + lane } else { 0 };
        let mut nearest = squared_distance(whole, bank.row(row));
        let mut bar = rounding.bar(square, nearest);
        candidates.clear();
        if !bank.sketches.long.is_empty() {
            let axes = bank.axes.count;
            long.clear();
            long.extend(with_rest(&coordinates[patch * axes..(patch + 1) * axes], axes, square, rounding));
            long.resize(long_len(axes), 0.0);
        }
        for (panel, _) in peaks().filter(|(_, peak)| **peak >= bar) {
            for (lane, score) in scores(panel).iter().enumerate().filter(|(_, score)| **score >= bar) {
                let other = panel * PANEL + lane;
                let score = if long.is_empty() {
                    *score
                } else {
                    let sketch = &bank.sketches.long[other * long.len()..(other + 1) * long.len()];
                    product(simd, long, sketch) - self.bias[other]
                };
                if score >= bar && other != row {
                    candidates.push((score, other));
                }
            }
        }
        candidates.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut measured = 1;
        for &(score, other) in candidates.iter() {
            if score < bar {
                break;
            }
            let square_of_other = squared_distance(whole, bank.row(other));
            measured += 1;
            if square_of_other < nearest || (square_of_other == nearest && other < row) {
                (nearest, row) = (square_of_other, other);
                bar = rounding.bar(square, nearest);
            }
        }
        (nearest, row, measured)
    }
}
