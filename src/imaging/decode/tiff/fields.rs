//! What the fields of a TIFF say about its pixels. Each is honoured or refused; none is guessed.

use crate::imaging::decode::canvas::Canvas;
use crate::imaging::decode::fault::Fault;
use crate::imaging::decode::ifd::{Ifd, Values};
use crate::imaging::decode::limits::DecodeLimits;
use crate::imaging::decode::orientation::Orientation;

/// The smallest width and height of a tile; both are multiples of it (TIFF 6.0, section 15).
const TILE: u64 = 16;

/// How the samples of a chunk are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

/// The layout of the pixels in the file.
pub(super) struct Layout<'a> {
    pub(super) size: (u32, u32),
    /// Bits per sample: 1, 2, 4 or 8 to 16.
    pub(super) bits: usize,
    /// 1 gray, 3 RGB.
    pub(super) colors: usize,
    /// One more sample follows the colours.
    pub(super) alpha: bool,
    /// The colours are multiplied by alpha.
    premultiplied: bool,
    pub(super) white_is_zero: bool,
    pub(super) orientation: Orientation,
    /// Each channel has its own chunks.
    planar: bool,
    /// Pixels per row and rows of a strip or tile.
    pub(super) chunk: (usize, usize),
    pub(super) offsets: Values<'a>,
    counts: Values<'a>,
    pub(super) compression: Compression,
    /// Each sample is stored as the difference to the one before.
    pub(super) differences: bool,
    pub(super) reversed_bits: bool,
    pub(super) big_endian: bool,
}

/// The place of a chunk.
pub(super) struct Place {
    pub(super) x: usize,
    pub(super) y: usize,
    /// The only channel in it; `None` when it holds all channels.
    pub(super) channel: Option<usize>,
}

impl<'a> Layout<'a> {
    pub(super) fn read(ifd: &Ifd<'a>, limits: &DecodeLimits) -> Result<Self, Fault> {
        let number = |tag: u16, otherwise: u64| ifd.number_of(tag).map(|found| found.unwrap_or(otherwise));
        let side = |tag| number(tag, 0).map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let size = (side(256)?, side(257)?);
        limits.check(size.0, size.1)?;
        if number(254, 0)? & 0b101 != 0 || number(255, 1)? == 2 {
            return Err(odd("whose first page is a thumbnail or a mask"));
        }
        if number(32997, 1)? > 1 {
            return Err(odd("of a volume"));
        }
        let (colors, white_is_zero) = match number(262, u64::MAX)? {
            0 => (1, true),
            1 => (1, false),
            2 => (3, false),
            3 => return Err(odd("with a colour palette")),
            kind => return Err(odd(format!("of colour kind (PhotometricInterpretation) {kind}"))),
        };
        let samples = number(277, 1)?;
        let bits = bits(ifd, samples)?;
        let alpha = match samples.checked_sub(colors) {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(odd(format!("of {samples} samples per pixel"))),
        };
        let premultiplied = alpha && (number(338, 0)? == 1 || number(32995, 0)? == 1);
        let (compression, differences) = compression(number(259, 1)?, number(317, 1)?, bits)?;
        let reversed_bits = match number(266, 1)? {
            1 => false,
            2 => true,
            order => return Err(odd(format!("of bit order (FillOrder) {order}"))),
        };
        let planar = match number(284, 1)? {
            1 => false,
            2 => samples > 1,
            kind => return Err(odd(format!("of PlanarConfiguration {kind}"))),
        };
        let (chunk, offsets, counts) = chunks(ifd, size, limits)?;
        let layout = Layout {
            size,
            bits,
            colors: colors as usize,
            alpha,
            premultiplied,
            white_is_zero,
            orientation: Orientation::of(ifd).unwrap_or(Orientation::UPRIGHT),
            planar,
            chunk,
            offsets,
            counts,
            compression,
            differences,
            reversed_bits,
            big_endian: ifd.big_endian,
        };
        let planes = if planar { samples as usize } else { 1 };
        if offsets.len() != counts.len() || offsets.len() != layout.across() * layout.down() * planes {
            return Err(Fault::Incomplete("its strips or tiles do not cover the picture".into()));
        }
        Ok(layout)
    }

    pub(super) fn is_wide(&self) -> bool {
        self.bits > 8
    }

    /// Samples per pixel in a row of a chunk.
    pub(super) fn samples_per_row_pixel(&self) -> usize {
        if self.planar { 1 } else { self.colors + usize::from(self.alpha) }
    }

    /// Bytes of a row of a chunk.
    pub(super) fn row_bytes(&self) -> usize {
        (self.chunk.0 * self.samples_per_row_pixel() * self.bits).div_ceil(8)
    }

    /// The most bytes in memory while a file of `file` bytes is read: the file, the picture, a row packed and unpacked, and a chunk with
    /// reversed bits.
    pub(super) fn memory(&self, file: u64) -> u64 {
        let turned = if self.reversed_bits { file } else { 0 };
        let row = (self.chunk.0 * self.samples_per_row_pixel()) as u64 * 4;
        file + turned + self.orientation.copies() * Canvas::bytes(self.size, self.colors, self.is_wide()) + row
    }

    fn across(&self) -> usize {
        (self.size.0 as usize).div_ceil(self.chunk.0)
    }

    fn down(&self) -> usize {
        (self.size.1 as usize).div_ceil(self.chunk.1)
    }

    pub(super) fn place(&self, number: usize) -> Place {
        let per_plane = self.across() * self.down();
        let (plane, in_plane) = (number / per_plane, number % per_plane);
        let (x, y) = (in_plane % self.across() * self.chunk.0, in_plane / self.across() * self.chunk.1);
        Place { x, y, channel: self.planar.then_some(plane) }
    }

    /// The bytes of chunk `number`.
    pub(super) fn chunk<'b>(&self, bytes: &'b [u8], number: usize) -> Result<&'b [u8], Fault> {
        let range = self.offsets.get(number).zip(self.counts.get(number)).and_then(|(at, count)| {
            let end = at.checked_add(count)?;
            bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
        });
        range.ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, before its strip or tile {number}", bytes.len())))
    }

    /// Refuses colours that are multiplied by partial alpha: the original colours cannot be computed exactly.
    pub(super) fn check_opaque(&self, mut samples: impl Iterator<Item = u16>, channel: Option<usize>) -> Result<(), Fault> {
        if !self.premultiplied || channel.is_some_and(|channel| channel < self.colors) {
            return Ok(());
        }
        let full = if self.bits < 8 { 255 } else { ((1u32 << self.bits) - 1) as u16 };
        let opaque = match channel {
            Some(_) => samples.all(|alpha| alpha == full),
            None => samples.skip(self.colors).step_by(self.colors + 1).all(|alpha| alpha == full),
        };
        if opaque { Ok(()) } else { Err(odd("whose colours are multiplied by alpha")) }
    }
}

fn odd(what: impl std::fmt::Display) -> Fault {
    Fault::unsupported(format!("is a TIFF {what}; save it as 8- or 16-bit gray or RGB, uncompressed"))
}

/// Bits per sample, the same for all.
fn bits(ifd: &Ifd, samples: u64) -> Result<usize, Fault> {
    if let Some(formats) = ifd.find(339)?
        && let Some(format) = formats.iter().find(|format| !matches!(format, 1 | 4))
    {
        return Err(odd(format!("of signed or floating-point samples (SampleFormat {format})")));
    }
    let Some(all) = ifd.find(258)? else { return Ok(1) };
    let bits = all.get(0).unwrap_or(0);
    if all.iter().any(|other| other != bits) || (all.len() > 1 && (all.len() as u64) < samples) {
        return Err(odd("whose channels differ in their bits per sample"));
    }
    match bits {
        1 | 2 | 4 | 8..=16 => Ok(bits as usize),
        _ => Err(odd(format!("of {bits} bits per sample"))),
    }
}

fn compression(method: u64, predictor: u64, bits: usize) -> Result<(Compression, bool), Fault> {
    let compression = match method {
        1 => return Ok((Compression::None, false)),
        32773 => return Ok((Compression::PackBits, false)),
        5 => Compression::Lzw,
        8 | 32946 => Compression::Deflate,
        _ => return Err(odd(format!("compressed by method {method}"))),
    };
    // The others have no predictor. Like libtiff, the reader ignores a field that names one.
    match (predictor, bits) {
        (1, _) => Ok((compression, false)),
        (2, 8 | 16) => Ok((compression, true)),
        _ => Err(odd(format!("of Predictor {predictor} with {bits} bits per sample"))),
    }
}

type Chunks<'a> = ((usize, usize), Values<'a>, Values<'a>);

/// Size, offsets and lengths of the strips or tiles.
fn chunks<'a>(ifd: &Ifd<'a>, size: (u32, u32), limits: &DecodeLimits) -> Result<Chunks<'a>, Fault> {
    match (ifd.find(273)?, ifd.find(279)?, ifd.find(324)?, ifd.find(325)?) {
        (Some(offsets), Some(counts), None, None) => {
            let rows = ifd.number_of(278)?.unwrap_or(u64::MAX).min(size.1.into());
            if rows == 0 {
                return Err(odd("of strips without rows"));
            }
            Ok(((size.0 as usize, rows as usize), offsets, counts))
        }
        (None, None, Some(offsets), Some(counts)) => {
            let (width, height) = (ifd.number_of(322)?.unwrap_or(0), ifd.number_of(323)?.unwrap_or(0));
            let whole = |side: u64| side >= TILE && side.is_multiple_of(TILE);
            // Larger than any picture, so there is no memory for it.
            if !whole(width) || !whole(height) || width.saturating_mul(height) > limits.max_pixels.max(1 << 20) {
                return Err(odd(format!("of tiles of {width}x{height} pixels")));
            }
            Ok(((width as usize, height as usize), offsets, counts))
        }
        (None, None, None, None) => Err(Fault::Incomplete("it does not say where its pixels are".into())),
        _ => Err(odd("whose strips or tiles are not named in full")),
    }
}
