//! The original with the place of the defect.

use super::mask::Mask;
use super::outline::{draw_cross, draw_outline};
use super::text::{TextPlate, TextSize};
use crate::domain::{OverlayStyle, Picture, Samples};
use image::RgbImage;

/// What an overlay shows.
#[derive(Debug)]
pub struct OverlayMarks<'a> {
    /// How the mask is shown.
    pub style: OverlayStyle,
    /// The mask, as large as the picture.
    pub mask: &'a Mask,
    /// Column and row of the worst place, pixels; the style [`OverlayStyle::HalfRed`] does not show it.
    pub worst: Option<(u32, u32)>,
    /// Lines of text for a corner; none for no text.
    pub text: &'a [String],
}

/// The original as 8-bit RGB with these marks.
pub fn overlay(picture: &Picture, marks: &OverlayMarks<'_>) -> RgbImage {
    let mut out = to_rgb8(picture);
    match marks.style {
        OverlayStyle::HalfRed => half_red(&mut out, marks.mask),
        OverlayStyle::Outline => {
            draw_outline(&mut out, marks.mask);
            if let Some(worst) = marks.worst {
                draw_cross(&mut out, worst);
            }
        }
    }
    if !marks.text.is_empty() {
        let plate = TextPlate::new(marks.text, TextSize::for_picture(out.width(), out.height()));
        let corner = corner(&plate, marks);
        plate.draw_at(&mut out, corner);
    }
    out
}

/// Where the mask is set, half original and half red (255, 0, 0), cut to whole levels.
fn half_red(out: &mut RgbImage, mask: &Mask) {
    for (pixel, _) in out.pixels_mut().zip(&mask.pixels).filter(|&(_, &m)| m != 0) {
        let [r, g, b] = pixel.0;
        // Integer halves truncate like 0.5 * original + 0.5 * red in the Python scripts.
        pixel.0 = [((u16::from(r) + 255) / 2) as u8, g / 2, b / 2];
    }
}

/// The corner where the plate covers the fewest pixels of the mask, and not the worst place; the upper left one if nothing is in its way.
fn corner(plate: &TextPlate, marks: &OverlayMarks<'_>) -> (u32, u32) {
    let mask = marks.mask;
    let (right, bottom) = (mask.width.saturating_sub(plate.width()), mask.height.saturating_sub(plate.height()));
    let covered = |&(left, top): &(u32, u32)| {
        let (columns, rows) = (left..(left + plate.width()).min(mask.width), top..(top + plate.height()).min(mask.height));
        let worst = marks.worst.is_some_and(|(x, y)| columns.contains(&x) && rows.contains(&y));
        let row = |y: u32| &mask.pixels[(y * mask.width + columns.start) as usize..(y * mask.width + columns.end) as usize];
        (worst, rows.map(|y| row(y).iter().filter(|&&m| m != 0).count()).sum::<usize>())
    };
    [(0, 0), (right, 0), (0, bottom), (right, bottom)].into_iter().min_by_key(covered).unwrap_or((0, 0))
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
    use image::Rgb;

    fn gray(width: u32, height: u32) -> Picture {
        Picture { width, height, channels: 1, bit_depth: 8, samples: Samples::U8(vec![90; (width * height) as usize]) }
    }

    /// A mask that is set in the first `columns` of every row.
    fn left_columns(width: u32, height: u32, columns: u32) -> Mask {
        let pixels = (0..width * height).map(|i| if i % width < columns { 255 } else { 0 }).collect();
        Mask { width, height, pixels, area: u64::from(columns * height), regions: 1 }
    }

    #[test]
    fn for_guide_the_mask_is_half_red_and_nothing_else() {
        let picture = Picture { width: 3, height: 1, channels: 1, bit_depth: 8, samples: Samples::U8(vec![255, 10, 10]) };
        let mask = Mask { width: 3, height: 1, pixels: vec![255, 255, 0], area: 2, regions: 1 };
        let marks = OverlayMarks { style: OverlayStyle::HalfRed, mask: &mask, worst: Some((0, 0)), text: &[] };
        assert_eq!(overlay(&picture, &marks).as_raw(), &[255, 127, 127, 132, 5, 5, 10, 10, 10]);
    }

    #[test]
    fn without_marks_it_is_the_original() {
        let mask = left_columns(50, 40, 0);
        let marks = OverlayMarks { style: OverlayStyle::Outline, mask: &mask, worst: None, text: &[] };
        assert!(overlay(&gray(50, 40), &marks).pixels().all(|p| *p == Rgb([90; 3])));
    }

    #[test]
    fn the_text_takes_a_corner_without_a_defect() {
        let text = ["ng".to_owned(), "score 2.31".to_owned()];
        let black = |out: &RgbImage, x, y| out.get_pixel(x, y).0 == [0; 3];
        for (columns, worst, left) in [(0, None, true), (30, None, false), (0, Some((5, 5)), false), (1, Some((140, 3)), false)] {
            let mask = left_columns(150, 100, columns);
            let out = overlay(&gray(150, 100), &OverlayMarks { style: OverlayStyle::HalfRed, mask: &mask, worst, text: &text });
            let corners = [black(&out, 0, 0), black(&out, 149, 0), black(&out, 0, 99), black(&out, 149, 99)];
            assert_eq!(corners.iter().filter(|&&c| c).count(), 1, "{columns} {worst:?}: {corners:?}");
            assert_eq!(corners[0] || corners[2], left, "{columns} {worst:?}: {corners:?}");
            assert_eq!(corners[0], columns == 0 && worst.is_none());
        }
    }

    #[test]
    fn twelve_bits_fill_eight() {
        let samples = Samples::U16(vec![0, 2048, 4095]);
        let picture = Picture { width: 1, height: 1, channels: 3, bit_depth: 12, samples };
        assert_eq!(to_rgb8(&picture).as_raw(), &[0, 128, 255]);
    }
}
