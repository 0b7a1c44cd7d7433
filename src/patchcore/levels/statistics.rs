//! The units that an image is measured in, and how its distances become one map and one score.
//!
//! - The network pads pictures with zeros, so patches at the border are odd in good images too. Each level knows by how much its outermost
//!   and its second ring of patches exceed the rest on held-out OK images; their distances are divided by that, and never multiplied.
//! - A level's distances are divided by the median of all held-out patches. The map is the geometric mean of the levels.
//! - Four readings: the peak of the map, the mean of its largest 1 %, the peak of the fine level, the peak of the coarse level. The logarithm
//!   of each has a location and a scale over the held-out OK images.
//! - The score is a soft maximum of the standardised readings, in their mean scale: about 1 for an ordinary good image.

use super::LEVELS;
use crate::domain::{AnomalyScores, DistanceGrid, ScoreMethod};
use serde::{Deserialize, Serialize};

/// The outermost patches, the second ring, the rest.
pub(super) const RINGS: usize = 3;
/// Share of patches whose mean is the second reading.
const TOP: f64 = 0.01;
/// The number of readings.
pub(super) const READINGS: usize = 4;
/// The smallest value of a map; copies of bank rows have distance 0, which has no logarithm.
const LEAST: f64 = 1e-6;

/// What a build measured on its held-out OK images, as `bank_config.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreStatistics {
    /// The fine and the coarse level.
    pub levels: [LevelStatistics; LEVELS],
    /// Peak of the map, mean of its largest 1 %, peak of the fine level, peak of the coarse level.
    pub readings: [ReadingStatistics; READINGS],
}

/// The units of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelStatistics {
    /// Bank rows of this level.
    pub rows: usize,
    /// What distances of the outermost ring, the second ring and the rest are divided by, 1 or more.
    pub rings: [f64; RINGS],
    /// The median distance of a good patch.
    pub unit: f64,
}

/// How the logarithm of one reading is distributed over good images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadingStatistics {
    /// Where it lies.
    pub location: f64,
    /// How far it spreads.
    pub scale: f64,
}

impl LevelStatistics {
    /// Distances in the unit of the level, with the oddness of the border taken out.
    fn measured(&self, grid: &DistanceGrid) -> impl Iterator<Item = f64> {
        let divisors = self.rings.map(|ring| ring * self.unit);
        rings(grid.width, grid.height).zip(&grid.values).map(move |(ring, distance)| at_least(LEAST, f64::from(*distance) / divisors[ring]))
    }
}

impl ScoreStatistics {
    /// The score and the map `[h, w]` of an image from the distances of its patches at each level, all grids of one size. The map is in
    /// multiples of an ordinary good patch.
    pub fn score(&self, grids: &[DistanceGrid; LEVELS]) -> AnomalyScores {
        let (readings, grid) = read(&self.levels, grids);
        AnomalyScores { image: self.combined(readings).exp() as f32, method: ScoreMethod::Levels, grid }
    }

    /// The logarithm of the score.
    pub fn combined(&self, readings: [f64; READINGS]) -> f64 {
        let mut standardised = [0.0; READINGS];
        for ((z, reading), of_good) in standardised.iter_mut().zip(readings).zip(&self.readings) {
            *z = (reading - of_good.location) / of_good.scale;
        }
        let mean_scale = self.readings.iter().map(|of_good| of_good.scale).sum::<f64>() / READINGS as f64;
        mean_scale * soft_maximum(standardised)
    }

    /// True when every number can be one that a build measured.
    pub fn is_sound(&self) -> bool {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let levels = self.levels.iter().all(|level| positive(level.unit) && level.rings.iter().all(|ring| positive(*ring) && *ring >= 1.0));
        levels && self.readings.iter().all(|reading| reading.location.is_finite() && positive(reading.scale))
    }
}

/// The logarithms of the four readings, and the map.
pub(super) fn read(levels: &[LevelStatistics; LEVELS], grids: &[DistanceGrid; LEVELS]) -> ([f64; READINGS], DistanceGrid) {
    let [fine, coarse] = levels;
    let [of_fine, of_coarse] = grids;
    let (mut fine_peak, mut coarse_peak) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let joined = fine.measured(of_fine).zip(coarse.measured(of_coarse)).map(|(fine, coarse)| {
        fine_peak = larger(fine_peak, fine);
        coarse_peak = larger(coarse_peak, coarse);
        (fine * coarse).sqrt()
    });
    let mut values: Vec<f64> = joined.collect();
    let grid = DistanceGrid { width: of_fine.width, height: of_fine.height, values: values.iter().map(|value| *value as f32).collect() };
    let top = ((values.len() as f64 * TOP) as usize).clamp(1, values.len().max(1));
    // The largest first; NaN counts as the largest.
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    let peak = values.first().copied().unwrap_or(f64::NAN);
    let mean = values.iter().take(top).sum::<f64>() / top as f64;
    ([peak, mean, fine_peak, coarse_peak].map(f64::ln), grid)
}

/// `ln(mean(exp(z)))`: near the largest where one stands out, near the mean where none does.
fn soft_maximum(z: [f64; READINGS]) -> f64 {
    let largest = z.into_iter().fold(f64::NEG_INFINITY, larger);
    largest + (z.iter().map(|z| (z - largest).exp()).sum::<f64>() / READINGS as f64).ln()
}

/// The ring of each place of a grid, row by row.
pub(super) fn rings(width: u32, height: u32) -> impl Iterator<Item = usize> {
    let from_edge = |place: u32, size: u32| place.min(size - 1 - place);
    (0..height).flat_map(move |y| (0..width).map(move |x| (from_edge(y, height).min(from_edge(x, width)) as usize).min(RINGS - 1)))
}

/// The larger one; NaN when either is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The value, but not below `least`; NaN stays.
fn at_least(least: f64, value: f64) -> f64 {
    if value < least { least } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> ScoreStatistics {
        let level = |unit, rings| LevelStatistics { rows: 10, rings, unit };
        let reading = |location, scale| ReadingStatistics { location, scale };
        ScoreStatistics {
            levels: [level(2.0, [2.0, 1.0, 1.0]), level(0.5, [1.0; 3])],
            readings: [reading(0.3, 0.05), reading(0.2, 0.04), reading(0.4, 0.06), reading(0.5, 0.05)],
        }
    }

    fn grid(width: u32, values: Vec<f32>) -> DistanceGrid {
        DistanceGrid { width, height: values.len() as u32 / width, values }
    }

    #[test]
    fn rings_are_counted_from_the_edge() {
        let of = |width, height| rings(width, height).map(|ring| ring.to_string()).collect::<String>();
        assert_eq!(of(6, 5), "000000".to_owned() + "011110" + "012210" + "011110" + "000000");
        assert_eq!((of(1, 1), of(3, 2), of(2, 0)), ("0".to_owned(), "000000".to_owned(), String::new()));
    }

    #[test]
    fn the_map_is_the_geometric_mean_in_units_of_good_patches() {
        // 3 x 3: all but the middle is the outermost ring; of the middle the second ring.
        let fine = grid(3, vec![4.0, 4.0, 4.0, 4.0, 18.0, 4.0, 4.0, 4.0, 8.0]);
        let coarse = grid(3, vec![0.5, 0.5, 0.5, 0.5, 2.0, 0.5, 0.5, 0.5, 0.5]);
        let (readings, map) = read(&statistics().levels, &[fine, coarse]);
        let wanted = [1.0, 1.0, 1.0, 1.0, 6.0, 1.0, 1.0, 1.0, std::f32::consts::SQRT_2];
        assert!(map.values.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-6), "{map:?}");
        for (got, wanted) in readings.into_iter().zip([6.0_f64, 6.0, 9.0, 4.0]) {
            assert!((got - wanted.ln()).abs() < 1e-9, "{readings:?}");
        }
    }

    #[test]
    fn an_ordinary_good_image_scores_one() {
        let ordinary = [0.3, 0.2, 0.4, 0.5];
        assert!(statistics().combined(ordinary).abs() < 1e-12);
        // One reading four scales up: ln((3 + e^4) / 4) of the mean scale 0.05.
        let one_stands_out = statistics().combined([0.3, 0.2, 0.4, 0.7]);
        assert!((one_stands_out - 0.05 * ((3.0 + 4.0_f64.exp()) / 4.0).ln()).abs() < 1e-12);
        assert!(statistics().combined([300.0, 0.2, 0.4, 0.5]).is_finite());
    }

    #[test]
    fn what_is_no_number_is_no_good_score() {
        let ok = grid(2, vec![1.0; 4]);
        for bad in [f32::NAN, f32::INFINITY] {
            for place in 0..2 {
                let mut grids = [ok.clone(), ok.clone()];
                grids[place].values[2] = bad;
                let score = statistics().score(&grids).image;
                assert!(score.is_nan() || score == f32::INFINITY, "{bad} {place}: {score}");
            }
        }
        let none = grid(1, vec![]);
        let nothing = statistics().score(&[none.clone(), none]).image;
        assert!(nothing.is_nan(), "{nothing}");
        assert!(statistics().score(&[grid(2, vec![0.0; 4]), grid(2, vec![0.0; 4])]).image.is_finite());
    }

    #[test]
    fn numbers_that_no_build_measured_are_unsound() {
        assert!(statistics().is_sound());
        for change in [
            (|s: &mut ScoreStatistics| s.levels[0].unit = 0.0) as fn(&mut ScoreStatistics),
            |s| s.levels[1].rings[2] = 0.5,
            |s| s.readings[3].scale = 0.0,
            |s| s.readings[0].location = f64::INFINITY,
            |s| s.levels[1].unit = -1.0,
        ] {
            let mut changed = statistics();
            change(&mut changed);
            assert!(!changed.is_sound(), "{changed:?}");
        }
    }
}
