//! Lines around the regions of a mask, and a cross at the worst place. They are seen on every ground and leave the defect as it is.

use super::mask::{Mask, dilate};
use image::{Rgb, RgbImage};

/// The line: the yellow of the palette of Okabe and Ito, which colour-blind people tell from its other colours.
const LINE: Rgb<u8> = Rgb([240, 228, 66]);
/// Its edges. Between yellow and black, no ground of the picture hides both: a test has the contrasts.
const EDGE: Rgb<u8> = Rgb([0, 0, 0]);

/// The short side of a picture, in pixels, whose lines have edges of one pixel. Lines grow with the picture, so that they are seen when
/// it is shown small: a picture of 5 megapixels has a line of 10 pixels between edges of 5.
const SIDE_OF_ONE: u32 = 400;

/// Where the arms of the cross begin and end, in units from its middle. The middle stays free.
const ARM: (i64, i64) = (8, 16);

/// Pixels of an edge; the line is twice as wide.
pub fn unit(width: u32, height: u32) -> u32 {
    ((width.min(height) + SIDE_OF_ONE / 2) / SIDE_OF_ONE).max(1)
}

/// Draws a line around each region, outside of it. Where a region touches the edge of the picture, the line lies on the edge.
///
/// Picture and mask have the same size.
pub fn draw_outline(out: &mut RgbImage, mask: &Mask) {
    let unit = unit(mask.width, mask.height) as usize;
    let Some(frame) = Frame::around(mask, 4 * unit) else { return };
    let within = |radius: usize| {
        let mut pixels = frame.cut(mask);
        dilate(&mut pixels, frame.width, radius);
        pixels
    };
    let (inner, line, outer) = (within(unit), within(3 * unit), within(4 * unit));
    for (i, &set) in frame.cut(mask).iter().enumerate() {
        let (x, y) = (frame.left + i % frame.width, frame.top + i / frame.width);
        let colour = if set != 0 {
            match border_distance(mask, x, y) {
                distance if distance < unit => LINE,
                distance if distance < 2 * unit => EDGE,
                _ => continue,
            }
        } else if inner[i] != 0 {
            EDGE
        } else if line[i] != 0 {
            LINE
        } else if outer[i] != 0 {
            EDGE
        } else {
            continue;
        };
        out.put_pixel(x as u32, y as u32, colour);
    }
}

/// Draws a cross with an open middle around `(x, y)`, pixels; the picture cuts what lies outside of it.
pub fn draw_cross(out: &mut RgbImage, (x, y): (u32, u32)) {
    let unit = i64::from(unit(out.width(), out.height()));
    let (x, y, near, far) = (i64::from(x), i64::from(y), ARM.0 * unit, ARM.1 * unit);
    // Odd widths lie in the middle of the place.
    for (colour, half, more) in [(EDGE, 2 * unit, unit), (LINE, unit, 0)] {
        for (from, to) in [(-far - more, -near + more), (near - more, far + more)] {
            fill(out, (x + from, x + to), (y - half, y + half), colour);
            fill(out, (x - half, x + half), (y + from, y + to), colour);
        }
    }
}

fn fill(out: &mut RgbImage, (left, right): (i64, i64), (top, bottom): (i64, i64), colour: Rgb<u8>) {
    let (width, height) = (i64::from(out.width()), i64::from(out.height()));
    for y in top.max(0)..=bottom.min(height - 1) {
        for x in left.max(0)..=right.min(width - 1) {
            out.put_pixel(x as u32, y as u32, colour);
        }
    }
}

fn border_distance(mask: &Mask, x: usize, y: usize) -> usize {
    x.min(y).min(mask.width as usize - 1 - x).min(mask.height as usize - 1 - y)
}

/// The part of a picture that holds the mask and its lines, pixels.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Frame {
    /// `None` without a pixel in the mask.
    fn around(mask: &Mask, margin: usize) -> Option<Self> {
        let (width, height) = (mask.width as usize, mask.height as usize);
        let (mut left, mut right, mut top, mut bottom) = (width, 0, height, 0);
        for (y, row) in mask.pixels.chunks_exact(width.max(1)).enumerate() {
            let Some(first) = row.iter().position(|&p| p != 0) else { continue };
            let last = row.iter().rposition(|&p| p != 0).unwrap_or(first);
            (left, right, top, bottom) = (left.min(first), right.max(last), top.min(y), y);
        }
        if left == width {
            return None;
        }
        let (left, top) = (left.saturating_sub(margin), top.saturating_sub(margin));
        let (right, bottom) = ((right + margin).min(width - 1), (bottom + margin).min(height - 1));
        Some(Self { left, top, width: right + 1 - left, height: bottom + 1 - top })
    }

    fn cut(&self, mask: &Mask) -> Vec<u8> {
        let rows = mask.pixels.chunks_exact(mask.width as usize).skip(self.top).take(self.height);
        rows.flat_map(|row| &row[self.left..self.left + self.width]).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: u32, height: u32, set: impl Fn(u32, u32) -> bool) -> Mask {
        let pixels = (0..width * height).map(|i| if set(i % width, i / width) { 255 } else { 0 }).collect();
        Mask { width, height, pixels, area: 0, regions: 0 }
    }

    /// Luminance as WCAG defines it, 0..=1.
    fn luminance(Rgb(rgb): Rgb<u8>) -> f64 {
        let linear = rgb.map(|v| f64::from(v) / 255.0).map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(a: f64, b: f64) -> f64 {
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn line_or_edge_is_seen_on_every_ground() {
        // WCAG asks for 3 : 1 where a shape has to be seen. Luminance is what every kind of colour blindness leaves.
        for ground in 0..=1000 {
            let ground = f64::from(ground) / 1000.0;
            let best = contrast(luminance(LINE), ground).max(contrast(luminance(EDGE), ground));
            assert!(best > 3.9, "{ground}: {best}");
        }
    }

    #[test]
    fn the_line_goes_around_a_region_and_leaves_its_pixels() {
        let gray = Rgb([90; 3]);
        let mask = mask(60, 40, |x, y| (20..30).contains(&x) && (15..25).contains(&y));
        let mut out = RgbImage::from_pixel(60, 40, gray);
        draw_outline(&mut out, &mask);
        let row: Vec<Rgb<u8>> = (14..=20).map(|x| *out.get_pixel(x, 20)).collect();
        assert_eq!(row, [gray, gray, EDGE, LINE, LINE, EDGE, gray]);
        for (x, y, pixel) in out.enumerate_pixels() {
            if mask.pixels[(y * 60 + x) as usize] != 0 {
                assert_eq!(*pixel, gray);
            }
        }
        // Around it, whatever the direction, there are edge, line and edge.
        assert_eq!(
            [out.get_pixel(24, 11), out.get_pixel(24, 12), out.get_pixel(24, 14), out.get_pixel(24, 10)],
            [&EDGE, &LINE, &EDGE, &gray]
        );
    }

    #[test]
    fn a_mask_of_the_whole_picture_has_its_line_on_the_edge_and_an_empty_one_has_none() {
        let gray = Rgb([90; 3]);
        let mut out = RgbImage::from_pixel(20, 10, gray);
        draw_outline(&mut out, &mask(20, 10, |_, _| false));
        assert!(out.pixels().all(|p| *p == gray));
        draw_outline(&mut out, &mask(20, 10, |_, _| true));
        assert_eq!([out.get_pixel(0, 5), out.get_pixel(1, 5), out.get_pixel(2, 5), out.get_pixel(19, 9)], [&LINE, &EDGE, &gray, &LINE]);
    }

    #[test]
    fn lines_grow_with_the_picture() {
        assert_eq!([unit(96, 96), unit(640, 480), unit(1024, 1024), unit(2592, 1944)], [1, 1, 3, 5]);
    }

    #[test]
    fn the_cross_leaves_its_middle_and_stays_in_the_picture() {
        let gray = Rgb([90; 3]);
        let mut out = RgbImage::from_pixel(60, 60, gray);
        draw_cross(&mut out, (30, 30));
        assert_eq!(
            [out.get_pixel(30, 30), out.get_pixel(36, 30), out.get_pixel(42, 30), out.get_pixel(42, 32)],
            [&gray, &gray, &LINE, &EDGE]
        );
        for place in [(0, 0), (59, 59), (59, 0)] {
            draw_cross(&mut out, place);
        }
        draw_cross(&mut RgbImage::new(1, 1), (0, 0));
    }
}
