//! One picture of the result: a row for each product, with parts and the daemon's overlays beside them.

use super::defects::DefectKind;
use super::photo::SIDE;
use super::plan::{PartTruth, jpeg};
use super::report::Find;
use anyhow::Context;
use image::{Rgb, RgbImage, imageops};
use std::fs;
use std::path::Path;

/// What it shows, row by row: kinds that a person knows, and that are not all easy to see.
const SHOWN: [DefectKind; 4] = [DefectKind::Scratch, DefectKind::MissingHole, DefectKind::Tear, DefectKind::StrayThread];
/// The width of the gap between two tiles, pixels.
const GAP: u32 = 4;

/// Writes the picture: part, overlay, part, overlay in each row. The tiles of a kind that was not found stay white.
pub fn write(finds: &[Find<'_>], path: &Path) -> anyhow::Result<()> {
    let across = |tiles: u32| tiles * (SIDE + GAP) - GAP;
    let mut picture = RgbImage::from_pixel(across(4), across(2), Rgb([255; 3]));
    let places = [(0, 0), (0, 2), (1, 0), (1, 2)];
    for (kind, (row, column)) in SHOWN.iter().zip(places) {
        let Some(find) = finds.iter().find(|find| find.frame.truth == PartTruth::Defect(*kind)) else { continue };
        let part = image::load_from_memory(&find.frame.bytes).with_context(|| format!("cannot read {} back", find.frame.name))?;
        let overlay = image::open(find.overlay).with_context(|| format!("cannot read {}", find.overlay))?;
        for (tile, column) in [part, overlay].iter().zip(column..) {
            let place = |number: u32| i64::from(number * (SIDE + GAP));
            imageops::replace(&mut picture, &tile.to_rgb8(), place(column), place(row));
        }
    }
    fs::write(path, jpeg(&picture)?).with_context(|| format!("cannot write {}", path.display()))
}
