//! From the bytes of a strip or tile to samples.

use super::fields::Compression;
use crate::imaging::decode::fault::Fault;
use flate2::read::ZlibDecoder;
use std::io::{self, Read};
use weezl::{BitOrder, LzwStatus, decode::Decoder as LzwDecoder};

/// Reads the uncompressed bytes of a chunk.
pub(super) fn reader<'a>(data: &'a [u8], compression: Compression) -> Result<Box<dyn Read + 'a>, Fault> {
    Ok(match compression {
        Compression::None => Box::new(data),
        Compression::Deflate => Box::new(ZlibDecoder::new(data)),
        Compression::PackBits => Box::new(PackBits { data, literal: 0, repeated: (0, 0) }),
        // The bit order before TIFF 5.0: its first code, which clears the table, begins with these bytes.
        Compression::Lzw if matches!(data, [0, second, ..] if second & 1 == 1) => {
            return Err(Fault::unsupported("is a TIFF with LZW of an old kind; save it anew"));
        }
        Compression::Lzw => Box::new(Lzw { data, decoder: LzwDecoder::with_tiff_size_switch(BitOrder::Msb, 8) }),
    })
}

struct Lzw<'a> {
    data: &'a [u8],
    decoder: LzwDecoder,
}

impl Read for Lzw<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = self.decoder.decode_bytes(self.data, out);
            self.data = &self.data[result.consumed_in..];
            match result.status {
                _ if result.consumed_out > 0 || out.is_empty() => return Ok(result.consumed_out),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                Ok(LzwStatus::Ok) => {}
                Ok(LzwStatus::Done | LzwStatus::NoProgress) => return Ok(0),
            }
        }
    }
}

/// PackBits (TIFF 6.0, section 9): runs of literal bytes, and of one repeated byte.
struct PackBits<'a> {
    data: &'a [u8],
    /// The remaining bytes of a literal run.
    literal: usize,
    /// The byte, and how often it still repeats.
    repeated: (u8, usize),
}

impl Read for PackBits<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.literal == 0 && self.repeated.1 == 0 {
            let Some((&head, rest)) = self.data.split_first() else { return Ok(0) };
            self.data = rest;
            match head {
                0..=127 => self.literal = usize::from(head) + 1,
                128 => {}
                129.. => {
                    let Some((&byte, rest)) = rest.split_first() else { return Ok(0) };
                    self.data = rest;
                    self.repeated = (byte, 257 - usize::from(head));
                }
            }
        }
        if self.repeated.1 > 0 {
            let count = self.repeated.1.min(out.len());
            out[..count].fill(self.repeated.0);
            self.repeated.1 -= count;
            return Ok(count);
        }
        let count = self.literal.min(out.len()).min(self.data.len());
        let (run, rest) = self.data.split_at(count);
        out[..count].copy_from_slice(run);
        (self.data, self.literal) = (rest, self.literal - count);
        Ok(count)
    }
}

/// `count` samples of a row. Fewer than 8 bits are scaled to 8; 9 to 15 are packed, the highest bit first.
pub(super) fn unpack(packed: &[u8], bits: usize, big_endian: bool, count: usize, row: &mut Vec<u16>) {
    row.clear();
    match bits {
        8 => row.extend(packed.iter().map(|&byte| u16::from(byte))),
        16 if big_endian => row.extend(packed.as_chunks().0.iter().map(|&word| u16::from_be_bytes(word))),
        16 => row.extend(packed.as_chunks().0.iter().map(|&word| u16::from_le_bytes(word))),
        _ => {
            let full = (1u32 << bits) - 1;
            let scale = if bits < 8 { 255 / full } else { 1 };
            let (mut held, mut held_bits, mut bytes) = (0u32, 0, packed.iter());
            for _ in 0..count {
                while held_bits < bits {
                    held = held << 8 | u32::from(bytes.next().copied().unwrap_or(0));
                    held_bits += 8;
                }
                held_bits -= bits;
                row.push(((held >> held_bits & full) * scale) as u16);
                held &= (1 << held_bits) - 1;
            }
        }
    }
}

/// Adds to each sample the one `samples` places before it, in the same row.
pub(super) fn undo_differences<T: Copy>(row: &mut [T], samples: usize, add: impl Fn(T, T) -> T) {
    for i in samples..row.len() {
        row[i] = add(row[i - samples], row[i]);
    }
}
