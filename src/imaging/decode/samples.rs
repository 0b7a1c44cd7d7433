//! The common last steps of all formats: settle the bit depth, and turn the picture upright.

use super::canvas::Canvas;
use super::decoded::{Decoded, DefectMask};
use super::fault::Fault;
use super::orientation::Orientation;
use crate::domain::{Picture, Samples};

/// A read file.
pub(super) struct Raw {
    pub(super) canvas: Canvas,
    pub(super) orientation: Orientation,
    pub(super) depth: FileDepth,
    /// The largest value is black.
    pub(super) white_is_zero: bool,
    /// The pixels are only close to the saved ones.
    pub(super) lossy: bool,
}

/// What the file says about the bits of its wide samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileDepth {
    /// Nothing: they are in 16 bits.
    Unknown,
    /// They have exactly this many: 9 to 15, packed without gaps.
    Packed(u8),
    /// They had this many, and are scaled to 16.
    ScaledTo16(u8),
}

impl Raw {
    pub(super) fn new(canvas: Canvas) -> Raw {
        Raw { canvas, orientation: Orientation::UPRIGHT, depth: FileDepth::Unknown, white_is_zero: false, lossy: false }
    }

    pub(super) fn finish(mut self, bit_depth: Option<u8>) -> Result<Decoded, Fault> {
        let (file_bit_depth, depth) = match &self.canvas.samples {
            Samples::U8(_) => (8, narrow_depth(bit_depth)?),
            Samples::U16(v) => (16, wide_depth(v, bit_depth, self.depth)?),
        };
        if self.white_is_zero {
            invert(&mut self.canvas.samples, depth);
        }
        let (file_channels, channels) = (self.canvas.file_channels(), self.canvas.colors);
        let size = (self.canvas.width, self.canvas.height);
        let (samples, (width, height)) = match self.canvas.samples {
            Samples::U8(v) => {
                let (v, size) = self.orientation.turn(v, channels, size);
                (Samples::U8(v), size)
            }
            Samples::U16(v) => {
                let (v, size) = self.orientation.turn(v, channels, size);
                (Samples::U16(v), size)
            }
        };
        let picture = Picture { width: width as u32, height: height as u32, channels: channels as u8, bit_depth: depth, samples };
        Ok(Decoded { picture, file_channels, file_bit_depth })
    }

    pub(super) fn finish_mask(mut self) -> Result<DefectMask, Fault> {
        if self.white_is_zero {
            let depth = match self.depth {
                FileDepth::Packed(bits) => bits,
                _ => 16,
            };
            invert(&mut self.canvas.samples, depth);
        }
        // JPEG changes black beside white, so it is not exactly black.
        let threshold = if self.lossy { 127 } else { 0 };
        let mut defect = match &self.canvas.samples {
            Samples::U8(v) => marked(v, self.canvas.colors, threshold),
            Samples::U16(v) => marked(v, self.canvas.colors, threshold.into()),
        };
        if let Some(alpha) = &self.canvas.alpha {
            defect.iter_mut().zip(alpha).filter(|&(_, &alpha)| alpha == 0).for_each(|(defect, _)| *defect = 0);
            if defect.iter().all(|&d| d == 0) && alpha.contains(&0) && alpha.iter().any(|&a| a != 0) {
                return Err(Fault::unsupported(
                    "is drawn in its alpha channel alone, and black where it is opaque; save the mask as white on black, without alpha",
                ));
            }
        }
        let (defect, (width, height)) = self.orientation.turn(defect, 1, (self.canvas.width, self.canvas.height));
        Ok(DefectMask { width: width as u32, height: height as u32, defect })
    }
}

fn invert(samples: &mut Samples, depth: u8) {
    match samples {
        Samples::U8(v) => v.iter_mut().for_each(|s| *s = 255 - *s),
        Samples::U16(v) => {
            let full = ((1u32 << depth) - 1) as u16;
            v.iter_mut().for_each(|s| *s = full.saturating_sub(*s));
        }
    }
}

fn marked<T: Copy + PartialOrd>(samples: &[T], colors: usize, threshold: T) -> Vec<u8> {
    samples.chunks_exact(colors).map(|pixel| u8::from(pixel.iter().any(|&sample| sample > threshold))).collect()
}

fn narrow_depth(configured: Option<u8>) -> Result<u8, Fault> {
    match configured {
        None | Some(8) => Ok(8),
        Some(bits) => Err(Fault::wrong_depth(format!(
            "has 8 bits per sample but input.bit_depth is {bits}; set the camera to more than 8 bits or input.bit_depth to 8"
        ))),
    }
}

fn wide_depth(samples: &[u16], configured: Option<u8>, of_file: FileDepth) -> Result<u8, Fault> {
    let depth = match (of_file, configured) {
        (FileDepth::Packed(bits), None) => bits,
        (FileDepth::Packed(bits), Some(configured)) if bits == configured => bits,
        (FileDepth::Packed(bits), Some(configured)) => {
            return Err(Fault::wrong_depth(format!(
                "has {bits} bits per sample but input.bit_depth is {configured}; set input.bit_depth to {bits} or leave it out"
            )));
        }
        (FileDepth::ScaledTo16(_), None) => 16,
        (FileDepth::ScaledTo16(bits), Some(configured)) if configured != 16 => {
            return Err(Fault::wrong_depth(format!(
                "has an sBIT chunk, which says that {bits} bits were scaled to 16, but input.bit_depth is {configured}; set \
                 input.bit_depth to 16, or have the camera leave the chunk out if it does not scale"
            )));
        }
        (_, Some(bits @ 9..=16)) => bits,
        (_, Some(bits)) => {
            return Err(Fault::wrong_depth(format!(
                "has 16 bits per sample but its bit depth is given as {bits}; set input.bit_depth to what the camera delivers (9 to 16)"
            )));
        }
        (FileDepth::Unknown, None) => {
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
