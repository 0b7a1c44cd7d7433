//! Samples of a picture as numbers, whatever their format.

use super::planted::Footprint;
use crate::domain::{Picture, Samples};

/// A sample in steps of its own bit depth.
fn sample(picture: &Picture, i: usize) -> f32 {
    match &picture.samples {
        Samples::U8(samples) => samples.get(i).copied().map_or(0.0, f32::from),
        Samples::U16(samples) => samples.get(i).copied().map_or(0.0, f32::from),
    }
}

/// The largest sample that the picture can have.
fn full_scale(picture: &Picture) -> f32 {
    ((1u32 << picture.bit_depth) - 1) as f32
}

/// The gray value of a pixel: the mean of its channels, in sample units.
pub fn gray_at(picture: &Picture, x: u32, y: u32) -> f32 {
    let channels = usize::from(picture.channels);
    let first = (y as usize * picture.width as usize + x as usize) * channels;
    (first..first + channels).map(|i| sample(picture, i)).sum::<f32>() / channels as f32
}

/// The share of pixels that are darker, or brighter, than the grey range: reflections and dead pixels do not count.
const TAIL: usize = 100;
/// Pixels that the range is measured on, about.
const MEASURED: u32 = 200_000;

/// The grey range of a picture in its sample units: from its darkest to its brightest hundredth of pixels. At least a twentieth of the
/// full scale, so that a nearly even picture has a contrast, too.
pub fn grey_range(picture: &Picture) -> f32 {
    let step = ((f64::from(picture.width) * f64::from(picture.height) / f64::from(MEASURED)).sqrt().ceil() as usize).max(1);
    let mut grays: Vec<f32> =
        (0..picture.height).step_by(step).flat_map(|y| (0..picture.width).step_by(step).map(move |x| gray_at(picture, x, y))).collect();
    grays.sort_unstable_by(f32::total_cmp);
    let tail = grays.len() / TAIL;
    let range = match (grays.get(tail), grays.get((grays.len() - tail).saturating_sub(1))) {
        (Some(dark), Some(bright)) => bright - dark,
        _ => 0.0,
    };
    range.max(full_scale(picture) / 20.0)
}

/// Reads samples of one picture, and writes them to a copy of it.
pub struct SampleGrid<'a> {
    picture: &'a Picture,
    channels: usize,
}

impl<'a> SampleGrid<'a> {
    pub fn new(picture: &'a Picture) -> Self {
        Self { picture, channels: usize::from(picture.channels) }
    }

    fn index(&self, x: u32, y: u32, channel: usize) -> usize {
        (y as usize * self.picture.width as usize + x as usize) * self.channels + channel
    }

    pub fn at(&self, x: u32, y: u32, channel: usize) -> f32 {
        sample(self.picture, self.index(x, y, channel))
    }

    /// Rounded, and cut off at 0 and the full scale.
    pub fn set(&self, copy: &mut Picture, (x, y, channel): (u32, u32, usize), value: f32) {
        let (i, value) = (self.index(x, y, channel), value.round().clamp(0.0, self.full()));
        match &mut copy.samples {
            Samples::U8(samples) => samples[i] = value as u8,
            Samples::U16(samples) => samples[i] = value as u16,
        }
    }

    pub fn full(&self) -> f32 {
        full_scale(self.picture)
    }

    /// The mean of each channel below a footprint.
    pub fn means(&self, footprint: &Footprint) -> Vec<f32> {
        let weight = footprint.cover.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let place = |i: usize| (footprint.left + i as u32 % footprint.width, footprint.top + i as u32 / footprint.width);
        let mean = |channel: usize| {
            let weighted = footprint.cover.iter().enumerate().map(|(i, &cover)| {
                let (x, y) = place(i);
                cover * self.at(x, y, channel)
            });
            weighted.sum::<f32>() / weight
        };
        (0..self.channels).map(mean).collect()
    }

    /// The mean along a line of this length, pixels, around a place; the edge of the picture repeats.
    pub fn mean_along(&self, x: u32, y: u32, channel: usize, (dx, dy): (f32, f32), length: f32) -> f32 {
        const TAPS: i32 = 4;
        let tap = |i: i32| {
            let along = i as f32 / TAPS as f32 * length / 2.0;
            let column = (x as f32 + dx * along).round().clamp(0.0, (self.picture.width - 1) as f32);
            let row = (y as f32 + dy * along).round().clamp(0.0, (self.picture.height - 1) as f32);
            self.at(column as u32, row as u32, channel)
        };
        (-TAPS..=TAPS).map(tap).sum::<f32>() / (2 * TAPS + 1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grey_range_leaves_out_extremes_and_knows_the_bit_depth() {
        let mut samples: Vec<u8> = (0..10_000).map(|i| if i % 2 == 0 { 50 } else { 150 }).collect();
        (samples[0], samples[1]) = (0, 255);
        let picture = |channels, bit_depth, samples| Picture { width: 100, height: 100, channels, bit_depth, samples };
        assert_eq!(grey_range(&picture(1, 8, Samples::U8(samples))), 100.0);
        assert_eq!(grey_range(&picture(1, 12, Samples::U16(vec![7; 10_000]))), 4095.0 / 20.0);
        let colour = (0..30_000).map(|i| if i < 15_000 { 1000 } else { 3000 + i as u16 % 3 }).collect();
        assert_eq!(grey_range(&picture(3, 12, Samples::U16(colour))), 2001.0);
    }
}
