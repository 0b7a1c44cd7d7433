//! Two by two: reference | test above mask | overlay.

use super::mask::Mask;
use super::overlay::to_rgb8;
use super::resize::resize_like;
use crate::domain::Picture;
use image::{GenericImage, RgbImage};

/// A picture of twice the test's width and height; the reference is resized (bilinear) to the size of the test.
///
/// `mask` and `overlay` have the size of the test.
pub fn side_by_side(reference: &Picture, test: &Picture, mask: &Mask, overlay: &RgbImage) -> RgbImage {
    let (width, height) = (test.width, test.height);
    let mask = RgbImage::from_raw(width, height, mask.pixels.iter().flat_map(|&m| [m; 3]).collect()).unwrap_or_default();
    let mut out = RgbImage::new(width * 2, height * 2);
    let reference = resize_like(reference, width, height);
    for (tile, x, y) in [(&reference, 0, 0), (&to_rgb8(test), width, 0), (&mask, 0, height), (overlay, width, height)] {
        // Every tile has the size of the test, so it always fits.
        let _ = out.copy_from(tile, x, y);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Samples;
    use image::Rgb;

    #[test]
    fn the_tiles_are_where_they_belong() {
        let gray = |width, height, value| Picture {
            width,
            height,
            channels: 1,
            bit_depth: 8,
            samples: Samples::U8(vec![value; width as usize * height as usize]),
        };
        let mask = Mask { width: 4, height: 3, pixels: vec![255; 12], area: 12, regions: 1 };
        let overlay = RgbImage::from_pixel(4, 3, Rgb([9, 8, 7]));
        let out = side_by_side(&gray(11, 2, 50), &gray(4, 3, 60), &mask, &overlay);
        assert_eq!(out.dimensions(), (8, 6));
        let at = |x, y| out.get_pixel(x, y).0;
        assert_eq!([at(0, 0), at(7, 0), at(0, 5), at(7, 5)], [[50; 3], [60; 3], [255; 3], [9, 8, 7]]);
        assert_eq!([at(3, 2), at(4, 2), at(3, 3), at(4, 3)], [[50; 3], [60; 3], [255; 3], [9, 8, 7]]);
    }
}
