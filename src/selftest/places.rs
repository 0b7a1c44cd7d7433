//! Where on a picture defects are planted: on the part, as far as a plain background can be told from it.

use super::defects::{gray_at, grey_range};
use crate::domain::Picture;
use rand::Rng;

/// Cells along the short side that a picture is divided into.
const CELLS: u32 = 32;
/// Smallest cell, pixels.
const SMALLEST_CELL: u32 = 4;
/// Two gray values differ when they are further apart than this share of the grey range.
const DIFFERENT: f32 = 0.1;
/// A background is plain when the cells along the edge of the picture differ by no more than this share of the grey range.
const PLAIN: f32 = 0.2;
/// A part that takes less than this share of the picture was not told from the background.
const LEAST_PART: f32 = 0.02;

/// The cells of a picture that show the part.
#[derive(Debug, Clone, PartialEq)]
pub struct PartPlaces {
    width: u32,
    height: u32,
    /// Side of a cell, pixels.
    cell: u32,
    /// Upper left corners, pixels.
    corners: Vec<(u32, u32)>,
}

/// Mean and spread of the gray values of a cell.
struct Cell {
    column: u32,
    row: u32,
    mean: f32,
    deviation: f32,
}

impl PartPlaces {
    /// Divides the picture into cells. If those along its edge look alike, they show a plain background, and only cells that differ from
    /// it count; of these, cells within the part come before cells at its outline. Else, or if hardly anything differs, every cell counts.
    pub fn find(picture: &Picture) -> Self {
        let cell = (picture.width.min(picture.height) / CELLS).max(SMALLEST_CELL);
        let (columns, rows) = (picture.width.div_ceil(cell), picture.height.div_ceil(cell));
        let cells: Vec<Cell> = (0..rows).flat_map(|row| (0..columns).map(move |column| measured(picture, cell, column, row))).collect();
        let on_part = part_of(&cells, (columns, rows), grey_range(picture));
        let corners = cells.iter().zip(on_part).filter(|(_, on_part)| *on_part).map(|(c, _)| (c.column * cell, c.row * cell)).collect();
        Self { width: picture.width, height: picture.height, cell, corners }
    }

    /// A place that keeps `margin` pixels from every edge of the picture, if the picture is large enough.
    pub fn draw(&self, margin: u32, rng: &mut impl Rng) -> (u32, u32) {
        let (left, top) = self.corners[rng.random_range(0..self.corners.len())];
        let inside = |at: u32, length: u32| at.min(length.saturating_sub(margin + 1)).max(margin.min(length / 2));
        let (x, y) = (left + rng.random_range(0..self.cell), top + rng.random_range(0..self.cell));
        (inside(x, self.width), inside(y, self.height))
    }
}

fn measured(picture: &Picture, side: u32, column: u32, row: u32) -> Cell {
    let (right, bottom) = (((column + 1) * side).min(picture.width), ((row + 1) * side).min(picture.height));
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    for y in row * side..bottom {
        for x in column * side..right {
            let gray = f64::from(gray_at(picture, x, y));
            (count, sum, squares) = (count + 1.0, sum + gray, squares + gray * gray);
        }
    }
    let mean = sum / count;
    Cell { column, row, mean: mean as f32, deviation: (squares / count - mean * mean).max(0.0).sqrt() as f32 }
}

fn part_of(cells: &[Cell], (columns, rows): (u32, u32), range: f32) -> Vec<bool> {
    let everything = vec![true; cells.len()];
    let edge: Vec<&Cell> = cells.iter().filter(|c| c.column == 0 || c.row == 0 || c.column + 1 == columns || c.row + 1 == rows).collect();
    let sorted = |value: fn(&Cell) -> f32| {
        let mut values: Vec<f32> = edge.iter().map(|cell| value(cell)).collect();
        values.sort_unstable_by(f32::total_cmp);
        values
    };
    let (means, deviations) = (sorted(|cell| cell.mean), sorted(|cell| cell.deviation));
    let (tenth, middle) = (means.len() / 10, means.len() / 2);
    if means[means.len() - 1 - tenth] - means[tenth] > PLAIN * range {
        return everything;
    }
    let differs = |cell: &Cell| {
        (cell.mean - means[middle]).abs() > DIFFERENT * range || cell.deviation > 2.0 * deviations[middle] + DIFFERENT / 2.0 * range
    };
    let part: Vec<bool> = cells.iter().map(differs).collect();
    let enough = |chosen: &[bool]| chosen.iter().filter(|&&chosen| chosen).count() as f32 > LEAST_PART * cells.len() as f32;
    let at = |column: u32, row: u32| column < columns && row < rows && part[(row * columns + column) as usize];
    let within = |cell: &Cell| {
        let (x, y) = (cell.column, cell.row);
        at(x, y) && at(x.wrapping_sub(1), y) && at(x + 1, y) && at(x, y.wrapping_sub(1)) && at(x, y + 1)
    };
    let inner: Vec<bool> = cells.iter().map(within).collect();
    [inner, part].into_iter().find(|chosen| enough(chosen)).unwrap_or(everything)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Samples;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn picture(gray: impl Fn(u32, u32) -> u8) -> Picture {
        let samples = Samples::U8((0..256 * 200).map(|i| gray(i % 256, i / 256)).collect());
        Picture { width: 256, height: 200, channels: 1, bit_depth: 8, samples }
    }

    fn places(picture: &Picture, margin: u32) -> Vec<(u32, u32)> {
        let (found, mut rng) = (PartPlaces::find(picture), ChaCha8Rng::seed_from_u64(3));
        (0..500).map(|_| found.draw(margin, &mut rng)).collect()
    }

    #[test]
    fn defects_lie_on_the_part_and_not_on_its_background() {
        let grain = |x: u32, y: u32| ((x * 7 + y * 13) % 5) as u8;
        let on_part = |x: u32, y: u32| (100..180).contains(&x) && (50..120).contains(&y);
        let part = picture(|x, y| grain(x, y) + if on_part(x, y) { 160 } else { 60 });
        assert!(places(&part, 5).into_iter().all(|(x, y)| on_part(x, y)));
    }

    #[test]
    fn where_the_part_fills_the_picture_every_place_counts() {
        for texture in [picture(|x, y| (x / 8 * 40 + y) as u8), picture(|_, _| 90)] {
            let found = places(&texture, 20);
            assert!(found.iter().all(|&(x, y)| (20..236).contains(&x) && (20..180).contains(&y)));
            let quarters: std::collections::HashSet<_> = found.iter().map(|&(x, y)| (x < 128, y < 100)).collect();
            assert_eq!(quarters.len(), 4);
        }
    }

    #[test]
    fn tiny_pictures_have_places_too() {
        let tiny = Picture { width: 5, height: 1, channels: 1, bit_depth: 8, samples: Samples::U8(vec![1; 5]) };
        assert!(places(&tiny, 9).into_iter().all(|(x, y)| x < 5 && y == 0));
    }
}
