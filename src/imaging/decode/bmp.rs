//! BMP, uncompressed, by `image`, which fails on missing rows.

use super::samples::Raw;
use super::{DecodeLimits, Fault, read_pixels, take};
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raw, Fault> {
    let header_size = u32::from_le_bytes(take(bytes, 14)?);
    // The compression field stands at byte 30, except in the short header of OS/2, which has none.
    if header_size >= 40 && matches!(u32::from_le_bytes(take(bytes, 30)?), 1 | 2) {
        // Run-length data may end anywhere, so a cut file could not be told from a whole one.
        return Err(Fault::unsupported("is a run-length encoded BMP; save it uncompressed"));
    }
    if header_size == 0 {
        return Err(Fault::Incomplete("its BMP header has not been written yet".into()));
    }
    let decoder = image::codecs::bmp::BmpDecoder::new(Cursor::new(bytes))?;
    let gray = decoder.get_palette().is_some_and(|palette| palette.iter().all(|[r, g, b]| r == g && g == b));
    let raw = read_pixels(decoder, limits)?;
    Ok(if gray { raw.gray_from_rgb() } else { raw })
}
