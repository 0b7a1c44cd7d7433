//! Where on a picture defects are planted: on the part, as far as a background can be told from it.

use super::defects::gray_at;
use crate::domain::Picture;
use rand::Rng;

/// Cells along the short side that a picture is divided into.
const CELLS: u32 = 64;
/// Smallest cell, pixels.
const SMALLEST_CELL: u32 = 2;
/// The share of the spread of all gray values that lies between two groups of them, from which on they are two: part and background.
/// Even spread has 0.75, one bell 0.64; parts on a background had 0.70 to 0.92.
const TWO_GROUPS: f64 = 0.68;
/// The share of the cells along the edge of the picture that are of one group if that group is the background.
const OF_ONE_GROUP: f64 = 0.9;
/// The share of the picture that a part takes at least.
const LEAST_PART: f64 = 0.02;

/// The cells of a picture that show the part.
#[derive(Debug, Clone, PartialEq)]
pub struct PartPlaces {
    width: u32,
    height: u32,
    /// Side of a cell, pixels.
    cell: u32,
    /// Upper left corner of each, pixels, and how many cells away the nearest one of the background is; `u32::MAX` without one.
    cells: Vec<((u32, u32), u32)>,
}

impl PartPlaces {
    /// Divides the picture into cells. If their gray values are of two groups, and nearly all cells along the edge of the picture are of one
    /// of them, that one is the background. Else every cell counts.
    pub fn find(picture: &Picture) -> Self {
        let Picture { width, height, .. } = *picture;
        let cell = (width.min(height) / CELLS).max(SMALLEST_CELL);
        let (columns, rows) = (width.div_ceil(cell), height.div_ceil(cell));
        let means: Vec<f64> = (0..rows).flat_map(|row| (0..columns).map(move |column| mean_gray(picture, cell, column, row))).collect();
        let depths = match part_of(&means, columns as usize) {
            Some(part) => depths(&part, columns as usize),
            None => vec![u32::MAX; means.len()],
        };
        let corner = |i: usize| (i as u32 % columns * cell, i as u32 / columns * cell);
        let cells = depths.iter().enumerate().filter(|(_, depth)| **depth > 0).map(|(i, depth)| (corner(i), *depth)).collect();
        Self { width, height, cell, cells }
    }

    /// A place for a defect that reaches `margin` pixels from its middle: within the picture if it is large enough, and on the part as far
    /// as the part is large enough. Thinner places of the part are left out.
    pub fn draw(&self, margin: u32, rng: &mut impl Rng) -> (u32, u32) {
        let deepest = self.cells.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        let wanted = (margin / self.cell).min(deepest / 2).max(1);
        let deep: Vec<(u32, u32)> = self.cells.iter().filter(|(_, depth)| *depth >= wanted).map(|(corner, _)| *corner).collect();
        let (left, top) = deep[rng.random_range(0..deep.len())];
        let inside = |at: u32, length: u32| at.min(length.saturating_sub(margin + 1)).max(margin.min(length / 2));
        let (x, y) = (left + rng.random_range(0..self.cell), top + rng.random_range(0..self.cell));
        (inside(x, self.width), inside(y, self.height))
    }
}

fn mean_gray(picture: &Picture, side: u32, column: u32, row: u32) -> f64 {
    let (columns, rows) = (column * side..((column + 1) * side).min(picture.width), row * side..((row + 1) * side).min(picture.height));
    let count = columns.len() * rows.len();
    let sum: f64 = rows.flat_map(|y| columns.clone().map(move |x| f64::from(gray_at(picture, x, y)))).sum();
    sum / count as f64
}

/// Which cells show the part, if a background can be told from it.
fn part_of(means: &[f64], columns: usize) -> Option<Vec<bool>> {
    let threshold = threshold(means)?;
    let rows = means.len() / columns;
    let edge = (0..means.len()).filter(|i| i % columns == 0 || i % columns == columns - 1 || i / columns == 0 || i / columns == rows - 1);
    let (mut bright, mut all) = (0, 0);
    for i in edge {
        bright += usize::from(means[i] > threshold);
        all += 1;
    }
    let bright_edge = bright as f64 / f64::from(all);
    if bright_edge.max(1.0 - bright_edge) < OF_ONE_GROUP {
        return None;
    }
    let part: Vec<bool> = means.iter().map(|&mean| (mean > threshold) != (bright_edge > 0.5)).collect();
    let taken = part.iter().filter(|&&on_part| on_part).count() as f64;
    (taken >= LEAST_PART * means.len() as f64).then_some(part)
}

/// The gray value that parts two groups best (Otsu); `None` when they are not two.
fn threshold(means: &[f64]) -> Option<f64> {
    let mut sorted = means.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let total: f64 = sorted.iter().sum();
    let spread = sorted.iter().map(|mean| (mean - total / count).powi(2)).sum::<f64>() / count;
    let (mut below, mut best) = (0.0, (0.0, 0.0));
    for (i, pair) in sorted.windows(2).enumerate() {
        below += pair[0];
        let share = (i + 1) as f64 / count;
        let apart = below / (share * count) - (total - below) / ((1.0 - share) * count);
        let between = share * (1.0 - share) * apart * apart;
        if between > best.0 {
            best = (between, f64::midpoint(pair[0], pair[1]));
        }
    }
    (spread > 0.0 && best.0 >= TWO_GROUPS * spread).then_some(best.1)
}

/// For each cell of the part, how many cells away the nearest one of the background is, also across corners; 0 for the background.
fn depths(part: &[bool], columns: usize) -> Vec<u32> {
    let far = part.len() as u32;
    let mut depths: Vec<u32> = part.iter().map(|&on_part| if on_part { far } else { 0 }).collect();
    let mut nearer = |i: usize, back: bool| {
        let (x, row_step) = (i % columns, columns);
        let steps = [(x > 0, 1), (true, row_step), (x + 1 < columns, row_step - 1), (x > 0, row_step + 1)];
        let mirrored = [(x + 1 < columns, 1), (true, row_step), (x > 0, row_step - 1), (x + 1 < columns, row_step + 1)];
        for (there, step) in if back { mirrored } else { steps } {
            let other = if back { Some(i + step).filter(|other| *other < depths.len()) } else { i.checked_sub(step) };
            if let Some(other) = other.filter(|_| there) {
                depths[i] = depths[i].min(depths[other] + 1);
            }
        }
    };
    (0..part.len()).for_each(|i| nearer(i, false));
    (0..part.len()).rev().for_each(|i| nearer(i, true));
    depths
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
    fn defects_lie_whole_on_the_part() {
        let grain = |x: u32, y: u32| ((x * 7 + y * 13) % 5) as u8;
        let on_part = |x: u32, y: u32| (100..180).contains(&x) && (50..120).contains(&y);
        for (part, ground) in [(160, 60), (40, 200)] {
            let picture = picture(|x, y| grain(x, y) + if on_part(x, y) { part } else { ground });
            assert!(places(&picture, 15).into_iter().all(|(x, y)| on_part(x - 9, y - 9) && on_part(x + 9, y + 9)));
            // A larger one than the part lies in its middle.
            assert!(places(&picture, 60).into_iter().all(|(x, y)| (110..170).contains(&x) && (60..110).contains(&y)));
        }
    }

    #[test]
    fn where_the_part_fills_the_picture_every_place_counts() {
        for texture in [picture(|x, y| (x / 8 * 40 + y) as u8), picture(|_, _| 90), picture(|x, _| if x < 128 { 40 } else { 200 })] {
            let found = places(&texture, 20);
            assert!(found.iter().all(|&(x, y)| (20..236).contains(&x) && (20..180).contains(&y)));
            let quarters: std::collections::HashSet<_> = found.iter().map(|&(x, y)| (x < 128, y < 100)).collect();
            assert_eq!(quarters.len(), 4);
        }
    }

    #[test]
    fn tiny_pictures_have_places_too() {
        let tiny = Picture { width: 5, height: 1, channels: 1, bit_depth: 8, samples: Samples::U8(vec![1, 2, 200, 4, 5]) };
        assert!(places(&tiny, 9).into_iter().all(|(x, y)| x < 5 && y == 0));
    }

    #[test]
    fn depth_is_the_way_to_the_background() {
        let part: Vec<bool> = "......###..####..###......".bytes().take(25).map(|b| b == b'#').collect();
        // .....
        // .###.
        // .####
        // ..###
        // .....
        assert_eq!(depths(&part, 5), [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(depths(&[true, true, true, true, false, true], 6), [4, 3, 2, 1, 0, 1]);
        assert_eq!(depths(&[true; 9], 3), [9; 9]);
    }
}
