//! The side of the patches in a product with the bank.

use super::grid::{LayerMap, PatchGrid};
use super::product::{Column, Line, TILE};
use super::threads::deal;
use pulp::Arch;
use std::ops::Range;

/// Tiles packed at a time by one thread.
const PACKED: usize = 4;
/// Channels of a tile packed at a time.
const STRIP: usize = 64;

/// One layer, packed in tiles.
pub(super) struct Operand<'a> {
    map: &'a LayerMap,
    /// Its channels in a row of the bank.
    pub channels: Range<usize>,
    /// True when the tiles hold the places of the map, which are fewer than the patches; else they hold the patches.
    pub coarse: bool,
    /// `[tiles, channels]`: the values less the centre of the bank. The last tile is filled up with zeros.
    pub columns: Vec<Column>,
}

impl<'a> Operand<'a> {
    /// Packs the layers of a grid, on so many threads. `centre` `[D]` is taken from every patch.
    pub fn of_grid(grid: &'a PatchGrid, centre: &[f32], threads: usize) -> Vec<Self> {
        let mut first = 0;
        let pack = |map: &'a LayerMap| {
            let channels = first..first + map.channels;
            first = channels.end;
            Self::pack(map, grid, channels.clone(), &centre[channels], threads)
        };
        grid.layers.iter().map(pack).collect()
    }

    fn pack(map: &'a LayerMap, grid: &PatchGrid, channels: Range<usize>, centre: &[f32], threads: usize) -> Self {
        let coarse = map.len() < grid.len();
        let places = map.len().min(grid.len());
        let count = channels.len();
        let mut columns = vec![[0.0; TILE]; places.div_ceil(TILE) * count];
        let work = columns.chunks_mut(PACKED * count.max(1)).enumerate();
        deal(work, threads, |(number, columns)| {
            let mut values = vec![0.0; TILE * count];
            Arch::new().dispatch(|| {
                for (tile, columns) in columns.chunks_mut(count).enumerate() {
                    let start = (number * PACKED + tile) * TILE;
                    let filled = start..(start + TILE).min(places);
                    for (place, values) in filled.clone().zip(values.chunks_mut(count)) {
                        match coarse {
                            true => values.copy_from_slice(map.at(place)),
                            false => map.interpolate(&map.corners(place, grid.width), values),
                        }
                        values.iter_mut().zip(centre).for_each(|(value, centre)| *value -= centre);
                    }
                    interleave(&values[..filled.len() * count], columns);
                }
            });
        });
        Self { map, channels, coarse, columns }
    }

    /// Tiles that products at the places of the map need; 0 when the tiles hold the patches.
    pub fn coarse_tiles(&self) -> usize {
        if self.coarse { self.map.len().div_ceil(TILE) } else { 0 }
    }

    /// Adds to `sum` what `products` at the places of the map, if there are any, come to for a patch.
    #[inline(always)]
    pub fn interpolate(&self, products: &[[Line; TILE]], patch: usize, width: usize, sum: &mut Line) {
        if self.coarse {
            let products = products.as_flattened();
            let [(a, u), (b, v), (c, w), (d, x)] = self.map.corners(patch, width);
            let (a, b, c, d) = (&products[a], &products[b], &products[c], &products[d]);
            for ((((sum, a), b), c), d) in sum.0.iter_mut().zip(&a.0).zip(&b.0).zip(&c.0).zip(&d.0) {
                *sum += a * u + b * v + (c * w + d * x);
            }
        }
    }
}

/// From the patches of a tile `[8, channels]` to its channels `[channels, 8]`.
#[inline(always)]
fn interleave(values: &[f32], columns: &mut [Column]) {
    let count = columns.len();
    for from in (0..count).step_by(STRIP) {
        let until = (from + STRIP).min(count);
        for (row, values) in values.chunks(count).enumerate() {
            for (column, value) in columns[from..until].iter_mut().zip(&values[from..until]) {
                column[row] = *value;
            }
        }
    }
}
