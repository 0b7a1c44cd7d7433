//! Text in pictures: white letters on a black plate, which are read on every ground.

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};
use std::convert::Infallible;

const PAPER: Rgb<u8> = Rgb([0; 3]);
const INK: Rgb<u8> = Rgb([255; 3]);

/// The short side of a picture, in pixels, below which the small letters are used.
const SMALL_PICTURE: u32 = 480;
/// Lines of large letters that fill the short side of a picture.
const LINES: u32 = 28;

/// How large letters are.
#[derive(Debug, Clone, Copy)]
pub struct TextSize {
    font: &'static MonoFont<'static>,
    factor: u32,
}

impl TextSize {
    /// Letters of 6×10 pixels.
    pub const SMALL: Self = Self { font: &FONT_6X10, factor: 1 };
    /// Letters of 10×20 pixels.
    pub const LARGE: Self = Self { font: &FONT_10X20, factor: 1 };

    /// Letters that grow with a picture of this size, so that they are read when it is shown small.
    pub fn for_picture(width: u32, height: u32) -> Self {
        let side = width.min(height);
        let line = LINES * FONT_10X20.character_size.height;
        if side < SMALL_PICTURE { Self::SMALL } else { Self { factor: ((side + line / 2) / line).max(1), ..Self::LARGE } }
    }
}

/// A plate with lines of text.
#[derive(Debug, Clone)]
pub struct TextPlate {
    size: TextSize,
    /// `height * width` before it is enlarged; true = ink.
    ink: Vec<bool>,
    width: u32,
    height: u32,
}

impl TextPlate {
    /// The plate for these lines. Letters beyond Latin-1 are shown as `?`.
    pub fn new(lines: &[impl AsRef<str>], size: TextSize) -> Self {
        let cell = size.font.character_size;
        let longest = lines.iter().map(|line| line.as_ref().chars().count()).max().unwrap_or(0);
        // A quarter of a line is free around the text.
        let margin = cell.height / 4;
        let (width, height) = (longest as u32 * cell.width + 2 * margin, lines.len() as u32 * cell.height + 2 * margin);
        let mut plate = Self { size, ink: vec![false; (width * height) as usize], width, height };
        let style = MonoTextStyle::new(size.font, BinaryColor::On);
        for (number, line) in lines.iter().enumerate() {
            let top = margin as usize + number * cell.height as usize;
            let Ok(_) = Text::with_baseline(line.as_ref(), Point::new(margin as i32, top as i32), style, Baseline::Top).draw(&mut plate);
        }
        plate
    }

    /// Its width, pixels.
    pub fn width(&self) -> u32 {
        self.width * self.size.factor
    }

    /// Its height, pixels.
    pub fn height(&self) -> u32 {
        self.height * self.size.factor
    }

    /// Puts the plate into a picture with its upper left corner at `(left, top)`; the picture cuts what lies outside of it.
    pub fn draw_at(&self, out: &mut RgbImage, (left, top): (u32, u32)) {
        for y in top..(top + self.height()).min(out.height()) {
            for x in left..(left + self.width()).min(out.width()) {
                let place = (y - top) / self.size.factor * self.width + (x - left) / self.size.factor;
                out.put_pixel(x, y, if self.ink[place as usize] { INK } else { PAPER });
            }
        }
    }
}

impl OriginDimensions for TextPlate {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for TextPlate {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else { continue };
            if x < self.width && y < self.height {
                self.ink[(y * self.width + x) as usize] = colour.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_white_on_black_and_stay_on_their_plate() {
        let ground = Rgb([10, 200, 30]);
        let mut out = RgbImage::from_pixel(100, 40, ground);
        let plate = TextPlate::new(&["ng", "8 × 8 px"], TextSize::SMALL);
        assert_eq!((plate.width(), plate.height()), (8 * 6 + 4, 2 * 10 + 4));
        plate.draw_at(&mut out, (10, 5));
        for (x, y, pixel) in out.enumerate_pixels() {
            let on_plate = (10..62).contains(&x) && (5..29).contains(&y);
            assert_eq!(*pixel != ground, on_plate, "{x}, {y}");
        }
        let ink = out.pixels().filter(|p| **p == INK).count();
        assert!((40..200).contains(&ink), "{ink}");
        // Beyond the picture it is cut.
        plate.draw_at(&mut out, (90, 35));
    }

    #[test]
    fn letters_grow_with_the_picture() {
        let height = |side: u32| TextPlate::new(&["x"], TextSize::for_picture(side, side)).height();
        assert_eq!([height(96), height(512), height(2048)], [14, 30, 120]);
    }
}
