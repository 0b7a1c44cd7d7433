//! The original with the mask in red.

use super::mask::Mask;
use crate::domain::{Picture, Samples};
use image::RgbImage;

/// The original as 8-bit RGB; where the mask is set, half original and half red (255, 0, 0), cut to whole levels.
///
/// Picture and mask have the same size.
pub fn overlay(picture: &Picture, mask: &Mask) -> RgbImage {
    let mut out = to_rgb8(picture);
    for (pixel, _) in out.pixels_mut().zip(&mask.pixels).filter(|&(_, &m)| m != 0) {
        let [r, g, b] = pixel.0;
        // Integer halves truncate like 0.5 * original + 0.5 * red in the Python scripts.
        pixel.0 = [((u16::from(r) + 255) / 2) as u8, g / 2, b / 2];
    }
    out
}

/// 8-bit RGB: gray is replicated, wider samples are scaled by their bit depth and rounded.
pub fn to_rgb8(picture: &Picture) -> RgbImage {
    let bytes: Vec<u8> = match &picture.samples {
        Samples::U8(v) if picture.channels == 3 => v.clone(),
        Samples::U8(v) => v.iter().flat_map(|&s| [s; 3]).collect(),
        Samples::U16(v) => {
            let largest = (1u32 << picture.bit_depth) - 1;
            let narrow = |s: u16| ((u32::from(s) * 255 + largest / 2) / largest).min(255) as u8;
            if picture.channels == 3 { v.iter().map(|&s| narrow(s)).collect() } else { v.iter().flat_map(|&s| [narrow(s); 3]).collect() }
        }
    };
    RgbImage::from_raw(picture.width, picture.height, bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_half_red() {
        let picture = Picture { width: 3, height: 1, channels: 1, bit_depth: 8, samples: Samples::U8(vec![255, 10, 10]) };
        let mask = Mask { width: 3, height: 1, pixels: vec![255, 255, 0], area: 2, regions: 1 };
        assert_eq!(overlay(&picture, &mask).as_raw(), &[255, 127, 127, 132, 5, 5, 10, 10, 10]);
    }

    #[test]
    fn twelve_bits_fill_eight() {
        let samples = Samples::U16(vec![0, 2048, 4095]);
        let picture = Picture { width: 1, height: 1, channels: 3, bit_depth: 12, samples };
        assert_eq!(to_rgb8(&picture).as_raw(), &[0, 128, 255]);
    }
}
