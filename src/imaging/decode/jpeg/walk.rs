//! Walks from marker to marker of a JPEG. Checks that it is whole, of an inspected kind, and within the limits.

use crate::imaging::decode::fault::Fault;
use crate::imaging::decode::header::take;
use crate::imaging::decode::limits::DecodeLimits;
use crate::imaging::decode::orientation::Orientation;
use std::borrow::Cow;
use std::ops::Range;

/// The most scans of a progressive file; encoders write about ten.
const MOST_SCANS: usize = 100;

/// This many zero bytes in a row count as a hole where zeros cannot mean a flat area. Holes are whole sectors, 512 bytes and more. Not
/// every hole gives a warning: by chance, the zeros may decode to as many blocks as were lost.
const HOLE: usize = 128;

/// The longest side that libjpeg reads.
const LONGEST_SIDE: u16 = 65_500;

/// The findings of the walk.
pub(super) struct Told {
    pub(super) orientation: Orientation,
    frame: Frame,
    /// The coefficients of the whole picture stay in memory until the last scan.
    many_scans: bool,
    /// Header bytes that libjpeg would warn about, and the values that it assumes instead.
    repairs: Vec<(Range<usize>, u8)>,
}

impl Told {
    /// The file with a header without warnings.
    pub(super) fn cleaned<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut clean = Cow::Borrowed(bytes);
        for (range, value) in &self.repairs {
            clean.to_mut()[range.clone()].fill(*value);
        }
        clean
    }

    /// The bytes that decoding takes besides the file: the picture, plus the coefficients or the upright picture.
    pub(super) fn memory(&self) -> u64 {
        let picture = self.frame.samples();
        let coefficients = if self.many_scans { self.frame.coefficients() * 2 } else { 0 };
        picture + coefficients.max(if self.orientation.is_upright() { 0 } else { picture })
    }
}

/// The contents of the frame header.
#[derive(Default)]
struct Frame {
    width: u16,
    height: u16,
    /// Columns and rows of blocks per unit, for each component.
    sampling: Vec<(u8, u8)>,
    progressive: bool,
}

impl Frame {
    fn samples(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * self.sampling.len() as u64
    }

    /// Coefficients of all components, whole blocks.
    fn coefficients(&self) -> u64 {
        let largest = |of: fn(&(u8, u8)) -> u8| u64::from(self.sampling.iter().map(of).max().unwrap_or(1).max(1));
        let units = u64::from(self.width).div_ceil(8 * largest(|s| s.0)) * u64::from(self.height).div_ceil(8 * largest(|s| s.1));
        units * self.sampling.iter().map(|&(across, down)| u64::from(across) * u64::from(down) * 64).sum::<u64>()
    }
}

/// Walks from the first marker to the end of the image.
pub(super) fn walk(bytes: &[u8], limits: &DecodeLimits) -> Result<Told, Fault> {
    let mut told = Told { orientation: Orientation::UPRIGHT, frame: Frame::default(), many_scans: false, repairs: Vec::new() };
    let mut zeros = ZerosMeanZero::default();
    let (mut scans, mut holes_tell, mut height_follows, mut orientation) = (0, false, false, None);
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        // The bytes before a marker are coded data: of a scan, or of an interval of it.
        if holes_tell && has_hole(&bytes[at..after]) {
            return Err(damaged("a hole of zeros within its coded data"));
        }
        if scans == 0 {
            told.pass_over(bytes, at..after - 2)?;
        }
        if marker == 0xd9 {
            if height_follows {
                return Err(unsupported("whose height follows its data"));
            }
            return Ok(Told { orientation: orientation.unwrap_or(Orientation::UPRIGHT), ..told });
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
                told.frame = frame(segment, limits, &mut height_follows)?;
                told.frame.progressive = marker == 0xc2;
            }
            0xc4 => zeros.read_tables(segment)?,
            // The other frame headers, and arithmetic-coding conditions.
            0xc3 | 0xc5..=0xcf => return Err(unsupported("with lossless, hierarchical or arithmetic coding")),
            0xda => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(unsupported(&format!("of more than {MOST_SCANS} scans")));
                }
                let progressive = told.frame.progressive;
                told.many_scans |= progressive || usize::from(*segment.first().unwrap_or(&0)) < told.frame.sampling.len();
                holes_tell = !progressive && !zeros.mean_flat(segment);
                if !progressive {
                    told.repair_scan(segment, after + 2);
                }
            }
            0xe0 if segment.starts_with(b"JFIF\0") && segment.get(5).is_some_and(|&version| version != 1) => {
                told.repairs.push((after + 7..after + 8, 1));
            }
            // Transforms: 0 none, 1 YCbCr, 2 YCCK. For three components, libjpeg treats any other value as YCbCr.
            0xee if segment.starts_with(b"Adobe") && segment.get(11).is_some_and(|&transform| transform > 1) => {
                told.repairs.push((after + 13..after + 14, 1));
            }
            // The first of several counts.
            0xe1 if segment.starts_with(b"Exif\0") => {
                orientation = orientation.or_else(|| segment.get(6..).and_then(Orientation::of_exif));
            }
            _ => {}
        }
    }
}

impl Told {
    /// Bytes between two header segments belong to neither: libjpeg skips them with a warning, but skips 0xff without one.
    fn pass_over(&mut self, bytes: &[u8], gap: Range<usize>) -> Result<(), Fault> {
        if has_hole(&bytes[gap.clone()]) {
            return Err(damaged("a hole of zeros within its header"));
        }
        if bytes[gap.clone()].iter().any(|&byte| byte != 0xff) {
            self.repairs.push((gap, 0xff));
        }
        Ok(())
    }

    /// In a sequential file, a scan holds all coefficients at once, whatever its header says.
    fn repair_scan(&mut self, segment: &[u8], start: usize) {
        let parameters = 1 + 2 * usize::from(*segment.first().unwrap_or(&0));
        if let Some(&[first, last, bits]) = segment.get(parameters..) {
            let at = start + parameters;
            if (first, last, bits) != (0, 63, 0) {
                self.repairs.extend([(at..at + 1, 0), (at + 1..at + 2, 63), (at + 2..at + 3, 0)]);
            }
        }
    }
}

pub(super) fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Incomplete(format!("damaged JPEG: {what}"))
}

fn unsupported(what: &str) -> Fault {
    Fault::unsupported(format!("is a JPEG {what}; save it as baseline JPEG"))
}

fn has_hole(bytes: &[u8]) -> bool {
    bytes.chunks_exact(HOLE).any(|chunk| chunk.iter().all(|&b| b == 0))
}

/// The next marker at or after `at`, and where it ends. Skips coded data with stuffed zeros and fill bytes.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), Fault> {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(2)
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))
        .map(|i| (rest[i + 1], at + i + 2))
        .ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, before the JPEG end-of-image marker", bytes.len())))
}

fn frame(segment: &[u8], limits: &DecodeLimits, height_follows: &mut bool) -> Result<Frame, Fault> {
    let [precision, h1, h0, w1, w0, count] = take(segment, 0)?;
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if precision == 0 || count == 0 || width == 0 {
        return Err(damaged("its frame header has not been written in full"));
    }
    *height_follows = height == 0;
    limits.check(width.into(), height.max(1).into())?;
    if width.max(height) > LONGEST_SIDE {
        return Err(unsupported(&format!("of {width}x{height} pixels, longer than {LONGEST_SIDE}")));
    }
    match (precision, count) {
        (8, 1 | 3) => {}
        (8, _) => return Err(unsupported(&format!("of {count} colour components (CMYK has 4)"))),
        _ => return Err(unsupported(&format!("of {precision} bits per sample"))),
    }
    let sampling = segment[6..].chunks_exact(3).take(count.into()).map(|component| (component[1] >> 4, component[1] & 15)).collect();
    Ok(Frame { width, height, sampling, progressive: false })
}

/// For each Huffman table, DC then AC: whether its code of zero bits means a zero, which is no difference to the last DC value, or no more
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
