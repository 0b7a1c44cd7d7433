//! One small picture of the result: for each product a defective part and the daemon's overlay beside it.

use super::report::Find;
use anyhow::Context;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ImageEncoder, Rgb, RgbImage};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Side of a tile and width of the gap between two, pixels.
const TILE: u32 = 200;
const GAP: u32 = 4;

/// Writes the finds to `path`, one pair beside the other: part, overlay, part, overlay.
pub fn write(finds: &[&Find<'_>], path: &Path) -> anyhow::Result<()> {
    let count = finds.len() as u32 * 2;
    let mut strip = RgbImage::from_pixel(count * (TILE + GAP) - GAP, TILE, Rgb([255; 3]));
    for (index, find) in finds.iter().enumerate() {
        let part = image::load_from_memory(&find.frame.bytes).with_context(|| format!("cannot read {} back", find.frame.name))?;
        let overlay = image::open(find.overlay).with_context(|| format!("cannot read {}", find.overlay))?;
        for (place, picture) in [part, overlay].iter().enumerate() {
            let tile = imageops::resize(&picture.to_rgb8(), TILE, TILE, Resampling::Triangle);
            let left = (2 * index + place) as u32 * (TILE + GAP);
            imageops::replace(&mut strip, &tile, i64::from(left), 0);
        }
    }
    // Sensor noise does not compress. Without the lowest two bits the file is much smaller and looks the same.
    for value in strip.iter_mut() {
        *value = *value & 0xFC | *value >> 6;
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    PngEncoder::new_with_quality(BufWriter::new(file), CompressionType::Best, FilterType::Adaptive)
        .write_image(&strip, strip.width(), strip.height(), image::ExtendedColorType::Rgb8)
        .with_context(|| format!("cannot write {}", path.display()))
}
