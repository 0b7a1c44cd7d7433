//! Short vectors in place of long ones: whatever is far away in short is at least as far away in full.
//!
//! The sketch of a vector x has its coordinates on some orthonormal axes and, as one more value, the norm ρ of what is left of it.
//! With h = |r|²/2 the score q·r − h is the larger the nearer row r is to patch q: |q − r|² = |q|² − 2 (q·r − h). By Cauchy-Schwarz
//! the product of two sketches is at least the product of the vectors. So the score of a row in short is at least its score in full, and a row
//! whose score in short is below that of a row measured in full cannot be nearer.

use super::axes::{Axes, SKEW};
use super::grid::PatchGrid;
use super::product::{DEPTH, Line, PANEL, TILE};
use super::projection::Projection;
use super::threads::deal;
use pulp::{Arch, Simd, WithSimd};

/// Coordinates of the sketch that every row has; together with ρ one more.
pub(super) const SHORT: usize = 48;
/// What one float32 rounding adds at most, relatively.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
/// Long sketches are filled up with zeros to a multiple of so many values: the widest vectors.
pub(super) const STEP: usize = 16;
/// Panels of rows sketched at a time by one thread.
const PANELS: usize = 4;

/// The sketches of all rows of a bank, less its centre.
pub(super) struct Sketches {
    /// For every 48 rows one line for each coordinate and one for ρ: of the first 48 axes, or of all where there are fewer.
    pub short: Vec<Vec<Line>>,
    /// `[M, K + 1, filled up]`: of all axes. Empty where they are no more than 48, or as many as a row has values.
    pub long: Vec<f32>,
}

impl Sketches {
    /// Of rows `[M, D]`. `squares` `[M]` are their squared norms less `centre` `[D]`. On so many threads.
    pub fn of(rows: &[f32], centre: &[f32], squares: &[f64], axes: &Axes, rounding: Rounding, threads: usize) -> Self {
        let (channels, count) = (centre.len(), squares.len());
        let mut short = vec![vec![Line::ZERO; axes.count.min(SHORT) + 1]; count.div_ceil(PANEL)];
        let is_long = SHORT < axes.count && axes.count < channels;
        let mut long = vec![0.0; if is_long { count * long_len(axes.count) } else { 0 }];
        // Where there are no long ones each thread gets none of them.
        let longs = long.chunks_mut(PANELS * PANEL * long_len(axes.count)).map(Some).chain(std::iter::repeat_with(|| None));
        let rows = rows.chunks(PANELS * PANEL * channels).zip(squares.chunks(PANELS * PANEL));
        deal(short.chunks_mut(PANELS).zip(longs).zip(rows), threads, |((short, long), (rows, squares))| {
            let grid = PatchGrid::of_values(rows.to_vec(), channels);
            let projection = Projection::new(&grid, centre, axes, 1);
            Arch::new().dispatch(SketchRows { projection, squares, axes, rounding, short, long });
        });
        Self { short, long }
    }
}

/// Sketches some panels of rows.
struct SketchRows<'a> {
    projection: Projection<'a>,
    squares: &'a [f64],
    axes: &'a Axes,
    rounding: Rounding,
    short: &'a mut [Vec<Line>],
    long: Option<&'a mut [f32]>,
}

impl WithSimd for SketchRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (count, axes) = (self.squares.len(), self.axes.count);
        let tiles = 0..count.div_ceil(TILE);
        let mut coordinates = vec![0.0; count * axes];
        self.projection.write(simd, tiles.clone(), &mut vec![[Line::ZERO; TILE]; tiles.end], &mut coordinates);
        let mut long = self.long;
        for (row, square) in self.squares.iter().enumerate() {
            let coordinates = &coordinates[row * axes..(row + 1) * axes];
            let (short, lane) = (&mut self.short[row / PANEL], row % PANEL);
            for (line, value) in short.iter_mut().zip(with_rest(coordinates, SHORT, *square, self.rounding)) {
                line.0[lane] = value;
            }
            if let Some(long) = &mut long {
                let long = &mut long[row * long_len(axes)..(row + 1) * long_len(axes)];
                long.iter_mut().zip(with_rest(coordinates, axes, *square, self.rounding)).for_each(|(to, value)| *to = value);
            }
        }
    }
}

/// Values of a long sketch on so many axes.
pub(super) fn long_len(axes: usize) -> usize {
    (axes + 1).next_multiple_of(STEP)
}

/// The first of some coordinates, at most so many, then the ρ that goes with them.
#[inline(always)]
pub(super) fn with_rest(coordinates: &[f32], most: usize, square: f64, rounding: Rounding) -> impl Iterator<Item = f32> {
    let coordinates = &coordinates[..coordinates.len().min(most)];
    let of_coordinates = f64::from(coordinates.iter().map(|value| value * value).sum::<f32>());
    coordinates.iter().copied().chain(std::iter::once(rounding.rest(square, of_coordinates)))
}

/// What rounding can do to a sketch and to the product of two.
#[derive(Clone, Copy)]
pub(super) struct Rounding {
    /// How far the coordinates of a vector can be from the true ones: a share of its norm, and so much more.
    share: f64,
    more: f64,
    /// The largest norm of a row.
    reach: f64,
}

impl Rounding {
    /// For vectors of as many values as `centre` that are put together from `layers` maps.
    ///
    /// A sum of n products is wrong by at most about n·u·Σ|products|, u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical
    /// Algorithms, section 3.1). The sums here are at most [`DEPTH`] long; their results are added up one for each `DEPTH` channels, and
    /// interpolated by eight roundings. Interpolating the features themselves rounds as often, on values that still have the centre.
    pub fn new(centre: &[f32], layers: usize, axes: &Axes, reach: f32) -> Self {
        let channels = centre.len();
        let sums = (DEPTH.min(channels) + channels / DEPTH + 16 * layers) as f64 * ROUNDING;
        let of_centre = f64::from(centre.iter().map(|value| value * value).sum::<f32>()).sqrt();
        Self { share: sums * (axes.count as f64).sqrt() + f64::from(SKEW), more: 16.0 * ROUNDING * of_centre, reach: f64::from(reach) }
    }

    /// How far the coordinates of a vector of this norm can be from the true ones.
    #[inline(always)]
    fn of(self, norm: f64) -> f64 {
        self.share * norm + self.more
    }

    /// ρ, never less than it should be, of a vector with this square whose coordinates have that square.
    #[inline(always)]
    pub fn rest(self, square: f64, of_coordinates: f64) -> f32 {
        let wrong = self.of(square.sqrt());
        ((square - of_coordinates).max(0.0) + 3.0 * wrong * square.sqrt() + wrong * wrong).sqrt() as f32
    }

    /// The score below which no row can be nearer than `nearest` (squared) to a patch with the square `square`.
    #[inline(always)]
    pub fn bar(self, square: f64, nearest: f64) -> f32 {
        let (norm, reach) = (square.sqrt(), self.reach);
        let sketches = 1.5 * (self.of(norm) * reach + self.of(reach) * norm);
        let products = 300.0 * ROUNDING * norm * reach + 100.0 * ROUNDING * (square + nearest + reach * reach);
        ((square - nearest) / 2.0 - sketches - products) as f32
    }
}
