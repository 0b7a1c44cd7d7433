//! PNG files that appear complete or not at all.

use super::error::ImageError;
use crate::platform::files;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::io;
use std::path::Path;

/// Writes gray pixels, one byte each, row by row.
///
/// # Errors
/// [`ImageError::Write`] with the path; an earlier file is then still there.
pub fn write_gray(path: &Path, width: u32, height: u32, pixels: &[u8]) -> Result<(), ImageError> {
    write(path, width, height, pixels, ExtendedColorType::L8)
}

/// Writes RGB pixels, three bytes each, row by row.
///
/// # Errors
/// As [`write_gray`].
pub fn write_rgb(path: &Path, width: u32, height: u32, pixels: &[u8]) -> Result<(), ImageError> {
    write(path, width, height, pixels, ExtendedColorType::Rgb8)
}

fn write(path: &Path, width: u32, height: u32, pixels: &[u8], color: ExtendedColorType) -> Result<(), ImageError> {
    files::replace(path, |file| {
        // Measured on an overlay of 1130 x 460: 573 KB in 3.7 ms. `Up` takes 3.0 ms for 736 KB, `Adaptive` 15.7 ms for 572 KB, and the
        // default level 90 ms for 401 KB. A mask takes 4 KB and 0.1 ms, a heat map 164 KB and 1.3 ms.
        PngEncoder::new_with_quality(file, CompressionType::Fast, FilterType::Paeth).write_image(pixels, width, height, color).map_err(
            |error| match error {
                image::ImageError::IoError(e) => e,
                other => io::Error::other(other),
            },
        )
    })
    .map_err(|source| ImageError::Write { path: path.to_owned(), source })
}
