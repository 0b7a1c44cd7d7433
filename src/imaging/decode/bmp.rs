//! BMP, uncompressed. Facts that the header states twice must agree: its size, the place of the pixels, the length of the palette.

use super::canvas::Canvas;
use super::decoded::Want;
use super::fault::Fault;
use super::header::take;
use super::limits::DecodeLimits;
use super::palette::Palette;
use super::samples::Raw;

/// The bytes before the header that states its own size.
const FILE_HEADER: usize = 14;

/// The contents of the header.
struct Header {
    width: u32,
    height: u32,
    /// The first row is the top one.
    top_down: bool,
    bits: u16,
    compression: u32,
    /// Where the pixels begin.
    pixels: usize,
    /// Where the header ends, including the masks that may follow it.
    end: usize,
    /// Colours of the palette, 0 = all.
    palette: u32,
    /// The bytes of one colour.
    palette_entry: usize,
    /// Which bits of a pixel are red, green, blue and alpha.
    masks: [u32; 4],
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, want: Want) -> Result<Raw, Fault> {
    let header = Header::read(bytes)?;
    limits.check(header.width, header.height)?;
    header.check()?;
    let row_bytes = (u64::from(header.width) * u64::from(header.bits)).div_ceil(32) * 4;
    let needed = row_bytes.saturating_mul(header.height.into());
    let data = bytes.get(header.pixels..).unwrap_or_default();
    if (data.len() as u64) < needed {
        return Err(Fault::Incomplete(format!("ends after {} bytes, {needed} bytes of pixels are announced", bytes.len())));
    }
    let palette = header.palette(bytes)?;
    let colors = if palette.as_ref().is_some_and(Palette::is_gray) { 1 } else { 3 };
    let size = (header.width, header.height);
    limits.check_memory(bytes.len() as u64 + Canvas::bytes(size, colors, false) + u64::from(header.width) * 4)?;

    let mut canvas = Canvas::new(size, colors, header.masks[3] != 0, false, want);
    let mut row = Vec::new();
    for (number, stored) in data.chunks_exact(row_bytes as usize).take(canvas.height).enumerate() {
        row.clear();
        match (&palette, header.bits) {
            (Some(palette), bits) => palette.expand(stored, bits.into(), canvas.width, &mut row)?,
            (None, 24) => row.extend(stored.chunks_exact(3).take(canvas.width).flat_map(|bgr| [bgr[2], bgr[1], bgr[0]])),
            (None, _) => row.extend(stored.as_chunks::<4>().0.iter().flat_map(|&pixel| masked(pixel, header.masks))),
        }
        let y = if header.top_down { number } else { canvas.height - 1 - number };
        canvas.put_u8(0, y, &row);
    }
    Ok(Raw::new(canvas))
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Fault> {
        let long = |at: usize| take(bytes, at).map(u32::from_le_bytes);
        let short = |at: usize| take(bytes, at).map(u16::from_le_bytes);
        let size = long(FILE_HEADER)?;
        let pixels = long(10)? as usize;
        if size == 0 || pixels == 0 {
            return Err(Fault::Incomplete("its BMP header has not been written yet".into()));
        }
        let end = FILE_HEADER + size as usize;
        if size == 12 {
            let (width, height) = (short(18)?.into(), short(20)?.into());
            let (bits, palette_entry) = (short(24)?, 3);
            let plain =
                Header { width, height, top_down: false, bits, compression: 0, pixels, end, palette: 0, palette_entry, masks: [0; 4] };
            return plain.planes(short(22)?);
        }
        if !matches!(size, 40 | 52 | 56 | 64 | 108 | 124) {
            return Err(Fault::unsupported(format!("is a BMP with a header of {size} bytes, which no known version has; save it anew")));
        }
        let (width, height) = (long(18)? as i32, long(22)? as i32);
        let width = u32::try_from(width).map_err(|_| contradicts(format!("its width is {width}")))?;
        let (compression, bits) = (long(30)?, short(28)?);
        // OS/2 uses the same numbers for other ways of compression.
        let masked = size != 64 && matches!(compression, 3 | 6);
        let mask = |number: usize| if masked { long(FILE_HEADER + 40 + 4 * number) } else { Ok(0) };
        let follow = if masked && size == 40 { if compression == 6 { 16 } else { 12 } } else { 0 };
        let masks = match (masked, size >= 56 || compression == 6) {
            (true, true) => [mask(0)?, mask(1)?, mask(2)?, mask(3)?],
            (true, false) => [mask(0)?, mask(1)?, mask(2)?, 0],
            (false, _) => [0xff_0000, 0xff00, 0xff, 0],
        };
        let header = Header {
            width,
            height: height.unsigned_abs(),
            top_down: height < 0,
            bits,
            compression: if size == 64 && compression != 0 { u32::MAX } else { compression },
            pixels,
            end: end + follow,
            palette: long(46)?,
            palette_entry: 4,
            masks,
        };
        header.planes(short(26)?)
    }

    fn planes(self, planes: u16) -> Result<Header, Fault> {
        if planes > 1 {
            return Err(Fault::unsupported(format!("is a BMP of {planes} planes; save it with 8, 24 or 32 bits per pixel")));
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), Fault> {
        let whole_bytes = || self.masks[..3].iter().all(|mask| is_byte(*mask)) && (self.masks[3] == 0 || is_byte(self.masks[3]));
        let disjoint =
            || self.masks.iter().map(|mask| mask.count_ones()).sum::<u32>() == self.masks.iter().fold(0, |a, b| a | b).count_ones();
        match (self.compression, self.bits) {
            (0, 1 | 4 | 8 | 24 | 32) => {}
            (3 | 6, 32) if whole_bytes() && disjoint() => {}
            // Run-length data may end anywhere, so nobody could tell a cut file from a whole one.
            (1 | 2, _) => return Err(Fault::unsupported("is a run-length encoded BMP; save it uncompressed")),
            (0 | 3 | 6, bits) => {
                return Err(Fault::unsupported(format!("is a BMP of {bits} bits per pixel of an odd kind; save it with 8, 24 or 32")));
            }
            (kind, _) => return Err(Fault::unsupported(format!("is a BMP compressed by method {kind}; save it uncompressed"))),
        }
        let first = self.end + self.palette_bytes();
        if self.pixels < first {
            return Err(contradicts(format!("its pixels begin at byte {}, its header and palette end at {first}", self.pixels)));
        }
        Ok(())
    }

    /// Colours of the palette; pixels of 24 and 32 bits need none.
    fn colours(&self) -> usize {
        match (self.bits, self.palette) {
            (1 | 4 | 8, 0) => 1 << self.bits,
            (1 | 4 | 8, count) => count as usize,
            _ => 0,
        }
    }

    fn palette_bytes(&self) -> usize {
        self.colours().saturating_mul(self.palette_entry)
    }

    fn palette(&self, bytes: &[u8]) -> Result<Option<Palette>, Fault> {
        if self.colours() == 0 {
            return Ok(None);
        }
        if self.colours() > 256 {
            return Err(contradicts(format!("its palette has {} colours", self.colours())));
        }
        // The palette ends before the pixels, which are in the file.
        let entries = bytes.get(self.end..self.end + self.palette_bytes()).unwrap_or_default();
        let colours = entries.chunks_exact(self.palette_entry).map(|bgr| [bgr[2], bgr[1], bgr[0]]);
        Ok(Some(Palette::of_opaque(colours, true)))
    }
}

fn contradicts(what: String) -> Fault {
    Fault::unsupported(format!("is a BMP whose header contradicts itself: {what}; save it with another program"))
}

fn is_byte(mask: u32) -> bool {
    matches!(mask, 0xff | 0xff00 | 0xff_0000 | 0xff00_0000)
}

/// Red, green, blue and, where there is a mask for it, alpha of a pixel of 32 bits.
fn masked(pixel: [u8; 4], masks: [u32; 4]) -> impl Iterator<Item = u8> {
    masks.into_iter().filter(|&mask| mask != 0).map(move |mask| pixel[mask.trailing_zeros() as usize / 8])
}
