//! What held-out OK images measure: the units of the levels, the readings of good images, and tau.

use super::LEVELS;
use super::robust::{location_and_scale, median, prediction_limit, quantile};
use super::statistics::{LevelStatistics, READINGS, RINGS, ReadingStatistics, ScoreStatistics, read, rings};
use crate::domain::{DistanceGrid, FalseAlarms, Tau};
use std::collections::BTreeMap;

/// The border is compared with the rest at this quantile.
const RING_QUANTILE: f64 = 0.99;
/// An OK image whose log score lies so many scales above the location stands out.
const STANDS_OUT: f64 = 3.5;
/// The smallest unit as a share of the spread of all patches: OK images that are copies of each other have distance 0.
const LEAST_UNIT: f64 = 1e-3;

/// The distances of one OK image to the bank without its own group.
pub(super) struct HeldOut {
    /// Its number in the build.
    pub image: u32,
    /// Its group.
    pub group: u32,
    /// `[h, w]` for each level.
    pub grids: [DistanceGrid; LEVELS],
}

/// What came of it.
pub(in crate::patchcore) struct Calibrated {
    pub statistics: ScoreStatistics,
    pub tau: Tau,
    /// The OK images that stand out, by number; tau does not follow them.
    pub stands_out: Vec<u32>,
    /// What tau promises.
    pub false_alarms: Option<FalseAlarms>,
    /// Groups that were measured.
    pub groups: usize,
}

impl Calibrated {
    /// Says that tau is a fit where the scores alone could not tell so small a share.
    pub fn warning(&self, image_pct: f64) -> Option<String> {
        let needed = (1.0 / (1.0 - image_pct)).ceil();
        ((self.groups as f64) < needed - 0.5).then(|| {
            format!(
                "image_tau is a fit to the scores of {} groups of OK images, which are too few to count {:.3} % of good parts: counting needs {needed} or more; until then trust the bound more than the expectation",
                self.groups,
                100.0 * (1.0 - image_pct)
            )
        })
    }
}

/// Measures the units, then the readings in these units, then tau. `rows`: bank rows of each level; `spread`: the standard deviation of a
/// patch. `None` when nothing was held out.
pub(super) fn calibrate(held_out: &[HeldOut], rows: [usize; LEVELS], spread: f64, mask_pct: f64, image_pct: f64) -> Option<Calibrated> {
    if held_out.is_empty() {
        return None;
    }
    let levels = [0, 1].map(|level| level_statistics(held_out.iter().map(|held| &held.grids[level]), rows[level], spread));
    let readings: Vec<[f64; READINGS]> = held_out.iter().map(|held| read(&levels, &held.grids).0).collect();
    let of_readings: [ReadingStatistics; READINGS] = std::array::from_fn(|reading| {
        let (location, scale) = location_and_scale(&readings.iter().map(|of_image| of_image[reading]).collect::<Vec<_>>());
        ReadingStatistics { location, scale }
    });
    let statistics = ScoreStatistics { levels, readings: of_readings };
    let scores: Vec<f64> = readings.iter().map(|readings| statistics.combined(*readings)).collect();
    let of_images = location_and_scale(&scores);
    let stands_out = |score: f64| (score - of_images.0) / of_images.1 > STANDS_OUT;
    let tail = |values: &[f64], share| prediction_limit(location_and_scale(values), values.len(), share).exp();
    let largest = largest_of_groups(held_out, &scores);
    let peaks = largest_of_groups(held_out, &readings.iter().map(|[peak, ..]| *peak).collect::<Vec<_>>());
    let tau = Tau { pixel: tail(&peaks, mask_pct), image: tail(&largest, image_pct) };
    let above = largest.iter().filter(|score| **score > tau.image.ln()).count();
    Some(Calibrated {
        statistics,
        tau,
        stands_out: held_out.iter().zip(&scores).filter(|(_, score)| stands_out(**score)).map(|(held, _)| held.image).collect(),
        false_alarms: FalseAlarms::counted(above, largest.len()),
        groups: largest.len(),
    })
}

fn level_statistics<'a>(grids: impl Iterator<Item = &'a DistanceGrid>, rows: usize, spread: f64) -> LevelStatistics {
    let mut of_ring: [Vec<f64>; RINGS] = Default::default();
    for grid in grids {
        for (ring, distance) in rings(grid.width, grid.height).zip(&grid.values) {
            of_ring[ring].push(f64::from(*distance));
        }
    }
    let large = of_ring.each_ref().map(|distances| quantile(distances.clone(), RING_QUANTILE));
    // A grid of a few patches is all border; a bank of copies has no distances.
    let inner = large[RINGS - 1];
    let factor = |large: f64| if inner > 0.0 && large > inner { large / inner } else { 1.0 };
    let factors = large.map(factor);
    let all = of_ring.into_iter().zip(factors).flat_map(|(distances, factor)| distances.into_iter().map(move |d| d / factor));
    LevelStatistics { rows, rings: factors, unit: median(all.collect()).max(LEAST_UNIT * spread).max(f64::MIN_POSITIVE) }
}

/// The largest value of each group.
fn largest_of_groups(held_out: &[HeldOut], values: &[f64]) -> Vec<f64> {
    let mut largest: BTreeMap<u32, f64> = BTreeMap::new();
    for (held, value) in held_out.iter().zip(values) {
        let largest = largest.entry(held.group).or_insert(f64::NEG_INFINITY);
        *largest = if value.is_nan() { f64::NAN } else { largest.max(*value) };
    }
    largest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Images of 8 x 8 patches around 5 (fine) and 2 (coarse); the outermost fine ring lies three times as far away.
    fn held_out(count: u32, seed: u64) -> Vec<HeldOut> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut image = |number: u32| {
            let level: f32 = 1.0 + 0.05 * (rng.random::<f32>() - 0.5);
            let mut grid = |typical: f32, border: f32| {
                let values =
                    rings(8, 8).map(|ring| level * typical * (0.9 + 0.2 * rng.random::<f32>()) * if ring == 0 { border } else { 1.0 });
                DistanceGrid { width: 8, height: 8, values: values.collect() }
            };
            HeldOut { image: number, group: number, grids: [grid(5.0, 3.0), grid(2.0, 0.5)] }
        };
        (0..count).map(&mut image).collect()
    }

    fn calibrated(held_out: &[HeldOut]) -> Calibrated {
        calibrate(held_out, [7, 7], 10.0, 0.98, 0.98).unwrap()
    }

    #[test]
    fn units_take_the_border_back_and_never_amplify() {
        let found = calibrated(&held_out(40, 1));
        let [fine, coarse] = &found.statistics.levels;
        assert!((fine.rings[0] - 3.0).abs() < 0.1 && fine.rings[1] < 1.05 && fine.rings[2] == 1.0, "{fine:?}");
        assert_eq!(coarse.rings[0], 1.0);
        assert!((fine.unit - 5.0).abs() < 0.2 && found.statistics.is_sound(), "{fine:?}");
        let scores: Vec<f32> = held_out(40, 2).iter().map(|held| found.statistics.score(&held.grids).image).collect();
        assert!(scores.iter().all(|score| (0.8..1.25).contains(score)), "{scores:?}");
        assert!(found.tau.image > 1.0 && found.tau.pixel > 1.0 && found.stands_out.is_empty());
    }

    #[test]
    fn an_image_that_stands_out_is_named_and_moves_tau_little() {
        let mut images = held_out(40, 1);
        let before = calibrated(&images).tau.image;
        for grid in &mut images[17].grids {
            grid.values[30] *= 3.0;
        }
        let after = calibrated(&images);
        assert_eq!(after.stands_out, [17]);
        assert!((after.tau.image / before - 1.0).abs() < 0.02, "{before} {}", after.tau.image);
        // It counts among the good parts that will be rejected.
        assert!((after.false_alarms.unwrap().expected - 1000.0 * 2.0 / 41.0).abs() < 20.0, "{:?}", after.false_alarms);
    }

    #[test]
    fn the_promise_counts_groups() {
        let mut images = held_out(40, 3);
        let alone = calibrated(&images);
        for held in &mut images {
            held.group /= 4;
        }
        let grouped = calibrated(&images);
        assert_eq!((alone.groups, grouped.groups), (40, 10));
        assert!(grouped.false_alarms.unwrap().bound > alone.false_alarms.unwrap().bound);
    }

    #[test]
    fn copies_of_one_image_can_be_calibrated_too() {
        let grid = || DistanceGrid { width: 3, height: 3, values: vec![0.0; 9] };
        let images: Vec<_> = (0..4).map(|image| HeldOut { image, group: image, grids: [grid(), grid()] }).collect();
        let found = calibrated(&images);
        assert!(found.statistics.is_sound() && found.tau.image.is_finite());
        assert!(f64::from(found.statistics.score(&images[0].grids).image) <= found.tau.image);
        assert!(calibrate(&[], [1, 1], 1.0, 0.98, 0.98).is_none());
    }

    #[test]
    fn a_nan_gives_no_threshold() {
        let mut images = held_out(5, 4);
        images[2].grids[0].values[9] = f32::NAN;
        assert!(calibrated(&images).tau.image.is_nan());
    }
}
