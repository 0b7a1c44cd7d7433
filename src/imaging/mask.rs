//! The mask: the pixels above `pixel_tau`, cleaned up as configured.

use super::regions::{Run, regions};
use crate::domain::AnomalyMap;
use std::cmp::Ordering;

/// Clean-up in pixels of the original image, applied in this order; 0 = off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaskCleanup {
    /// Radius of the opening disc: removes places too small for the disc.
    pub open: u32,
    /// Radius of the closing disc: fills gaps too small for the disc.
    pub close: u32,
    /// Regions of fewer pixels are removed.
    pub min_area: u32,
}

/// A binary picture, `[height, width]`, with its count of pixels and 8-connected regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width` of 0 or 255.
    pub pixels: Vec<u8>,
    /// Pixels that are set.
    pub area: u64,
    /// Their regions.
    pub regions: u32,
}

/// What belongs to a mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskThresholds {
    /// Each region holds a pixel above this.
    pub above: f64,
    /// The pixels of a region are above its largest value, raised to this power, so that a strong defect has no wider outline than a weak one;
    /// `None` = they are above `above`.
    pub power: Option<f64>,
}

/// True when the value is above the threshold. A NaN on either side counts as above, so it can never pass a part.
fn is_above(value: f32, threshold: f64) -> bool {
    !matches!(f64::from(value).partial_cmp(&threshold), Some(Ordering::Less | Ordering::Equal))
}

/// The regions that hold a value above `above`.
pub fn mask(map: &AnomalyMap, thresholds: MaskThresholds, cleanup: MaskCleanup) -> Mask {
    let MaskThresholds { above, power } = thresholds;
    // A power below 1 of what is below 1 is larger.
    let lowest = power.map_or(above, |power| above.powf(power).min(above));
    let mut pixels: Vec<u8> = map.values.iter().map(|&value| if is_above(value, lowest) { 255 } else { 0 }).collect();
    let width = map.width as usize;
    if let Some(power) = power {
        cut_to_peaks(&mut pixels, map, above, |peak| if peak > 1.0 { peak.powf(power).max(lowest) } else { lowest });
    }
    // An empty mask stays empty; most masks are.
    if pixels.iter().any(|&p| p != 0) {
        if cleanup.open > 0 {
            erode(&mut pixels, width, cleanup.open as usize);
            dilate(&mut pixels, width, cleanup.open as usize);
        }
        if cleanup.close > 0 {
            dilate(&mut pixels, width, cleanup.close as usize);
            erode(&mut pixels, width, cleanup.close as usize);
        }
    }
    let found = regions(&pixels, width);
    let small = |area: u64| area < u64::from(cleanup.min_area);
    for run in found.runs.iter().filter(|run| small(found.areas[run.region])) {
        pixels[run.y * width + run.start..run.y * width + run.end].fill(0);
    }
    let kept = || found.areas.iter().filter(|&&area| !small(area));
    let regions = u32::try_from(kept().count()).unwrap_or(u32::MAX);
    Mask { width: map.width, height: map.height, area: kept().sum(), regions, pixels }
}

/// Removes the regions without a value above `above`, and of the others the pixels not above what `threshold` says of the largest value. A
/// region with a value that is no finite number stays whole.
fn cut_to_peaks(pixels: &mut [u8], map: &AnomalyMap, above: f64, threshold: impl Fn(f64) -> f64) {
    let width = map.width as usize;
    let found = regions(pixels, width);
    let places = |run: &Run| run.y * width + run.start..run.y * width + run.end;
    let mut peaks = vec![f64::NEG_INFINITY; found.areas.len()];
    for run in &found.runs {
        let peak = &mut peaks[run.region];
        *peak = map.values[places(run)]
            .iter()
            .map(|&value| if value.is_nan() { f64::INFINITY } else { f64::from(value) })
            .fold(*peak, f64::max);
    }
    for run in &found.runs {
        let peak = peaks[run.region];
        if peak == f64::INFINITY {
            continue;
        }
        let lowest = if peak <= above { f64::INFINITY } else { threshold(peak) };
        let values = &map.values[places(run)];
        pixels[places(run)].iter_mut().zip(values).filter(|(_, value)| !is_above(**value, lowest)).for_each(|(pixel, _)| *pixel = 0);
    }
}

/// Removes every pixel that has an unset one within `radius`; pixels outside the picture count as set, as in OpenCV.
fn erode(pixels: &mut [u8], width: usize, radius: usize) {
    pixels.iter_mut().for_each(|p| *p = 255 - *p);
    dilate(pixels, width, radius);
    pixels.iter_mut().for_each(|p| *p = 255 - *p);
}

/// Sets every pixel within the Euclidean distance `radius` of a set one; pixels outside the picture count as unset.
///
/// Takes the same time for every radius. It first finds the vertical distance to the nearest set pixel. Each pixel then covers, in its row,
/// the width of the disc at that distance.
pub(super) fn dilate(pixels: &mut [u8], width: usize, radius: usize) {
    let height = pixels.len() / width;
    // Vertical distances have 16 bits; no camera has so many rows.
    let radius = radius.min(usize::from(u16::MAX) - 1);
    let far = radius as u16 + 1;
    let mut vertical = vec![far; pixels.len()];
    let mut column = vec![far; width];
    let mut sweep = |y: usize, column: &mut [u16]| {
        let row = y * width..(y + 1) * width;
        for ((v, c), &p) in vertical[row.clone()].iter_mut().zip(column).zip(&pixels[row]) {
            *c = if p != 0 { 0 } else { far.min(*c + 1) };
            *v = (*v).min(*c);
        }
    };
    (0..height).for_each(|y| sweep(y, &mut column));
    column.fill(far);
    (0..height).rev().for_each(|y| sweep(y, &mut column));

    let half_width: Vec<usize> = (0..=radius).map(|d| (radius * radius - d * d).isqrt()).collect();
    // The number of discs that begin minus those that end, at each column.
    let mut change = vec![0i64; width + 1];
    for (row, distances) in pixels.chunks_exact_mut(width).zip(vertical.chunks_exact(width)) {
        change.fill(0);
        for (x, &d) in distances.iter().enumerate().filter(|&(_, &d)| d < far) {
            let reach = half_width[usize::from(d)];
            change[x.saturating_sub(reach)] += 1;
            change[(x + reach + 1).min(width)] -= 1;
        }
        let mut open = 0;
        for (pixel, &c) in row.iter_mut().zip(&change) {
            open += c;
            *pixel = if open > 0 { 255 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(width: u32, values: Vec<f32>) -> AnomalyMap {
        AnomalyMap { width, height: values.len() as u32 / width, values }
    }

    fn picture(rows: &[&str]) -> AnomalyMap {
        map(rows[0].len() as u32, rows.concat().bytes().map(|b| if b == b'#' { 1.0 } else { 0.0 }).collect())
    }

    fn flat(tau: f64) -> MaskThresholds {
        MaskThresholds { above: tau, power: None }
    }

    #[test]
    fn a_region_reaches_down_from_its_peak() {
        let by_peaks = |values| mask(&map(8, values), MaskThresholds { above: 4.0, power: Some(0.5) }, MaskCleanup::default());
        // A weak and a strong one: the power of 5 is 2.24, that of 25 is 5. The third has no value above 4.
        let found = by_peaks(vec![
            2.1,
            2.5,
            5.0,
            2.5,
            1.0,
            2.1,
            3.9,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            2.1,
            4.5,
            5.5,
            25.0,
            6.0,
            3.0,
            1.0,
            f32::NAN,
        ]);
        assert_eq!(show(&found), [".###....", "........", "..###..#"]);
        assert_eq!((found.area, found.regions), (7, 3));
        // What surrounds a value that is no number stays as far as any region may reach.
        assert_eq!(show(&by_peaks(vec![2.1, f32::NAN, 9.0, 1.9, 1.0, 2.1, f32::INFINITY, 1.0])), ["###..##."]);
        let none = mask(&map(2, vec![0.0, 0.0]), MaskThresholds { above: f64::NAN, power: Some(0.5) }, MaskCleanup::default());
        assert_eq!(none.area, 2);
        let below_one = mask(&map(3, vec![0.125, 0.5, 0.25]), MaskThresholds { above: 0.25, power: Some(0.5) }, MaskCleanup::default());
        assert_eq!(show(&below_one), [".#."], "the peak itself is never cut");
    }

    fn show(mask: &Mask) -> Vec<String> {
        mask.pixels.chunks(mask.width as usize).map(|r| r.iter().map(|&p| if p == 0 { '.' } else { '#' }).collect()).collect()
    }

    #[test]
    fn above_tau_is_set_equal_is_not_and_nan_is() {
        let found = mask(&map(4, vec![0.5, 0.5000001, f32::NAN, 0.1]), flat(0.5), MaskCleanup::default());
        assert_eq!(found.pixels, [0, 255, 255, 0]);
        assert_eq!((found.area, found.regions), (2, 1));
        assert_eq!(mask(&map(2, vec![0.0, 0.0]), flat(f64::NAN), MaskCleanup::default()).area, 2);
    }

    #[test]
    fn opening_removes_specks_and_keeps_discs() {
        let input = picture(&["#......", "....#..", "...###.", "....#..", "......."]);
        let found = mask(&input, flat(0.5), MaskCleanup { open: 1, ..Default::default() });
        assert_eq!(show(&found), [".......", "....#..", "...###.", "....#..", "......."]);
        assert_eq!((found.area, found.regions), (5, 1));
    }

    #[test]
    fn closing_fills_what_the_disc_does_not_fit_into() {
        let input = picture(&["##.##", "##.##", "##.##", ".....", "....."]);
        let found = mask(&input, flat(0.5), MaskCleanup { close: 1, ..Default::default() });
        assert_eq!(show(&found), ["#####", "#####", "##.##", ".....", "....."]);
        assert_eq!(found.regions, 1);
    }

    #[test]
    fn small_regions_go() {
        let input = picture(&["##...#", "##....", "....##"]);
        let found = mask(&input, flat(0.5), MaskCleanup { min_area: 2, ..Default::default() });
        assert_eq!(show(&found), ["##....", "##....", "....##"]);
        assert_eq!((found.area, found.regions), (6, 2));
    }

    proptest! {
        #[test]
        fn dilation_is_every_disc(width in 1usize..14, radius in 0usize..6, pixels in prop::collection::vec(prop::bool::weighted(0.1), 1..150)) {
            prop_assume!(pixels.len() >= width);
            let height = pixels.len() / width;
            let before: Vec<u8> = pixels[..width * height].iter().map(|&b| if b { 255 } else { 0 }).collect();
            let mut after = before.clone();
            dilate(&mut after, width, radius);
            for (i, &got) in after.iter().enumerate() {
                let near = before.iter().enumerate().any(|(j, &p)| {
                    let (dx, dy) = ((i % width).abs_diff(j % width), (i / width).abs_diff(j / width));
                    p != 0 && dx * dx + dy * dy <= radius * radius
                });
                prop_assert_eq!(got != 0, near, "pixel {}", i);
            }
        }
    }
}
