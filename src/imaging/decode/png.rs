//! PNG: a walk over the chunks tells whether the file is whole, then `image` decodes.

use super::samples::Raw;
use super::{DecodeLimits, Fault, read_pixels, take};
use std::io::Cursor;

const SIGNATURE: usize = 8;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raw, Fault> {
    let declared_depth = walk(bytes, limits)?;
    let decoder = image::codecs::png::PngDecoder::with_limits(Cursor::new(bytes), limits.for_decoder())?;
    let mut raw = read_pixels(decoder, limits)?;
    raw.declared_depth = declared_depth;
    Ok(raw)
}

/// Goes from the signature to IEND and returns the bit depth of an sBIT chunk (the largest over the channels).
fn walk(bytes: &[u8], limits: &DecodeLimits) -> Result<Option<u8>, Fault> {
    let mut at = SIGNATURE;
    let mut depth = None;
    loop {
        let length = u32::from_be_bytes(take(bytes, at)?) as usize;
        let kind: [u8; 4] = take(bytes, at + 4)?;
        let end = at.saturating_add(12).saturating_add(length);
        if end > bytes.len() {
            let name = kind.escape_ascii();
            return Err(Fault::Incomplete(format!("ends after {} bytes, within a PNG chunk `{name}` of {length}", bytes.len())));
        }
        let data = &bytes[at + 8..end - 4];
        match &kind {
            b"IHDR" => limits.check(u32::from_be_bytes(take(data, 0)?), u32::from_be_bytes(take(data, 4)?))?,
            b"sBIT" => depth = data.iter().copied().max(),
            b"IEND" => return Ok(depth),
            _ => {}
        }
        at = end;
    }
}
