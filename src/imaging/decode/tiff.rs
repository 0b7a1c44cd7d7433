//! TIFF, first page, by `image`.

use super::samples::Raw;
use super::{DecodeLimits, Fault, read_pixels};
use image::ImageDecoder;
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raw, Fault> {
    let mut decoder = image::codecs::tiff::TiffDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    decoder.set_limits(limits.for_decoder())?;
    read_pixels(decoder, limits)
}
