//! The coordinates of the patches of a grid on axes.
//!
//! A patch is put together from feature maps by interpolation, which is linear. So the product with a layer coarser than the grid is taken
//! at the places of its own map, which are fewer, and interpolated afterwards.

use super::axes::Axes;
use super::grid::PatchGrid;
use super::operand::Operand;
use super::product::{Line, PANEL, Product, TILE};
use super::threads::deal;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Tiles of a coarse map multiplied at a time by one thread.
const TILES: usize = 16;

/// A grid, less a centre, ready to be read as coordinates.
pub(super) struct Projection<'a> {
    grid: &'a PatchGrid,
    axes: &'a Axes,
    operands: Vec<Operand<'a>>,
    /// For each operand, for each panel of axes, the products at the places of its map; none where these are the places of the grid.
    products: Vec<Vec<Vec<[Line; TILE]>>>,
}

impl<'a> Projection<'a> {
    /// Packs `grid` on so many threads. `centre` `[D]` is taken from every patch.
    pub fn new(grid: &'a PatchGrid, centre: &[f32], axes: &'a Axes, threads: usize) -> Self {
        let operands = Operand::of_grid(grid, centre, threads);
        let room = |operand: &Operand| axes.panels.iter().map(|_| vec![[Line::ZERO; TILE]; operand.coarse_tiles()]).collect();
        let mut products: Vec<Vec<Vec<[Line; TILE]>>> = operands.iter().map(room).collect();
        let work = operands.iter().zip(&mut products).flat_map(|(operand, products)| {
            let columns = TILES * operand.channels.len();
            products.iter_mut().zip(&axes.panels).flat_map(move |(products, panel)| {
                let lines = &panel[operand.channels.clone()];
                products.chunks_mut(TILES).zip(operand.columns.chunks(columns)).map(move |(sums, columns)| Product { lines, columns, sums })
            })
        });
        deal(work, threads, |product| Arch::new().dispatch(product));
        Self { grid, axes, operands, products }
    }

    /// Writes the coordinates `[patches, K]` of the patches of some tiles. `sums` is room for these tiles.
    #[inline(always)]
    pub fn write<S: Simd>(&self, simd: S, tiles: Range<usize>, sums: &mut [[Line; TILE]], coordinates: &mut [f32]) {
        for (number, panel) in self.axes.panels.iter().enumerate() {
            for (sum, patch) in sums.as_flattened_mut().iter_mut().zip(tiles.start * TILE..self.grid.len()) {
                *sum = Line::ZERO;
                for (operand, products) in self.operands.iter().zip(&self.products) {
                    operand.interpolate(&products[number], patch, self.grid.width, sum);
                }
            }
            for operand in self.operands.iter().filter(|operand| !operand.coarse) {
                let channels = operand.channels.len();
                let columns = &operand.columns[tiles.start * channels..tiles.end * channels];
                Product { lines: &panel[operand.channels.clone()], columns, sums: &mut *sums }.with_simd(simd);
            }
            for (sum, coordinates) in sums.as_flattened().iter().zip(coordinates.chunks_exact_mut(self.axes.count)) {
                let first = number * PANEL;
                coordinates[first..].iter_mut().zip(&sum.0).for_each(|(to, value)| *to = *value);
            }
        }
    }
}
