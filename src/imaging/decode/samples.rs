//! What all formats have in common once their pixels are read: alpha is dropped, the bit depth is settled.

use super::{Decoded, Fault};
use crate::inspection::{Picture, Samples};

/// Pixels as a decoder gave them, interleaved.
pub(super) struct Raw {
    width: u32,
    height: u32,
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    channels: u8,
    samples: Samples,
    /// Significant bits that the file itself declares.
    pub(super) declared_depth: Option<u8>,
}

impl Raw {
    /// `buffer` holds bytes, or 16-bit words in the byte order of the machine when `wide`.
    pub(super) fn new(width: u32, height: u32, channels: u8, wide: bool, buffer: Vec<u8>) -> Raw {
        let samples = if wide {
            Samples::U16(buffer.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect())
        } else {
            Samples::U8(buffer)
        };
        Raw { width, height, channels, samples, declared_depth: None }
    }

    /// Keeps the first channel of an RGB picture that is known to be gray.
    pub(super) fn gray_from_rgb(mut self) -> Raw {
        if let (3, Samples::U8(v)) = (self.channels, &self.samples) {
            self.samples = Samples::U8(v.chunks_exact(3).map(|p| p[0]).collect());
            self.channels = 1;
        }
        self
    }

    pub(super) fn finish(self, bit_depth: Option<u8>) -> Result<Decoded, Fault> {
        let (file_bit_depth, depth) = match &self.samples {
            Samples::U8(_) => (8, narrow_depth(bit_depth)?),
            Samples::U16(v) => (16, wide_depth(v, bit_depth, self.declared_depth)?),
        };
        let kept = if self.channels < 3 { 1 } else { 3 };
        let samples = match self.samples {
            Samples::U8(v) => Samples::U8(without_alpha(v, self.channels, kept)),
            Samples::U16(v) => Samples::U16(without_alpha(v, self.channels, kept)),
        };
        let picture = Picture { width: self.width, height: self.height, channels: kept, bit_depth: depth, samples };
        let file_channels = if self.channels == 2 { 1 } else { self.channels };
        Ok(Decoded { picture, file_channels, file_bit_depth })
    }
}

fn narrow_depth(configured: Option<u8>) -> Result<u8, Fault> {
    match configured {
        None | Some(8) => Ok(8),
        Some(bits) => Err(Fault::wrong_depth(format!(
            "has 8 bits per sample but input.bit_depth is {bits}; set the camera to more than 8 bits or input.bit_depth to 8"
        ))),
    }
}

fn wide_depth(samples: &[u16], configured: Option<u8>, declared: Option<u8>) -> Result<u8, Fault> {
    let depth = match configured.or(declared) {
        Some(bits @ 9..=16) => bits,
        Some(bits) => {
            return Err(Fault::wrong_depth(format!(
                "has 16 bits per sample but its bit depth is given as {bits}; set input.bit_depth to what the camera delivers (9 to 16)"
            )));
        }
        None => {
            return Err(Fault::wrong_depth(
                "has 16 bits per sample and does not say how many of them are used; set input.bit_depth, e.g. 12 for a 12-bit camera",
            ));
        }
    };
    let largest = samples.iter().copied().max().unwrap_or(0);
    if u32::from(largest) >= 1 << depth {
        return Err(Fault::wrong_depth(format!(
            "has a sample of {largest}, above the {} of {depth} bits; correct input.bit_depth (16 if the camera fills the upper bits)",
            (1u32 << depth) - 1
        )));
    }
    Ok(depth)
}

fn without_alpha<T: Copy>(samples: Vec<T>, channels: u8, kept: u8) -> Vec<T> {
    if channels == kept {
        return samples;
    }
    samples.chunks_exact(usize::from(channels)).flat_map(|pixel| &pixel[..usize::from(kept)]).copied().collect()
}
