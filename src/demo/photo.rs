//! A small camera model: a surface that knows its colour everywhere becomes a picture of 320 x 320 pixels.

use image::{GrayImage, Luma, Rgb as Pixel, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::PI;

/// Width and height of every picture in pixels.
pub const SIDE: u32 = 320;

/// Samples per pixel and axis; 2 x 2 samples are enough against jagged edges at this size.
const SAMPLES: u32 = 2;

/// Linear red, green, blue, 0.0..=255.0 before clipping.
pub type Rgb = [f32; 3];

/// What a surface looks like at one point.
#[derive(Debug, Clone, Copy)]
pub struct Shade {
    /// Colour under even light.
    pub colour: Rgb,
    /// How much of this point is defect, 0..=1.
    pub defect: f32,
}

/// Something that can lie under the camera.
pub trait Surface {
    /// The look at `(x, y)`: pixels from the centre of the part, in the part's own axes. `light` is where the lamp stands,
    /// as an angle in radians in those axes.
    fn shade(&self, x: f32, y: f32, light: f32) -> Shade;
}

/// A picture and the truth about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// `SIDE x SIDE` pixels.
    pub image: RgbImage,
    /// `SIDE x SIDE`, 255 where the defect is; all 0 on a good part.
    pub mask: GrayImage,
}

/// How far good parts and their light differ from picture to picture.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Largest shift per axis, pixels.
    pub shift: f32,
    /// Largest turn, degrees.
    pub turn: f32,
}

/// Takes one picture: the part lies a little off, the light is a little uneven, the sensor is a little noisy.
pub fn take(surface: &dyn Surface, spread: Spread, rng: &mut ChaCha8Rng) -> Photo {
    let shift = (rng.random_range(-spread.shift..=spread.shift), rng.random_range(-spread.shift..=spread.shift));
    let turn = rng.random_range(-spread.turn..=spread.turn).to_radians();
    let (sin, cos) = turn.sin_cos();
    let light = -0.25 * PI + rng.random_range(-0.03..=0.03);
    let gain = rng.random_range(0.96..=1.04_f32);
    let slope = (rng.random_range(-0.04..=0.04_f32), rng.random_range(-0.04..=0.04_f32));

    let centre = SIDE as f32 / 2.0;
    let mut photo = Photo { image: RgbImage::new(SIDE, SIDE), mask: GrayImage::new(SIDE, SIDE) };
    let share = 1.0 / (SAMPLES * SAMPLES) as f32;
    for (column, row, pixel) in photo.image.enumerate_pixels_mut() {
        let mut sum = [0.0_f32; 3];
        let mut defect = 0.0;
        for sample in 0..SAMPLES * SAMPLES {
            let px = column as f32 + ((sample % SAMPLES) as f32 + 0.5) / SAMPLES as f32 - centre - shift.0;
            let py = row as f32 + ((sample / SAMPLES) as f32 + 0.5) / SAMPLES as f32 - centre - shift.1;
            let shade = surface.shade(cos * px + sin * py, cos * py - sin * px, light - turn);
            for (total, value) in sum.iter_mut().zip(shade.colour) {
                *total += value * share;
            }
            defect += shade.defect * share;
        }
        let even = gain * (1.0 + slope.0 * (column as f32 / centre - 1.0) + slope.1 * (row as f32 / centre - 1.0));
        // Shot noise is mostly brightness noise: what colour noise a sensor has is gone after its demosaicing.
        let noise = bell(rng) * 2.0;
        *pixel = Pixel(sum.map(|value| (value * even + noise).round().clamp(0.0, 255.0) as u8));
        if defect >= 0.5 {
            photo.mask.put_pixel(column, row, Luma([255]));
        }
    }
    photo
}

/// About normal, mean 0, deviation 1.
fn bell(rng: &mut ChaCha8Rng) -> f32 {
    let bits = rng.random::<u64>().to_le_bytes();
    let sum: f32 = bits.chunks_exact(2).map(|pair| f32::from(u16::from_le_bytes([pair[0], pair[1]])) / 65535.0).sum();
    (sum - 2.0) * 3.0_f32.sqrt()
}

/// `a` at 0, `b` at 1.
pub fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

/// Every channel times `factor`.
pub fn scale(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|value| value * factor)
}

/// 0 below `from`, 1 above `to`, smooth between.
pub fn smooth_step(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Random but repeatable value in 0..1 for a cell of the plane.
pub fn cell(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^= h >> 15;
    h as f32 / u32::MAX as f32
}

/// Smooth noise over the plane in -1..1, one bump per unit.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (i, j) = (column as i32, row as i32);
    let (u, v) = (smooth_step(0.0, 1.0, x - column), smooth_step(0.0, 1.0, y - row));
    let upper = cell(i, j, seed) * (1.0 - u) + cell(i + 1, j, seed) * u;
    let lower = cell(i, j + 1, seed) * (1.0 - u) + cell(i + 1, j + 1, seed) * u;
    (upper * (1.0 - v) + lower * v) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    struct HalfDefect;

    impl Surface for HalfDefect {
        fn shade(&self, x: f32, _: f32, _: f32) -> Shade {
            Shade { colour: [100.0, 150.0, 200.0], defect: if x < 0.0 { 1.0 } else { 0.0 } }
        }
    }

    #[test]
    fn the_mask_lies_where_the_defect_is_and_light_and_noise_stay_small() {
        let still = Spread { shift: 0.0, turn: 0.0 };
        let photo = take(&HalfDefect, still, &mut ChaCha8Rng::seed_from_u64(3));
        for (x, _, pixel) in photo.mask.enumerate_pixels() {
            assert_eq!(pixel.0[0], if x < SIDE / 2 { 255 } else { 0 }, "column {x}");
        }
        let mean = photo.image.pixels().map(|p| f64::from(p.0[1])).sum::<f64>() / f64::from(SIDE * SIDE);
        assert!((140.0..160.0).contains(&mean), "{mean}");
        let colours: std::collections::HashSet<_> = photo.image.pixels().map(|p| p.0).collect();
        assert!(colours.len() > 10, "no noise: {} colours", colours.len());
    }

    #[test]
    fn noise_is_smooth_and_bounded() {
        for step in 0..1000 {
            let x = step as f32 * 0.0137 - 5.0;
            let here = noise(x, 2.3, 9);
            assert!(here.abs() <= 1.0);
            assert!((noise(x + 0.001, 2.3, 9) - here).abs() < 0.01);
        }
    }
}
