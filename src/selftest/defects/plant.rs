//! Plants one defect into a picture.

use super::fields::Field;
use super::planted::{Footprint, PlantedDefect};
use super::samples::SampleGrid;
use crate::domain::{Picture, PlantedKind};

/// Pixels around a defect within which its edge fades out.
const FEATHER: u32 = 2;

/// Plants `defect` into a copy of `picture`. `grey_range` is that of the picture, in its own sample units ([`super::grey_range`]).
///
/// Samples stay within 0 and the full scale. What would lie outside of the picture is left out.
pub fn plant(picture: &Picture, defect: &PlantedDefect, grey_range: f32) -> (Picture, Footprint) {
    let mut planted = picture.clone();
    let reach = defect.size.div_ceil(2) + FEATHER;
    let (x, y) = defect.centre;
    let (left, top) = (x.saturating_sub(reach), y.saturating_sub(reach));
    let (right, bottom) = ((x + reach + 1).min(picture.width), (y + reach + 1).min(picture.height));
    let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
    let field = Field::new(defect);
    let mut cover = Vec::with_capacity((width * height) as usize);
    let mut change = Vec::with_capacity(cover.capacity());
    for row in top..top + height {
        for column in left..left + width {
            let point = field.at(column as f32 - x as f32, row as f32 - y as f32);
            cover.push(point.cover);
            change.push(if point.cover > 0.0 { point.change } else { 0.0 });
        }
    }
    let footprint = Footprint { left, top, width, height, cover };
    // The largest change is exactly what was asked for, however the form falls on the pixels.
    let largest = change.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let asked = (defect.contrast / 100.0) as f32;
    let scale = if largest > 0.0 { asked * grey_range / largest } else { 0.0 };
    let grid = SampleGrid::new(picture);
    let means = grid.means(&footprint);
    let gray = means.iter().sum::<f32>() / means.len().max(1) as f32;
    let sign = field.sign(gray, asked * grey_range, grid.full());
    for (i, (&cover, &change)) in footprint.cover.iter().zip(&change).enumerate().filter(|(_, (cover, _))| **cover > 0.0) {
        let (column, row) = (left + i as u32 % width, top + i as u32 / width);
        for (channel, &mean) in means.iter().enumerate() {
            let before = grid.at(column, row, channel);
            let base = match defect.kind {
                PlantedKind::Missing => mean,
                PlantedKind::Smear => grid.mean_along(column, row, channel, field.direction(), defect.size as f32 / 4.0),
                _ => before,
            };
            let wiped = cover * field.wiped(asked) * (base - before);
            let added = sign * scale * change * field.tint(channel, means.len(), sign) * field.gain(before, mean);
            grid.set(&mut planted, (column, row, channel), before + wiped + added);
        }
    }
    (planted, footprint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Samples;
    use proptest::prelude::*;

    /// A picture around half of the full scale, with a little grain.
    fn ground(width: u32, height: u32, channels: u8, bit_depth: u8, grain: u16) -> Picture {
        let full = (1u32 << bit_depth) - 1;
        let count = width * height * u32::from(channels);
        let at = |i: u32| (full / 2 + i.wrapping_mul(2_654_435_761) % u32::from(grain.max(1))) as u16;
        let samples = if bit_depth == 8 {
            Samples::U8((0..count).map(|i| at(i) as u8).collect())
        } else {
            Samples::U16((0..count).map(at).collect())
        };
        Picture { width, height, channels, bit_depth, samples }
    }

    fn value(picture: &Picture, i: usize) -> i64 {
        match &picture.samples {
            Samples::U8(samples) => samples[i].into(),
            Samples::U16(samples) => samples[i].into(),
        }
    }

    fn kinds() -> impl Strategy<Value = PlantedKind> {
        prop::sample::select(PlantedKind::ALL.to_vec())
    }

    /// Channels and bit depth.
    fn formats() -> impl Strategy<Value = (u8, u8)> {
        prop::sample::select(vec![(1, 8), (3, 8), (1, 12), (3, 16)])
    }

    proptest! {
        #[test]
        fn only_the_pixels_of_its_footprint_change(
            kind in kinds(), (channels, bit_depth) in formats(), size in 1u32..60, contrast in 0.0..100.0, seed in 0u64..1000,
            x in 0u32..70, y in 0u32..50,
        ) {
            let picture = ground(70, 50, channels, bit_depth, 9);
            let defect = PlantedDefect { kind, size, contrast, centre: (x, y), seed };
            let (planted, footprint) = plant(&picture, &defect, ((1u32 << bit_depth) - 1) as f32);
            prop_assert_eq!((planted.width, planted.height, planted.channels, planted.bit_depth), (70, 50, channels, bit_depth));
            prop_assert!(footprint.left + footprint.width <= 70 && footprint.top + footprint.height <= 50);
            prop_assert_eq!(footprint.cover.len() as u32, footprint.width * footprint.height);
            for i in 0..70 * 50 * usize::from(channels) {
                let (column, row) = ((i / usize::from(channels)) as u32 % 70, (i / usize::from(channels)) as u32 / 70);
                prop_assert!(value(&planted, i) < 1 << bit_depth);
                if value(&planted, i) != value(&picture, i) {
                    let (u, v) = (column.wrapping_sub(footprint.left), row.wrapping_sub(footprint.top));
                    prop_assert!(u < footprint.width && v < footprint.height, "{} {}", column, row);
                    prop_assert!(footprint.cover[(v * footprint.width + u) as usize] > 0.0);
                }
            }
        }

        #[test]
        fn without_contrast_nothing_changes(
            kind in kinds(), (channels, bit_depth) in formats(), size in 1u32..60, seed in 0u64..1000,
        ) {
            let picture = ground(70, 50, channels, bit_depth, 60);
            let defect = PlantedDefect { kind, size, contrast: 0.0, centre: (35, 25), seed };
            prop_assert_eq!(plant(&picture, &defect, 200.0).0, picture);
        }

        #[test]
        fn the_control_changes_nothing(
            (channels, bit_depth) in formats(), size in 1u32..60, contrast in 0.0..100.0, seed in 0u64..1000,
        ) {
            let picture = ground(70, 50, channels, bit_depth, 60);
            let defect = PlantedDefect { kind: PlantedKind::None, size, contrast, centre: (35, 25), seed };
            let (planted, footprint) = plant(&picture, &defect, 200.0);
            prop_assert_eq!(planted, picture);
            prop_assert!(footprint.cover.iter().any(|&cover| cover > 0.0));
        }

        #[test]
        fn the_largest_change_is_the_contrast(
            kind in prop::sample::select(PlantedKind::DEFECTS.to_vec()), (channels, bit_depth) in formats(), size in 3u32..40,
            contrast in 5.0..40.0, seed in 0u64..1000,
        ) {
            // Even ground, half of the full scale as the range of the picture, so that nothing is cut off.
            let picture = ground(70, 50, channels, bit_depth, 1);
            let range = f64::from((1u32 << bit_depth) - 1) / 2.0;
            let defect = PlantedDefect { kind, size, contrast, centre: (35, 25), seed };
            let (planted, _) = plant(&picture, &defect, range as f32);
            // A tint changes some channels more than others; their mean is what counts.
            let per_pixel = |i: usize| {
                let channels = usize::from(channels);
                (0..channels).map(|c| (value(&planted, i * channels + c) - value(&picture, i * channels + c)) as f64).sum::<f64>() / channels as f64
            };
            let largest = (0..70 * 50).map(|i| per_pixel(i).abs()).fold(0.0, f64::max);
            let asked = contrast / 100.0 * range;
            prop_assert!((largest - asked).abs() <= 1.0 + asked * 0.01, "{} asked, {} changed", asked, largest);
        }

        #[test]
        fn a_defect_is_about_as_large_as_asked(
            kind in prop::sample::select(PlantedKind::DEFECTS.to_vec()), size in 6u32..40, seed in 0u64..1000,
        ) {
            let picture = ground(90, 90, 1, 8, 1);
            let defect = PlantedDefect { kind, size, contrast: 40.0, centre: (45, 45), seed };
            let (planted, _) = plant(&picture, &defect, 200.0);
            let changed: Vec<(i32, i32)> = (0..90 * 90).filter(|&i| value(&planted, i) != value(&picture, i))
                .map(|i| (i as i32 % 90, i as i32 / 90)).collect();
            let extent = changed.iter().flat_map(|a| changed.iter().map(move |b| f64::from((a.0 - b.0).pow(2) + (a.1 - b.1).pow(2)).sqrt()))
                .fold(0.0, f64::max);
            let size = f64::from(size);
            prop_assert!((size * 0.6 - 2.0..=size * 1.15 + 3.0).contains(&extent), "{} asked, {} changed", size, extent);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_defect_and_another_seed_another() {
        let picture = ground(90, 90, 3, 8, 9);
        let with =
            |seed| plant(&picture, &PlantedDefect { kind: PlantedKind::Stain, size: 30, contrast: 30.0, centre: (45, 45), seed }, 200.0).0;
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn on_a_dark_ground_a_defect_is_bright_and_on_a_bright_one_dark() {
        let flat = |level: u8| Picture { width: 60, height: 60, channels: 1, bit_depth: 8, samples: Samples::U8(vec![level; 3600]) };
        for kind in [PlantedKind::Scratch, PlantedKind::Spot, PlantedKind::Stain, PlantedKind::Missing, PlantedKind::Smear] {
            for seed in 0..20 {
                let changed = |level: u8| {
                    let defect = PlantedDefect { kind, size: 24, contrast: 40.0, centre: (30, 30), seed };
                    let planted = plant(&flat(level), &defect, 200.0).0;
                    (0..3600).map(|i| value(&planted, i) - i64::from(level)).max_by_key(|change| change.abs()).unwrap()
                };
                assert!(changed(5) > 60 && changed(250) < -60, "{kind} {seed}: {} {}", changed(5), changed(250));
            }
        }
    }
}
