//! Resizes as OpenCV does (the Python scripts use `cv2.resize`): area averaging to shrink, bilinear to enlarge.

mod area;
mod linear;
mod size;

pub(crate) use linear::linear_f32;

use crate::domain::{EngineSize, Picture, ResizedImage, Samples};
use image::RgbImage;
pub(crate) use size::Size;

/// Resizes to the sides that [`EngineSize::sides`] gives, which keeps the aspect ratio as far as its multiple allows.
///
/// 8-bit pictures give whole grey levels, rounded where `cv2.INTER_AREA` and `cv2.INTER_LINEAR` round. Wider ones are scaled to 0.0..=255.0
/// by their bit depth and not rounded. Gray is replicated to three channels. Nothing is interpolated when the size stays.
pub fn resize_for_engine(picture: &Picture, size: EngineSize) -> ResizedImage {
    let (width, height) = size.sides(picture.width, picture.height);
    let from = Size::of(picture);
    let to = Size { width: width as usize, height: height as usize };
    // One side may grow while the other shrinks, when both are rounded to a multiple.
    let shrink = to.width <= from.width && to.height <= from.height;
    let scale = 255.0 / ((1u32 << picture.bit_depth) - 1) as f32;
    let values = match &picture.samples {
        _ if from.width == 0 || from.height == 0 => Vec::new(),
        Samples::U8(v) if from == to => v.iter().map(|&s| f32::from(s)).collect(),
        Samples::U16(v) if from == to => v.iter().map(|&s| f32::from(s) * scale).collect(),
        Samples::U8(v) if shrink => by_channels(picture.channels, || area::area_u8::<1>(v, from, to), || area::area_u8::<3>(v, from, to)),
        Samples::U16(v) if shrink => by_channels(
            picture.channels,
            || area::area::<u16, 1>(v, from, to, |s| s * scale),
            || area::area::<u16, 3>(v, from, to, |s| s * scale),
        ),
        Samples::U8(v) => linear::linear_u8(v, usize::from(picture.channels), from, to, f32::from),
        Samples::U16(v) => linear_f32(v, usize::from(picture.channels), from, to, |s| s * scale),
    };
    let rgb = if picture.channels == 1 { values.iter().flat_map(|&v| [v; 3]).collect() } else { values };
    ResizedImage { width, height, rgb }
}

/// The picture as 8-bit RGB of the given size; bilinear (`cv2.INTER_LINEAR`) both to shrink and to enlarge.
pub fn resize_like(picture: &Picture, width: u32, height: u32) -> RgbImage {
    let original = crate::imaging::overlay::to_rgb8(picture);
    if (picture.width, picture.height) == (width, height) || picture.width == 0 || picture.height == 0 {
        return original;
    }
    let to = Size { width: width as usize, height: height as usize };
    let pixels = linear::linear_u8(original.as_raw(), 3, Size::of(picture), to, |v| v);
    RgbImage::from_raw(width, height, pixels).unwrap_or_default()
}

/// The longest side after resizing, in short sides. A longer strip would take the memory of many images.
const LONGEST_STRIP: u32 = 32;

/// A picture that is far longer than wide, or wider than high: resized for the engine, it would be huge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {width}x{height} pixels: its long side is more than {LONGEST_STRIP} times the short one, which would be enlarged to {shorter} \
     pixels; cut the strip into images"
)]
pub struct TooElongated {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The short side after resizing.
    pub shorter: u32,
}

/// Refuses a picture that would be huge at this size.
///
/// # Errors
/// [`TooElongated`].
pub fn check_engine_size(picture: &Picture, size: EngineSize) -> Result<(), TooElongated> {
    let Picture { width, height, .. } = *picture;
    let (short, long) = (width.min(height), width.max(height));
    let fits = u64::from(long) <= u64::from(short) * u64::from(LONGEST_STRIP);
    if fits { Ok(()) } else { Err(TooElongated { width, height, shorter: size.shorter() }) }
}

fn by_channels<T>(channels: u8, gray: impl FnOnce() -> T, rgb: impl FnOnce() -> T) -> T {
    if channels == 1 { gray() } else { rgb() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, channels: u8, value: impl Fn(usize) -> u8) -> Picture {
        let n = width as usize * height as usize * channels as usize;
        Picture { width, height, channels, bit_depth: 8, samples: Samples::U8((0..n).map(value).collect()) }
    }

    fn any(shorter: u32) -> EngineSize {
        EngineSize::new(shorter, 1)
    }

    #[test]
    fn the_same_size_is_a_copy_and_gray_is_replicated() {
        let small = resize_for_engine(&picture(3, 2, 1, |i| i as u8 * 10), any(2));
        assert_eq!((small.width, small.height), (3, 2));
        assert_eq!(small.rgb[..6], [0.0, 0.0, 0.0, 10.0, 10.0, 10.0]);
    }

    #[test]
    fn a_flat_picture_stays_flat_whatever_the_size() {
        let plain = [(7, 5, 3), (7, 5, 64), (64, 48, 24), (65, 48, 16), (1, 1, 32)].map(|(width, height, to)| (width, height, any(to)));
        // 46×42 to 42×42: narrower, and as high. 40×38 to 42×42, 60×35 to 56×28, 41×43 to 42×42: wider and lower.
        let patches = [(46, 42, 41), (40, 38, 40), (60, 35, 33), (41, 43, 41)].map(|(w, h, to)| (w, h, EngineSize::new(to, 14)));
        for (width, height, size) in plain.into_iter().chain(patches) {
            for channels in [1, 3] {
                let out = resize_for_engine(&picture(width, height, channels, |_| 201), size);
                assert_eq!((out.width, out.height), size.sides(width, height));
                assert!(out.rgb.iter().all(|&v| v == 201.0), "{width}x{height} to {size:?}");
                assert_eq!(out.rgb.len(), out.width as usize * out.height as usize * 3);
            }
        }
    }

    #[test]
    fn twelve_bits_are_scaled_by_4095_and_not_rounded() {
        for shorter in [2, 4, 9] {
            let samples = Samples::U16(vec![2048; 4 * 6]);
            let out = resize_for_engine(&Picture { width: 6, height: 4, channels: 1, bit_depth: 12, samples }, any(shorter));
            assert!(out.rgb.iter().all(|&v| (v - 2048.0 * 255.0 / 4095.0).abs() < 1e-3), "{:?}", out.rgb);
        }
    }
}
