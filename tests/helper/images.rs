//! Parts made by formula: a bright disc on a dark ground, with a little variation; a defect is a dark bar across it.

use std::path::Path;

/// What to draw.
#[derive(Clone, Copy)]
pub struct Part {
    /// Varies position, light and noise.
    pub number: u32,
    /// Whether it has a defect.
    pub defect: bool,
}

impl Part {
    pub fn ok(number: u32) -> Self {
        Self { number, defect: false }
    }

    pub fn ng(number: u32) -> Self {
        Self { number, defect: true }
    }
}

const SIZE: u32 = 96;

/// RGB, 96×96.
fn draw(part: Part) -> image::RgbImage {
    let mut state = part.number.wrapping_mul(2_654_435_761) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let shift = |r: u32| (r % 5) as i32 - 2;
    let (cx, cy, light) = (48 + shift(random()), 48 + shift(random()), (random() % 9) as i32);
    image::RgbImage::from_fn(SIZE, SIZE, |x, y| {
        let (dx, dy) = (x as i32 - cx, y as i32 - cy);
        let distance = dx * dx + dy * dy;
        let mut value = if distance < 900 { 170 } else { 50 } + light + (random() % 7) as i32;
        if (100..196).contains(&distance) {
            value = 90 + light;
        }
        if part.defect && (dx - dy).abs() < 5 && distance < 900 {
            value = 5;
        }
        let value = value.clamp(0, 255) as u8;
        image::Rgb([value, value.saturating_sub(8), value.saturating_add(6)])
    })
}

/// The part as a JPEG file's bytes.
pub fn jpeg_bytes(part: Part) -> Vec<u8> {
    image_bytes(part, image::ImageFormat::Jpeg)
}

/// The part as a file's bytes.
pub fn image_bytes(part: Part, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    draw(part).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Writes the part; the format follows from the name.
pub fn write_image(path: &Path, part: Part) {
    let bytes = if path.extension().is_some_and(|e| e == "png") { image_bytes(part, image::ImageFormat::Png) } else { jpeg_bytes(part) };
    std::fs::write(path, bytes).unwrap();
}
