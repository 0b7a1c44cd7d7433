//! Bytes of an image file → [`Picture`].
//!
//! Invariant: a file that is not whole is an error, never a picture with a gray or black rest. The format is told by content.
//! - JPEG by libjpeg-turbo, whose warnings count as errors; the EXIF orientation is applied, as OpenCV's `imread` does.
//! - PNG after a walk over its chunks that must end at IEND; checksums are verified.
//! - BMP and TIFF by `image`, which fails when pixel data they announce lie outside the file. Of a TIFF the first page is read.
//!
//! What only looks whole (a hole of zeros in an uncompressed file) cannot be told from a black picture here: the `ready:` mode of
//! the drop folder and the hole check of the intake are for that.

mod bmp;
mod jpeg;
mod png;
mod samples;
mod tiff;

use crate::codes::ReasonCode;
use crate::error::ImageError;
use crate::inspection::Picture;
use samples::Raw;
use std::path::Path;

/// Fewest bytes that any supported format can be told from.
const SHORTEST_FILE: usize = 12;

/// What a file may ask for. Checked against its header, before any pixel is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels (width × height) accepted.
    pub max_pixels: u64,
}

/// A decoded file and what the file itself said of its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The pixels, gray or RGB.
    pub picture: Picture,
    /// Channels as stored: 1 gray, 3 RGB, 4 with alpha (gray with alpha counts as 1). A palette of grays counts as 1 in a BMP.
    pub file_channels: u8,
    /// Bits per sample as stored: 8 (also for fewer, which are expanded) or 16.
    pub file_bit_depth: u8,
}

/// Why one file was not decoded, before its path is known.
#[derive(Debug)]
enum Fault {
    /// Cut, holed or damaged: it may still be being written.
    Incomplete(String),
    /// Whole, but nothing this program inspects.
    Rejected(ReasonCode, String),
}

impl Fault {
    /// An image of a kind that is not read.
    fn unsupported(reason: impl Into<String>) -> Fault {
        Fault::Rejected(ReasonCode::UnsupportedFormat, reason.into())
    }

    /// Bits per sample that do not fit the product's `input.bit_depth`.
    fn wrong_depth(reason: impl Into<String>) -> Fault {
        Fault::Rejected(ReasonCode::WrongDepth, reason.into())
    }
}

/// Decodes `bytes`, the content of `path` (which is used in messages only).
///
/// `bit_depth` is the product's `input.bit_depth`: the significant bits per sample, 8..=16. A file with 16 bits per sample is
/// refused without it, unless a PNG declares its depth in an sBIT chunk: nothing else tells a 12-bit camera from a 16-bit one, and
/// scaling 12-bit data by 65535 would make every image near black. With it, a sample that needs more bits is refused, and so is a
/// file of 8 bits per sample when more were declared.
///
/// # Errors
/// [`ImageError::Incomplete`] when the file is cut or damaged, [`ImageError::Rejected`] when it is whole but cannot be inspected.
pub fn decode(path: &Path, bytes: &[u8], limits: &DecodeLimits, bit_depth: Option<u8>) -> Result<Decoded, ImageError> {
    let raw = match Format::of(bytes) {
        Ok(Format::Jpeg) => jpeg::decode(bytes, limits),
        Ok(Format::Png) => png::decode(bytes, limits),
        Ok(Format::Bmp) => bmp::decode(bytes, limits),
        Ok(Format::Tiff) => tiff::decode(bytes, limits),
        Err(fault) => Err(fault),
    };
    raw.and_then(|raw| raw.finish(bit_depth)).map_err(|fault| match fault {
        Fault::Incomplete(reason) => ImageError::Incomplete { path: path.to_owned(), reason },
        Fault::Rejected(code, reason) => ImageError::rejected(path, code, reason),
    })
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
            // Also when a few bytes are there already: a signature that is cut is none.
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

impl DecodeLimits {
    /// Refuses a picture above `max_pixels`, and an empty one, which no encoder writes but a half-written header shows.
    fn check(&self, width: u32, height: u32) -> Result<(), Fault> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(Fault::Incomplete(format!("is {width}x{height} pixels: its header has not been written in full")));
        }
        if pixels > self.max_pixels {
            let text = format!(
                "is {width}x{height} = {:.1} megapixels, above the {:.1} allowed; raise intake.max_megapixels if that is right",
                pixels as f64 / 1e6,
                self.max_pixels as f64 / 1e6
            );
            return Err(Fault::Rejected(ReasonCode::TooLarge, text));
        }
        Ok(())
    }

    /// Memory that the `image` decoders may use: the pixels at their widest (16-bit RGBA) twice over, and room for tables.
    fn for_decoder(&self) -> image::Limits {
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.max_pixels.saturating_mul(16).saturating_add(64 << 20));
        limits
    }
}

/// Reads the pixels of an `image` decoder whose dimensions are checked here, before the buffer is allocated.
fn read_pixels(decoder: impl image::ImageDecoder, limits: &DecodeLimits) -> Result<Raw, Fault> {
    use image::ColorType::*;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let (channels, wide) = match decoder.color_type() {
        L8 => (1, false),
        La8 => (2, false),
        Rgb8 => (3, false),
        Rgba8 => (4, false),
        L16 => (1, true),
        La16 => (2, true),
        Rgb16 => (3, true),
        Rgba16 => (4, true),
        other => return Err(Fault::unsupported(format!("has samples of type {other:?}; save it with 8 or 16 bits per sample"))),
    };
    let mut buffer = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut buffer).map_err(Fault::from)?;
    Ok(Raw::new(width, height, channels, wide, buffer))
}

impl From<image::ImageError> for Fault {
    fn from(error: image::ImageError) -> Fault {
        match error {
            image::ImageError::Unsupported(e) => {
                Fault::unsupported(format!("{e}; save it as 8- or 16-bit gray or RGB without special compression"))
            }
            image::ImageError::Limits(e) => {
                Fault::Rejected(ReasonCode::TooLarge, format!("{e}; raise intake.max_megapixels if the picture is meant to be that large"))
            }
            other => Fault::Incomplete(format!("cut or damaged: {other}")),
        }
    }
}

/// `N` bytes at `at`, or the fault that the file ends before them.
fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, within its header", bytes.len())))
}
