//! TIFF, first page: gray or RGB, in strips or tiles, uncompressed or compressed without loss.
//!
//! Every field that changes pixels is honoured or refused (see [`fields`]); rows are unpacked one at a time (see [`data`]).

mod data;
mod fields;

use super::canvas::Canvas;
use super::decoded::Want;
use super::fault::Fault;
use super::ifd::Ifd;
use super::limits::DecodeLimits;
use super::samples::{FileDepth, Raw};
use crate::domain::Samples;
use data::{reader, undo_differences, unpack};
use fields::Layout;
use std::borrow::Cow;
use std::io::Read;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, want: Want) -> Result<Raw, Fault> {
    let ifd = Ifd::first(bytes)?;
    ifd.check_end()?;
    let layout = Layout::read(&ifd, limits)?;
    limits.check_memory(layout.memory(bytes.len() as u64))?;
    let mut canvas = Canvas::new(layout.size, layout.colors, layout.alpha, layout.is_wide(), want);
    for number in 0..layout.offsets.len() {
        read_chunk(bytes, &layout, number, &mut canvas)?;
    }
    let depth = if matches!(layout.bits, 9..=15) { FileDepth::Packed(layout.bits as u8) } else { FileDepth::Unknown };
    Ok(Raw { orientation: layout.orientation, depth, white_is_zero: layout.white_is_zero, ..Raw::new(canvas) })
}

/// Reads strip or tile `number` onto the canvas.
fn read_chunk(bytes: &[u8], layout: &Layout, number: usize, canvas: &mut Canvas) -> Result<(), Fault> {
    let place = layout.place(number);
    let data = layout.chunk(bytes, number)?;
    let data = if layout.reversed_bits { Cow::Owned(data.iter().map(|byte| byte.reverse_bits()).collect()) } else { Cow::Borrowed(data) };
    let mut source = reader(&data, layout.compression)?;
    let mut packed = vec![0; layout.row_bytes()];
    let mut row = Vec::new();
    let (columns, rows) = (layout.chunk.0.min(canvas.width - place.x), layout.chunk.1.min(canvas.height - place.y));
    for y in place.y..place.y + rows {
        source.read_exact(&mut packed).map_err(|error| damaged(number, error))?;
        let samples = layout.samples_per_row_pixel();
        if let (8, 1.., Samples::U8(_), None) = (layout.bits, samples, &canvas.samples, place.channel) {
            if layout.differences {
                undo_differences(&mut packed, samples, u8::wrapping_add);
            }
            let pixels = &packed[..columns * samples];
            layout.check_opaque(pixels.iter().map(|&s| u16::from(s)), None)?;
            canvas.put_u8(place.x, y, pixels);
            continue;
        }
        unpack(&packed, layout.bits, layout.big_endian, layout.chunk.0 * samples, &mut row);
        if layout.differences {
            undo_differences(&mut row, samples, |a, b| {
                if layout.bits == 8 { u16::from((a as u8).wrapping_add(b as u8)) } else { a.wrapping_add(b) }
            });
        }
        let pixels = &row[..columns * samples];
        layout.check_opaque(pixels.iter().copied(), place.channel)?;
        match (place.channel, &canvas.samples) {
            (Some(channel), _) => canvas.put_channel(place.x, y, channel, pixels),
            (None, Samples::U16(_)) => canvas.put_u16(place.x, y, pixels),
            (None, Samples::U8(_)) => canvas.put_u8(place.x, y, &pixels.iter().map(|&s| s as u8).collect::<Vec<_>>()),
        }
    }
    // Checksums are at the end. The last strip may be longer than the rest of the picture.
    let rest = (layout.row_bytes() as u64).saturating_mul((layout.chunk.1 - rows) as u64);
    std::io::copy(&mut source.take(rest + 1), &mut std::io::sink()).map_err(|error| damaged(number, error))?;
    Ok(())
}

fn damaged(number: usize, error: std::io::Error) -> Fault {
    Fault::Incomplete(format!("cut or damaged TIFF, strip or tile {number}: {error}"))
}
