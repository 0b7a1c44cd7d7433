//! The nearest bank row of each patch of a grid.
//!
//! `argmin |q − r|²` is `argmax q·r − |r|²/2`, and q is put together from feature maps by interpolation, which is linear with weights
//! that sum to 1. So the product with a layer coarser than the grid is taken at the places of its own map, which are fewer, and
//! interpolated afterwards. That happens for 48 bank rows and 512 patches at a time, within the second-level cache; of the
//! products only the best of each patch are remembered. All that rounding could have confused with the best are kept, and their
//! distances are then taken in full from the differences.

use super::bank::Bank;
use super::candidates::Candidates;
use super::grid::PatchGrid;
use super::operand::Operand;
use super::product::{DEPTH, Line, PANEL, Product, TILE};
use super::threads::deal;
use pulp::{Arch, Simd, WithSimd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tiles whose sums are held at a time: 512 patches by 48 rows, 96 KiB.
const BLOCK: usize = 64;
/// Patches whose distances are taken at a time by one thread.
const MEASURED: usize = 32;
/// What one float32 rounding adds at most, relatively.
const ROUNDING: f32 = f32::EPSILON / 2.0;

/// The distance of every patch to its nearest row of `bank`, and the row.
///
/// `bias` `[M]` is half the squared norm of each row less the centre, infinite for a row that does not count. The same bits on any
/// number of threads.
pub(super) fn search(bank: &Bank, bias: &[f32], grid: &PatchGrid, threads: usize) -> (Vec<f32>, Vec<i64>) {
    let operands = Operand::of_grid(grid, &bank.centre, threads);
    let found = candidates(bank, bias, grid, &operands, threads);
    drop(operands);
    let mut nearest = vec![(0.0, 0); grid.len()];
    let work = nearest.chunks_mut(MEASURED).zip(found.chunks(MEASURED)).enumerate();
    deal(work, threads, |(number, (nearest, found))| {
        let mut patch = vec![0.0; bank.channels];
        Arch::new().dispatch(|| {
            for (i, (nearest, found)) in nearest.iter_mut().zip(found).enumerate() {
                grid.write(number * MEASURED + i, &mut patch);
                *nearest = measure(&patch, bank, found);
            }
        });
    });
    nearest.into_iter().unzip()
}

/// For every patch the rows that can be its nearest.
fn candidates(bank: &Bank, bias: &[f32], grid: &PatchGrid, operands: &[Operand], threads: usize) -> Vec<Candidates> {
    let none: Vec<Candidates> = margins(bank, grid, operands).into_iter().map(Candidates::none).collect();
    let next = AtomicUsize::new(0);
    let toil = || {
        let mut found = none.clone();
        let mut sums = vec![[Line::ZERO; TILE]; BLOCK.min(grid.len().div_ceil(TILE))];
        let mut products: Vec<_> = operands.iter().map(|operand| vec![[Line::ZERO; TILE]; operand.coarse_tiles()]).collect();
        loop {
            let panel = next.fetch_add(1, Ordering::Relaxed);
            let (Some(lines), Some(bias)) = (bank.panels.get(panel), bias.chunks(PANEL).nth(panel)) else { return found };
            let first = (panel * PANEL) as u32;
            let (sums, products, found) = (&mut sums, &mut products, &mut found);
            Arch::new().dispatch(PanelSearch { grid, operands, lines, bias, first, products, sums, found });
        }
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(bank.panels.len())).map(|_| scope.spawn(toil)).collect();
        let mut found = toil();
        for helper in helpers {
            let others = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            found.iter_mut().zip(&others).for_each(|(found, other)| found.merge(other));
        }
        found
    })
}

/// How far below the best score of each patch rounding can have pushed its nearest row.
///
/// A sum of n products is wrong by at most about n·u·Σ|products|, u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical
/// Algorithms, section 3.1), and Σ|products| is at most |q||r| by Cauchy-Schwarz. The sums here are at most [`DEPTH`] long; their
/// results are added up one for each `DEPTH` channels, and interpolated by eight roundings. Interpolating the features themselves
/// rounds as often, on values that still have the centre. Two scores can be wrong, so the margin is twice that.
fn margins(bank: &Bank, grid: &PatchGrid, operands: &[Operand]) -> Vec<f32> {
    let long = (DEPTH + bank.channels / DEPTH + 16 * operands.len()) as f32 * ROUNDING;
    let short = 16.0 * ROUNDING;
    let centre = bank.centre.iter().map(|c| c * c).sum::<f32>().sqrt();
    let margin = |patch| {
        let norm = operands.iter().map(|operand| operand.norm(patch, grid.width).powi(2)).sum::<f32>().sqrt();
        2.0 * bank.reach * (long * (norm + bank.reach) + short * (norm + centre))
    };
    (0..grid.len()).map(margin).collect()
}

/// Compares all patches with the rows of one panel.
struct PanelSearch<'a> {
    grid: &'a PatchGrid,
    operands: &'a [Operand<'a>],
    lines: &'a [Line],
    /// For each row of the panel that exists.
    bias: &'a [f32],
    /// Its first row in the bank.
    first: u32,
    /// For each operand room for its products at its own places; none where these are the places of the grid.
    products: &'a mut [Vec<[Line; TILE]>],
    /// Room for a block of patches.
    sums: &'a mut [[Line; TILE]],
    found: &'a mut [Candidates],
}

impl WithSimd for PanelSearch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut start = Line([f32::NEG_INFINITY; PANEL]);
        start.0.iter_mut().zip(self.bias).for_each(|(start, bias)| *start = -bias);
        for (operand, products) in self.operands.iter().zip(self.products.iter_mut()) {
            products.fill([Line::ZERO; TILE]);
            Product { lines: &self.lines[operand.channels.clone()], columns: &operand.columns, sums: products }.with_simd(simd);
        }
        for (number, found) in self.found.chunks_mut(BLOCK * TILE).enumerate() {
            let patches = number * BLOCK * TILE..number * BLOCK * TILE + found.len();
            let sums = &mut self.sums[..found.len().div_ceil(TILE)];
            for (sum, patch) in sums.as_flattened_mut().iter_mut().zip(patches) {
                *sum = start;
                for (operand, products) in self.operands.iter().zip(self.products.iter()) {
                    operand.interpolate(products, patch, self.grid.width, sum);
                }
            }
            for operand in self.operands.iter().filter(|operand| !operand.coarse) {
                let channels = operand.channels.len();
                let columns = operand.columns.chunks(BLOCK * TILE * channels / TILE).nth(number).unwrap_or_default();
                Product { lines: &self.lines[operand.channels.clone()], columns, sums: &mut *sums }.with_simd(simd);
            }
            for (sum, found) in sums.as_flattened().iter().zip(found) {
                let bar = found.bar();
                if sum.0.iter().fold(false, |any, score| any | (*score > bar)) {
                    for (score, row) in sum.0.iter().zip(self.first..) {
                        found.offer(*score, row);
                    }
                }
            }
        }
    }
}

/// The nearest of the rows found for a patch `[D]`: distance and row, of equally near ones the lowest.
#[inline(always)]
fn measure(patch: &[f32], bank: &Bank, found: &Candidates) -> (f32, i64) {
    let mut nearest = (f64::INFINITY, 0);
    for (place, row) in found.rows().enumerate() {
        let square = squared_distance(patch, bank.row(row));
        if place == 0 || square < nearest.0 || (square == nearest.0 && row < nearest.1) {
            nearest = (square, row);
        }
    }
    (nearest.0.sqrt() as f32, nearest.1 as i64)
}

/// `|a − b|²`, summed in float32 over 16 by 16 values and in float64 from there on.
#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(256).zip(b.chunks(256)) {
        let mut sums = [0.0_f32; 16];
        for (a, b) in a.chunks(16).zip(b.chunks(16)) {
            for ((a, b), sum) in a.iter().zip(b).zip(&mut sums) {
                *sum += (a - b) * (a - b);
            }
        }
        total += sums.iter().copied().map(f64::from).sum::<f64>();
    }
    total
}
