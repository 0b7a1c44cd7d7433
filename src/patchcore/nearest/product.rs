//! Products of patches with one panel of bank rows, in the widest vectors that the processor has.
//!
//! Both sides are packed: a panel holds 48 rows side by side for each channel, a tile 8 patches. The innermost loop then multiplies
//! 8 patch values with 48 rows that lie in three AVX-512 registers, and the 24 running sums never leave theirs; AVX2 has fewer
//! and narrower registers and takes 4 patches with 16 rows. Both come to over nine tenths of what the processor can multiply.
//! Every sum is built in the same order whatever the thread and the neighbours in the tile, so the results are the same bits.

use pulp::{Simd, WithSimd};

/// Bank rows of a panel.
pub(super) const PANEL: usize = 48;
/// Patches of a tile.
pub(super) const TILE: usize = 8;
/// Channels summed before the sum is added to what was there: 256 lines of a panel fill the first-level cache of 48 KiB, and
/// short sums round less.
pub(super) const DEPTH: usize = 256;

/// One value for each row of a panel, on cache lines of its own.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub [f32; PANEL]);

impl Line {
    /// All zero.
    pub const ZERO: Self = Self([0.0; PANEL]);
}

/// One channel of the patches of a tile.
pub(super) type Column = [f32; TILE];

/// Adds the products over `lines.len()` channels to `sums`: one tile for each `lines.len()` of `columns`.
pub(super) struct Product<'a> {
    /// The channels of one panel.
    pub lines: &'a [Line],
    /// The channels of tile 0, then those of tile 1, …
    pub columns: &'a [Column],
    /// For each tile its patches, for each of them the products with the rows of the panel.
    pub sums: &'a mut [[Line; TILE]],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.lines.len();
        for from in (0..channels).step_by(DEPTH) {
            let until = (from + DEPTH).min(channels);
            let lines = &self.lines[from..until];
            for (columns, sums) in self.columns.chunks_exact(channels).zip(self.sums.iter_mut()) {
                let columns = &columns[from..until];
                match S::F32_LANES {
                    16 => add::<S, 8, 3>(simd, lines, columns, sums),
                    8 => add::<S, 4, 2>(simd, lines, columns, sums),
                    _ => add::<S, 4, 4>(simd, lines, columns, sums),
                }
            }
        }
    }
}

/// One tile, `ROWS` patches and `VECTORS` vectors of bank rows at a time.
#[inline(always)]
fn add<S: Simd, const ROWS: usize, const VECTORS: usize>(simd: S, lines: &[Line], columns: &[Column], sums: &mut [Line; TILE]) {
    let width = VECTORS * S::F32_LANES;
    for row in (0..TILE).step_by(ROWS) {
        for lane in (0..PANEL).step_by(width) {
            let mut running = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
            for (line, column) in lines.iter().zip(columns) {
                let line = S::as_simd_f32s(&line.0[lane..lane + width]).0;
                let line: [S::f32s; VECTORS] = std::array::from_fn(|v| line[v]);
                for (r, running) in running.iter_mut().enumerate() {
                    let value = simd.splat_f32s(column[row + r]);
                    for (sum, rows) in running.iter_mut().zip(line) {
                        *sum = simd.mul_add_e_f32s(value, rows, *sum);
                    }
                }
            }
            for (r, running) in running.iter().enumerate() {
                let sums = S::as_mut_simd_f32s(&mut sums[row + r].0[lane..lane + width]).0;
                for (sum, running) in sums.iter_mut().zip(running) {
                    *sum = simd.add_f32s(*sum, *running);
                }
            }
        }
    }
}
