//! PNG: a walk over the chunks checks that the file is whole, then the crate `png` decodes it row by row.

use super::canvas::Canvas;
use super::decoded::Want;
use super::fault::Fault;
use super::header::take;
use super::limits::DecodeLimits;
use super::orientation::Orientation;
use super::palette::Palette;
use super::samples::{FileDepth, Raw};
use crate::codes::ReasonCode;
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Reader, Transformations};
use std::io::{BufRead, Cursor, Seek};

const SIGNATURE: usize = 8;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, want: Want) -> Result<Raw, Fault> {
    let told = walk(bytes, limits)?;
    let room = usize::try_from(limits.memory()).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: room });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    if !told.indexed {
        // Transparent pixels get alpha, and fewer than 8 bits become 8.
        decoder.set_transformations(Transformations::EXPAND);
    }
    let mut reader = decoder.read_info()?;
    let (color, depth) = reader.output_color_type();
    let palette = palette(&reader);
    let (colors, alpha) = match color {
        ColorType::Grayscale => (1, false),
        ColorType::GrayscaleAlpha => (1, true),
        ColorType::Rgb => (3, false),
        ColorType::Indexed => (3, reader.info().trns.is_some()),
        ColorType::Rgba => (3, true),
    };
    let (size, wide) = (reader.info().size(), depth == BitDepth::Sixteen);
    let whole = if reader.info().interlaced { reader.output_buffer_size() } else { reader.output_line_size(size.0) };
    let Some(buffer) = whole else { return Err(limits.too_much_memory(u64::MAX)) };
    let row = u64::from(size.0) * 8;
    limits.check_memory(bytes.len() as u64 + told.orientation.copies() * Canvas::bytes(size, colors, wide) + buffer as u64 + row)?;

    let mut canvas = Canvas::new(size, colors, alpha, wide, want);
    let (mut words, mut colours) = (Vec::new(), Vec::new());
    let mut put = |y: usize, row: &[u8]| {
        if let Some(palette) = &palette {
            colours.clear();
            palette.expand(row, depth as usize, size.0 as usize, &mut colours)?;
            canvas.put_u8(0, y, &colours);
        } else if wide {
            words.clear();
            words.extend(row.as_chunks().0.iter().map(|&sample| u16::from_be_bytes(sample)));
            canvas.put_u16(0, y, &words);
        } else {
            canvas.put_u8(0, y, row);
        }
        Ok::<(), Fault>(())
    };
    if reader.info().interlaced {
        let mut frame = vec![0; buffer];
        let line = reader.next_frame(&mut frame)?.line_size;
        frame.chunks_exact(line).enumerate().try_for_each(|(y, row)| put(y, row))?;
    } else {
        for y in 0..size.1 as usize {
            let Some(row) = reader.next_row()? else { return Err(damaged("rows are missing")) };
            put(y, row.data())?;
        }
    }
    reader.finish()?;
    let depth = told.significant.map_or(FileDepth::Unknown, FileDepth::ScaledTo16);
    Ok(Raw { orientation: told.orientation, depth, ..Raw::new(canvas) })
}

/// The palette of a picture whose pixels are colour numbers.
fn palette<R: BufRead + Seek>(reader: &Reader<R>) -> Option<Palette> {
    let info = reader.info();
    let colours = || info.palette.as_deref().unwrap_or_default().as_chunks().0.iter().copied();
    match (info.color_type, info.trns.as_deref()) {
        (ColorType::Indexed, None) => Some(Palette::of_opaque(colours(), false)),
        (ColorType::Indexed, Some(alpha)) => Some(Palette::of_alpha(colours(), alpha)),
        _ => None,
    }
}

/// What the other chunks say about the pixels.
struct Told {
    /// The pixels are colour numbers.
    indexed: bool,
    orientation: Orientation,
    /// The bits of an sBIT chunk; the largest over the channels.
    significant: Option<u8>,
}

/// Walks from the signature to IEND.
fn walk(bytes: &[u8], limits: &DecodeLimits) -> Result<Told, Fault> {
    let (mut at, mut odd_methods) = (SIGNATURE, false);
    let mut told = Told { indexed: false, orientation: Orientation::UPRIGHT, significant: None };
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
            b"IHDR" => {
                limits.check(u32::from_be_bytes(take(data, 0)?), u32::from_be_bytes(take(data, 4)?))?;
                let [_, kind, methods @ .., interlacing] = take::<5>(data, 8)?;
                told.indexed = kind == 3;
                odd_methods = methods != [0, 0] || interlacing > 1;
            }
            b"sBIT" => told.significant = data.iter().copied().max(),
            b"eXIf" => told.orientation = Orientation::of_exif(data).unwrap_or(told.orientation),
            b"IEND" if odd_methods => {
                return Err(Fault::unsupported(
                    "is a PNG of an unknown method of compression, filters or interlacing; save it as a plain PNG",
                ));
            }
            b"IEND" => return Ok(told),
            b"PLTE" | b"IDAT" => {}
            // An upper-case first letter means that the pixels cannot be understood without this chunk.
            name if name[0].is_ascii_uppercase() && name.iter().all(u8::is_ascii_alphabetic) => {
                return Err(Fault::unsupported(format!(
                    "needs a PNG chunk `{}`, which is unknown; save it as a plain PNG",
                    name.escape_ascii()
                )));
            }
            _ => {}
        }
        at = end;
    }
}

fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Incomplete(format!("cut or damaged PNG: {what}"))
}

impl From<DecodingError> for Fault {
    fn from(error: DecodingError) -> Fault {
        match error {
            DecodingError::LimitsExceeded => Fault::Rejected(
                ReasonCode::TooLarge,
                "needs more memory than its size allows; raise intake.max_megapixels if that is right".into(),
            ),
            other => damaged(other),
        }
    }
}
