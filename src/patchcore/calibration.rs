//! Tau: quantiles of what the OK images themselves score.

use super::coreset;
use super::distance_grid::distance_grid;
use super::error::{EngineError, TorchContext};
use super::nearest::NearestRows;
use super::reservoir::Reservoir;
use crate::domain::{BuildOptions, Calibration, DistanceGrid, Tau};
use tch::Tensor;

/// Most folds that a k-means bank is calibrated in.
const MAX_FOLDS: u32 = 5;

/// What tau is measured on.
pub(super) struct OkSet<'a> {
    /// The sample that the coreset was taken from.
    pub reservoir: &'a Reservoir,
    /// The rows of the bank.
    pub bank: &'a NearestRows,
    /// The reservoir row that each bank row is; `None` for cluster centres.
    pub chosen: Option<&'a [i64]>,
    /// Images in the build, numbered from 0.
    pub images: u32,
}

/// The distances `[height * width]` of an image's patches, height and width.
pub(super) type PatchDistances = (Tensor, i64, i64);

/// Measures the patches of an image, named by its number, against rows; `None` where the image cannot be had any more.
pub(super) type Measure<'a> = dyn FnMut(u32, &NearestRows) -> Result<Option<PatchDistances>, EngineError> + 'a;

/// The order in which [`calibrate`] scores the images.
pub(super) fn order(options: &BuildOptions, rows_are_patches: bool, images: u32) -> Vec<u32> {
    match options.calibration {
        Calibration::HeldOut if !rows_are_patches => (0..folds(images)).flat_map(|fold| members(fold, images)).collect(),
        _ => (0..images).collect(),
    }
}

fn folds(images: u32) -> u32 {
    MAX_FOLDS.min(images)
}

/// The images of a fold: dealt out in turn, so that each fold spans the whole of a folder sorted by time.
fn members(fold: u32, images: u32) -> impl Iterator<Item = u32> {
    (fold..images).step_by(folds(images).max(1) as usize)
}

/// Scores every OK image and takes the quantiles.
///
/// `in_sample` uses the bank as it is. `held_out` uses, for each image, the bank without the rows that are patches of this image;
/// cluster centres are nobody's patches, so there the images are dealt into at most 5 folds, and each fold is scored against
/// as many centres found without it. An image that owns every row of the bank has nothing to be held against and is left out.
///
/// Gives tau and the number of images scored. `measure` is asked in the order of [`order`]; `progress` hears images done.
///
/// # Errors
/// [`EngineError::Build`] when `held_out` has fewer than two images or nothing to hold them against, or a distance is not finite.
pub(super) fn calibrate(
    set: &OkSet,
    options: &BuildOptions,
    measure: &mut Measure,
    progress: &mut dyn FnMut(usize),
) -> Result<(Tau, usize), EngineError> {
    let mut sample = OkDistances::default();
    let mut done = 0;
    let mut judge = |image: u32, rows: Option<&NearestRows>| -> Result<(), EngineError> {
        if let Some(rows) = rows
            && let Some((distances, height, width)) = measure(image, rows)?
        {
            let grid = distance_grid(&distances, height, width, options.smoothing);
            sample.add(&grid.doing("measuring the OK images")?);
        }
        done += 1;
        progress(done);
        Ok(())
    };
    match (options.calibration, set.chosen) {
        (Calibration::InSample, _) => {
            for image in 0..set.images {
                judge(image, Some(set.bank))?;
            }
        }
        (Calibration::HeldOut, _) if set.images < 2 => {
            return Err(EngineError::Build(
                "calibration `held_out` scores each OK image against the others and needs at least 2 of them, but there is only 1; \
                 add OK images, or use `calibration: in_sample`"
                    .to_owned(),
            ));
        }
        (Calibration::HeldOut, Some(chosen)) => {
            let origins = set.reservoir.origins();
            let owners: Vec<u32> = chosen.iter().map(|&row| origins[row as usize].image).collect();
            for image in 0..set.images {
                let own: Vec<bool> = owners.iter().map(|&owner| owner == image).collect();
                let others = match own.iter().all(|own| *own) {
                    true => None,
                    false => Some(Tensor::f_from_slice(&own).and_then(|own| set.bank.without(&own)).doing("holding out an OK image")?),
                };
                judge(image, others.as_ref())?;
            }
        }
        (Calibration::HeldOut, None) => {
            for fold in 0..folds(set.images) {
                let others = centres_without(set, fold, options.seed).doing("clustering without a fold")?;
                for image in members(fold, set.images) {
                    judge(image, others.as_ref())?;
                }
            }
        }
    }
    let scored = sample.scores.len();
    Ok((sample.tau(options.pixel_pct, options.image_pct)?, scored))
}

/// As many cluster centres as the bank has, of the reservoir without the images of one fold; `None` where nothing is left.
fn centres_without(set: &OkSet, fold: u32, seed: u64) -> Result<Option<NearestRows>, tch::TchError> {
    let origins = set.reservoir.origins();
    let among: Vec<i64> = (0..origins.len()).filter(|&row| origins[row].image % folds(set.images) != fold).map(|row| row as i64).collect();
    if among.is_empty() {
        return Ok(None);
    }
    let keep = (set.bank.size()?.0 as usize).min(among.len());
    let centres = coreset::centres(&set.reservoir.rows()?, Some(&among), keep, seed, &mut |_, _| {})?;
    NearestRows::new(centres)?.to_device(set.bank.device()).map(Some)
}

/// All patch distances and image scores of the OK images.
#[derive(Default)]
struct OkDistances {
    patches: Vec<f32>,
    scores: Vec<f32>,
}

impl OkDistances {
    fn add(&mut self, grid: &DistanceGrid) {
        self.patches.extend_from_slice(&grid.values);
        self.scores.push(grid.peak());
    }

    fn tau(mut self, pixel_pct: f64, image_pct: f64) -> Result<Tau, EngineError> {
        let taken = quantile(&mut self.patches, pixel_pct).zip(quantile(&mut self.scores, image_pct));
        let Some((pixel, image)) = taken else {
            return Err(EngineError::Build(
                "no OK image is left to set tau with: every row of the bank comes from the images to be scored; \
                 add OK images, raise `coreset`, or use `calibration: in_sample`"
                    .to_owned(),
            ));
        };
        if !(pixel.is_finite() && image.is_finite()) {
            return Err(EngineError::Build(format!(
                "tau is not finite (pixel {pixel}, image {image}): the network gives NaN or infinite features; check the weights file, or use `precision: float32`"
            )));
        }
        Ok(Tau { pixel, image })
    }
}

/// The quantile `q` in 0..=1 with linear interpolation, computed in float64 as `numpy.quantile` does; `None` of nothing.
///
/// NaN sorts last, so that it shows in the upper quantiles instead of being lost. Leaves the values partly sorted.
fn quantile(values: &mut [f32], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = q * last as f64;
    let below = (place.floor() as usize).min(last);
    let (_, low, rest) = values.select_nth_unstable_by(below, f32::total_cmp);
    let low = f64::from(*low);
    let high = rest.iter().copied().min_by(f32::total_cmp).map_or(low, f64::from);
    let (step, share) = (high - low, place - below as f64);
    // numpy interpolates from the nearer end.
    Some(if share < 0.5 { low + step * share } else { high - step * (1.0 - share) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CoresetMethod;
    use crate::patchcore::coreset::{kept, select};
    use crate::patchcore::embedding::PatchEmbeddings;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([3, 1, 2, 10, 7.5, 4.25], q) of numpy 2.
        for (q, want) in [(0.0, 1.0), (0.1, 1.5), (0.37, 2.85), (0.5, 3.625), (0.75, 6.6875), (0.995, 9.9375), (1.0, 10.0)] {
            let got = quantile(&mut [3.0, 1.0, 2.0, 10.0, 7.5, 4.25], q).unwrap();
            assert!((got - want).abs() < 1e-12, "{q}: {got} against {want}");
        }
        assert_eq!(quantile(&mut [5.0], 0.995), Some(5.0));
        assert_eq!(quantile(&mut [], 0.5), None);
        assert!(quantile(&mut [1.0, f32::NAN], 1.0).unwrap().is_nan());
    }

    /// Images of 4×4 patches in 3 dimensions, each image in a place of its own.
    fn image(number: u32) -> PatchEmbeddings {
        let values: Vec<f32> = (0..48).map(|i| number as f32 * 2.0 + ((i * 31 + number as usize * 17) % 97) as f32 / 97.0).collect();
        PatchEmbeddings { rows: Tensor::f_from_slice(&values).unwrap().f_view([16, 3]).unwrap(), height: 4, width: 4 }
    }

    fn tau(images: u32, options: &BuildOptions) -> Result<Tau, EngineError> {
        calibrated(images, options).map(|(tau, _)| tau)
    }

    fn calibrated(images: u32, options: &BuildOptions) -> Result<(Tau, usize), EngineError> {
        let mut reservoir = Reservoir::new(options.reservoir_max, options.seed);
        for number in 0..images {
            reservoir.add(number, &image(number).rows).unwrap();
        }
        let rows = reservoir.rows().unwrap();
        let keep = kept(options.coreset, rows.size()[0] as usize);
        let coreset = select(options.coreset_method, &rows, keep, options.seed, &mut |_, _| {}).unwrap();
        let bank = NearestRows::new(coreset.rows).unwrap();
        let set = OkSet { reservoir: &reservoir, bank: &bank, chosen: coreset.chosen.as_deref(), images };
        let mut heard = 0;
        let mut asked = Vec::new();
        let mut measure = |number, rows: &NearestRows| {
            asked.push(number);
            let patches = image(number);
            Ok(Some((rows.of(&patches.rows).unwrap().distances, patches.height, patches.width)))
        };
        let tau = calibrate(&set, options, &mut measure, &mut |done| heard = done);
        let order = order(options, set.chosen.is_some(), images);
        assert!(asked.iter().all({
            let mut rest = order.iter();
            move |number| rest.any(|next| next == number)
        }));
        assert!(tau.is_err() || heard == images as usize);
        tau
    }

    fn options(coreset: f64, coreset_method: CoresetMethod, calibration: Calibration) -> BuildOptions {
        BuildOptions { coreset, coreset_method, calibration, ..BuildOptions::largest_distance() }
    }

    #[test]
    fn held_out_measures_against_the_other_images() {
        // Image n lies around 2n: a patch is within 1.8 of its own image and farther than 1.7 from any other.
        for method in [CoresetMethod::Greedy, CoresetMethod::Random, CoresetMethod::Kmeans] {
            let in_sample = tau(6, &options(0.5, method, Calibration::InSample)).unwrap();
            let held_out = tau(6, &options(0.5, method, Calibration::HeldOut)).unwrap();
            assert!(held_out.image > 1.7 && in_sample.image < 1.5, "{method}: {held_out:?} {in_sample:?}");
            assert!(held_out.pixel > in_sample.pixel, "{method}");
        }
        let all = tau(6, &options(0.0, CoresetMethod::Greedy, Calibration::HeldOut)).unwrap();
        assert!(all.image > 1.7, "{all:?}");
        assert_eq!(tau(6, &options(0.0, CoresetMethod::Greedy, Calibration::InSample)).unwrap(), Tau { pixel: 0.0, image: 0.0 });
    }

    #[test]
    fn what_cannot_be_held_out_is_said() {
        let one = tau(1, &options(0.5, CoresetMethod::Greedy, Calibration::HeldOut)).unwrap_err().to_string();
        assert!(one.contains("at least 2") && one.contains("in_sample"), "{one}");
        assert!(tau(1, &options(0.5, CoresetMethod::Greedy, Calibration::InSample)).is_ok());
        // A single row belongs to one image; the others can still be held against it,
        // and only they are scored.
        assert_eq!(calibrated(3, &options(0.01, CoresetMethod::Greedy, Calibration::HeldOut)).unwrap().1, 2);
        for calibration in [Calibration::HeldOut, Calibration::InSample] {
            assert_eq!(calibrated(3, &options(0.5, CoresetMethod::Greedy, calibration)).unwrap().1, 3);
        }
    }

    #[test]
    fn a_nan_is_no_threshold() {
        let sample = OkDistances { patches: vec![1.0, f32::NAN], scores: vec![f32::NAN] };
        assert!(sample.tau(1.0, 1.0).unwrap_err().to_string().contains("not finite"));
    }
}
