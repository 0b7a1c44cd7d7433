//! A picture of one defect of each kind and size, framed as found or missed.

use super::report::{Example, SelfTestReport};
use crate::domain::PlantedKind;
use crate::imaging::text::{TextPlate, TextSize};
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

/// Side of a tile with its frame, and the gap between two, pixels.
const TILE: u32 = 180;
const FRAME: u32 = 7;
const GAP: u32 = 10;
/// Room for the names of the rows, and for the sizes above the columns, pixels.
const LEFT: u32 = 100;
const TOP: u32 = 34;

const GROUND: Rgb<u8> = Rgb([0; 3]);
/// Blue and orange of the palette of Okabe and Ito, which colour-blind people tell apart. A word in each tile says the same.
const FOUND: Rgb<u8> = Rgb([86, 180, 233]);
const MISSED: Rgb<u8> = Rgb([230, 159, 0]);

/// The examples of the report: a row for each kind, a column for each size. A found defect has a blue frame, a missed one an orange one.
pub fn grid(report: &SelfTestReport) -> RgbImage {
    let mut kinds: Vec<PlantedKind> = Vec::new();
    let mut sizes: Vec<u32> = Vec::new();
    for Example { kind, size, .. } in &report.examples {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
        if !sizes.contains(size) {
            sizes.push(*size);
        }
    }
    let (columns, rows) = (sizes.len() as u32, kinds.len() as u32);
    let mut out = RgbImage::from_pixel(LEFT + columns * (TILE + GAP), TOP + rows * (TILE + GAP), GROUND);
    let place = |column: usize, row: usize| (LEFT + column as u32 * (TILE + GAP), TOP + row as u32 * (TILE + GAP));
    for (column, size) in sizes.iter().enumerate() {
        let (left, _) = place(column, 0);
        TextPlate::new(&[format!("{size} px")], TextSize::LARGE).draw_at(&mut out, (left, 2));
    }
    for (row, kind) in kinds.iter().enumerate() {
        let (_, top) = place(0, row);
        let lines = [kind.to_string(), format!("{} %", report.medium_contrast)];
        TextPlate::new(&lines, TextSize::LARGE).draw_at(&mut out, (2, top));
    }
    for example in &report.examples {
        let (column, row) = (sizes.iter().position(|size| *size == example.size), kinds.iter().position(|kind| *kind == example.kind));
        let (left, top) = place(column.unwrap_or(0), row.unwrap_or(0));
        replace(&mut out, &tile(example, report), i64::from(left), i64::from(top));
    }
    out
}

fn tile(example: &Example, report: &SelfTestReport) -> RgbImage {
    let mut tile = RgbImage::from_pixel(TILE, TILE, if example.found { FOUND } else { MISSED });
    let side = TILE - 2 * FRAME;
    // Small pieces keep their pixels.
    let filter = if example.picture.width() < side { FilterType::Nearest } else { FilterType::Triangle };
    replace(&mut tile, &resize(&example.picture, side, side, filter), i64::from(FRAME), i64::from(FRAME));
    let count = report.cells_of(example.kind, report.medium_contrast).find(|cell| cell.length == example.size);
    let count = count.map(|cell| format!(", {} of {}", cell.found, cell.planted)).unwrap_or_default();
    let text = format!("{}{count}", if example.found { "found" } else { "missed" });
    let plate = TextPlate::new(&[text], TextSize::SMALL);
    plate.draw_at(&mut tile, (FRAME, TILE - FRAME - plate.height()));
    tile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_and_missed_have_frames_of_their_own() {
        let example = |kind, size, found| Example { kind, size, found, picture: RgbImage::from_pixel(40, 40, Rgb([70; 3])) };
        let (scratch, spot) = (PlantedKind::Scratch, PlantedKind::Spot);
        let examples = vec![example(scratch, 8, false), example(scratch, 16, true), example(spot, 8, true), example(spot, 16, true)];
        let out = grid(&SelfTestReport { examples, ..SelfTestReport::default() });
        assert_eq!(out.dimensions(), (LEFT + 2 * (TILE + GAP), TOP + 2 * (TILE + GAP)));
        let frame = |column: u32, row: u32| *out.get_pixel(LEFT + column * (TILE + GAP) + 2, TOP + row * (TILE + GAP) + 2);
        assert_eq!([frame(0, 0), frame(1, 0), frame(0, 1), frame(1, 1)], [MISSED, FOUND, FOUND, FOUND]);
        assert_eq!(*out.get_pixel(LEFT + TILE / 2, TOP + TILE / 2), Rgb([70; 3]));
        assert_eq!(grid(&SelfTestReport::default()).dimensions(), (LEFT, TOP));
    }
}
