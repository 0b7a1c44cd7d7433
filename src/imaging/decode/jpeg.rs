//! JPEG, baseline and progressive (ITU-T T.81): a walk over the markers, then libjpeg-turbo (`mozjpeg`), made strict.
//!
//! The scores of a bank hang on single grey levels: a decoder that rounds otherwise than OpenCV's libjpeg-turbo moved image scores by
//! up to 1.2 %. Therefore libjpeg with its default settings. It repairs what is damaged and only warns, so here every warning is an
//! error: coded data that end early, run on, or lack a marker make the file incomplete.

use super::samples::Raw;
use super::{DecodeLimits, Fault, take};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use mozjpeg::Decompress;
use mozjpeg::decompress::Format;
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr};
use std::ffi::c_int;
use std::panic::{catch_unwind, resume_unwind};

/// Most scans of a progressive file; encoders write about ten.
const MOST_SCANS: usize = 100;

/// Zero bytes in a row that are taken for a hole, where zeros cannot mean a flat area. Holes are whole sectors, 512 bytes and more.
/// Not all of them end in a warning: the zeros may by chance decode to just as many blocks as were lost.
const HOLE: usize = 128;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raw, Fault> {
    let orientation = walk(bytes, limits)?;
    let decoded = catch_unwind(|| pixels(bytes)).unwrap_or_else(|_| Err(damaged("its coded data end early, run on or do not fit")));
    let (width, height, channels, pixels) = decoded?;
    upright(width, height, channels, pixels, orientation)
}

fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Incomplete(format!("damaged JPEG: {what}"))
}

/// Goes from marker to marker up to the end of the image: whether it is whole, of a kind that is inspected, and within the limits.
/// Returns which way up it is.
fn walk(bytes: &[u8], limits: &DecodeLimits) -> Result<Orientation, Fault> {
    let mut orientation = Orientation::NoTransforms;
    let mut zeros = ZerosMeanZero::default();
    let (mut progressive, mut scans, mut holes_tell) = (false, 0, false);
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        // What lies before a marker are coded data: of a scan, or of an interval of it.
        if holes_tell && bytes[at..after].chunks_exact(HOLE).any(|chunk| chunk.iter().all(|&b| b == 0)) {
            return Err(damaged("a hole of zeros within its coded data"));
        }
        if marker == 0xd9 {
            return Ok(orientation);
        }
        at = after;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes(take(bytes, after)?));
        at += length;
        let Some(segment) = bytes.get(after + 2..at) else {
            return Err(Fault::Incomplete(format!("ends after {} bytes, within a JPEG segment of {length}", bytes.len())));
        };
        match marker {
            0xc0..=0xc2 => {
                frame(segment, limits)?;
                progressive = marker == 0xc2;
            }
            0xc4 => zeros.read_tables(segment)?,
            // The other frame headers, and the conditioning of arithmetic coding.
            0xc3 | 0xc5..=0xcf => {
                return Err(Fault::unsupported("is a lossless, hierarchical or arithmetic-coded JPEG; save it as baseline JPEG"));
            }
            0xda => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(Fault::unsupported(format!("is a JPEG of more than {MOST_SCANS} scans; save it as baseline JPEG")));
                }
                holes_tell = !progressive && !zeros.mean_flat(segment);
            }
            0xe1 if segment.starts_with(b"Exif\0\0") => {
                orientation = Orientation::from_exif_chunk(&segment[6..]).unwrap_or(orientation);
            }
            _ => {}
        }
    }
}

/// The next marker at or after `at` and where it ends; coded data, with stuffed zeros and fill bytes, are passed over.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), Fault> {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(2)
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))
        .map(|i| (rest[i + 1], at + i + 2))
        .ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, before the JPEG end-of-image marker", bytes.len())))
}

fn frame(segment: &[u8], limits: &DecodeLimits) -> Result<(), Fault> {
    let [precision, h1, h0, w1, w0, count] = take(segment, 0)?;
    limits.check(u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into())?;
    match (precision, count) {
        (0, _) | (_, 0) => Err(damaged("its frame header has not been written in full")),
        (8, 1 | 3) => Ok(()),
        (8, _) => Err(Fault::unsupported(format!("is a JPEG of {count} colour components (CMYK has 4); save it as gray or RGB"))),
        _ => Err(Fault::unsupported(format!("is a JPEG of {precision} bits per sample; save it with 8, or as PNG or TIFF"))),
    }
}

/// Of each Huffman table, DC then AC, whether its code of zero bits means a zero: no difference to the last DC value, or no more
/// coefficients in the block.
#[derive(Default)]
struct ZerosMeanZero([[bool; 16]; 2]);

impl ZerosMeanZero {
    fn read_tables(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let [head, rest @ ..] = segment {
            let counts: [u8; 16] = take(rest, 0)?;
            let total = counts.iter().map(|&n| usize::from(n)).sum::<usize>();
            let symbols = rest.get(16..16 + total).ok_or_else(|| damaged("a cut Huffman table"))?;
            self.0[usize::from(head >> 4 != 0)][usize::from(head & 15)] = symbols.first() == Some(&0);
            segment = &rest[16 + total..];
        }
        Ok(())
    }

    /// True when zero bytes in the scan with this header are a flat area.
    fn mean_flat(&self, header: &[u8]) -> bool {
        let count = header.first().map_or(0, |&n| usize::from(n));
        let tables = header.iter().skip(2).step_by(2).take(count);
        tables.copied().all(|t| self.0[0][usize::from(t >> 4)] && self.0[1][usize::from(t & 15)])
    }
}

/// Width, height, channels and the samples, interleaved. Unwinds, without a message, on the first complaint of libjpeg.
fn pixels(bytes: &[u8]) -> Result<(u32, u32, u8, Vec<u8>), Fault> {
    let failed = |e: std::io::Error| damaged(e);
    let format = Decompress::builder().with_err(strict()).from_mem(bytes).and_then(Decompress::image).map_err(failed)?;
    let (mut started, channels) = match format {
        Format::Gray(started) => (started, 1),
        Format::RGB(started) => (started, 3),
        Format::CMYK(_) => return Err(damaged("four colour components")),
    };
    let (width, height) = (started.width() as u32, started.height() as u32);
    let pixels = started.read_scanlines().map_err(failed)?;
    started.finish().map_err(failed)?;
    Ok((width, height, channels, pixels))
}

/// Error handlers for libjpeg that stop at errors and warnings alike. What they say cannot be read without `unsafe`.
fn strict() -> jpeg_error_mgr {
    extern "C-unwind" fn error(_: &mut jpeg_common_struct) {
        // Unlike a panic this runs no hook and prints nothing.
        resume_unwind(Box::new(()));
    }
    extern "C-unwind" fn message(_: &mut jpeg_common_struct, level: c_int) {
        // Warnings have level -1, traces 0 and above.
        if level < 0 {
            resume_unwind(Box::new(()));
        }
    }
    extern "C-unwind" fn nothing(_: &mut jpeg_common_struct) {}
    jpeg_error_mgr {
        error_exit: Some(error),
        emit_message: Some(message),
        output_message: Some(nothing),
        format_message: None,
        reset_error_mgr: Some(nothing),
        msg_code: 0,
        msg_parm: Default::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: std::ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: std::ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

/// Turns the pixels the way up that the EXIF orientation asks for.
fn upright(width: u32, height: u32, channels: u8, pixels: Vec<u8>, orientation: Orientation) -> Result<Raw, Fault> {
    if orientation == Orientation::NoTransforms {
        return Ok(Raw::new(width, height, channels, false, pixels));
    }
    let picture = if channels == 1 {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    let mut picture = picture.ok_or_else(|| damaged("too few pixels"))?;
    picture.apply_orientation(orientation);
    Ok(Raw::new(picture.width(), picture.height(), channels, false, picture.into_bytes()))
}
