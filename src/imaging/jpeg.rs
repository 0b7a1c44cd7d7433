//! JPEG files that appear complete or not at all.

use super::error::ImageError;
use crate::platform::files;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::io;
use std::path::Path;

/// At this quality the lines of an overlay stay sharp; an overlay has a tenth of the bytes of a PNG.
const QUALITY: u8 = 90;

/// Writes RGB pixels, three bytes each, row by row.
///
/// # Errors
/// [`ImageError::Write`] with the path; an earlier file is then still there. A side of more than 65,535 pixels is an error.
pub fn write_jpeg(path: &Path, width: u32, height: u32, pixels: &[u8]) -> Result<(), ImageError> {
    files::replace(path, |file| {
        JpegEncoder::new_with_quality(file, QUALITY).write_image(pixels, width, height, ExtendedColorType::Rgb8).map_err(
            |error| match error {
                image::ImageError::IoError(e) => e,
                other => io::Error::other(other),
            },
        )
    })
    .map_err(|source| ImageError::Write { path: path.to_owned(), source })
}
