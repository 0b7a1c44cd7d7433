//! Bytes of an image file → [`Picture`](crate::domain::Picture).
//!
//! Invariants:
//! - A file that is not whole is an error, never a picture with a gray or black rest. The content tells the format.
//! - Every header field that changes pixels is honoured or refused; docs/image-files.md lists them all, and each has a test.
//! - The header gives the memory of a decode, and the decoder refuses too much before it allocates anything.
//! - A panic of a decoder fails one file only.
//!
//! JPEG is read by libjpeg-turbo, whose warnings count as errors. PNG is read by the crate `png`, after a walk over the chunks that must
//! end at IEND. BMP and TIFF have readers of our own, which unpack row by row and fail when announced pixel data are outside the file.
//!
//! A hole of zeros in an uncompressed file looks like a black picture here. The `ready:` mode of the drop folder and the hole check of the
//! intake find it.

mod bmp;
mod canvas;
mod decoded;
mod fault;
mod header;
mod ifd;
mod jpeg;
mod limits;
mod orientation;
mod palette;
mod png;
mod samples;
mod tiff;

use super::error::ImageError;
use crate::codes::ReasonCode;
use decoded::Want;
use fault::Fault;
use samples::Raw;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use decoded::{Decoded, DefectMask};
pub use limits::DecodeLimits;

/// The fewest bytes that show a supported format.
const SHORTEST_FILE: usize = 12;

/// Decodes `bytes`, the content of `path` (which is used in messages only).
///
/// `bit_depth` is the product's `input.bit_depth`: the significant bits per sample, 8..=16. Without it, a file with 16 bits per sample is
/// refused: nothing else distinguishes a 12-bit camera from a 16-bit one, and scaling 12-bit data by 65535 would make every image nearly
/// black. Two kinds of file show it themselves: a TIFF whose samples are packed into fewer bits, and a PNG with an sBIT chunk, whose
/// samples are scaled to the whole 16 bits by specification. With `bit_depth`, a sample that needs more bits is refused, and so is a file
/// of 8 bits per sample when `bit_depth` is larger.
///
/// # Errors
/// [`ImageError::Incomplete`] when the file is cut or damaged, [`ImageError::Rejected`] when it is whole but cannot be inspected.
pub fn decode(path: &Path, bytes: &[u8], limits: &DecodeLimits, bit_depth: Option<u8>) -> Result<Decoded, ImageError> {
    contained(path, || read(bytes, limits, Want::Picture).and_then(|raw| raw.finish(bit_depth)).map_err(|fault| fault.of(path)))
}

/// Decodes a ground-truth mask: a pixel that is neither black nor fully transparent is a defect, whatever the bits per sample. In a JPEG,
/// every pixel darker than the middle counts as black.
///
/// # Errors
/// As [`decode`]; also when alpha and colours contradict each other.
pub fn decode_mask(path: &Path, bytes: &[u8], limits: &DecodeLimits) -> Result<DefectMask, ImageError> {
    contained(path, || read(bytes, limits, Want::Mask).and_then(Raw::finish_mask).map_err(|fault| fault.of(path)))
}

/// Works on the pixels of one file. A panic in the work fails only this file.
///
/// # Errors
/// Those of the work, and [`ReasonCode::DecoderPanicked`].
pub fn contained<T>(path: &Path, work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let text = "made the decoder panic, which is a bug of patchcored; report it with the file, and save the image in another format";
        Err(ImageError::rejected(path, ReasonCode::DecoderPanicked, text))
    })
}

fn read(bytes: &[u8], limits: &DecodeLimits, want: Want) -> Result<Raw, Fault> {
    match Format::of(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits, want),
        Format::Bmp => bmp::decode(bytes, limits, want),
        Format::Tiff => tiff::decode(bytes, limits, want),
    }
}

enum Format {
    Jpeg,
    Png,
    Bmp,
    Tiff,
}

impl Format {
    fn of(bytes: &[u8]) -> Result<Format, Fault> {
        if bytes.len() < SHORTEST_FILE {
            return Err(Fault::Incomplete(format!("has only {} bytes", bytes.len())));
        }
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Format::Png),
            [b'B', b'M', ..] => Ok(Format::Bmp),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
            // Even when a few bytes exist already: a cut signature is no signature.
            [_, _, _, _, _, _, _, _, 0, 0, 0, 0, ..] => {
                Err(Fault::Incomplete(format!("starts with `{}`: its content has not been written yet", bytes[..12].escape_ascii())))
            }
            _ => Err(Fault::Rejected(
                ReasonCode::NotAnImage,
                format!(
                    "is not a JPEG, PNG, BMP or TIFF: starts with `{}`; save it as one of these or narrow `match:`",
                    bytes[..8].escape_ascii()
                ),
            )),
        }
    }
}
