//! OK images → memory bank: embed, choose the coreset, calibrate.

use super::bank_config::BankConfig;
use super::build_report::{BuildPhase, BuildProgress, BuildSummary, Report};
use super::calibration::{Measure, OkSet, PatchDistances, calibrate, order};
use super::coreset;
use super::embedding::PatchEmbeddings;
use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use super::levels;
use super::memory_bank::{BankRows, MemoryBank};
use super::nearest::NearestRows;
use super::ok_images::{ImageSource, UnusableImage, UsedImage, by_name, none_usable, not_finite, read_ahead};
use super::reservoir::Reservoir;
use crate::domain::{BuildOptions, ResizedImage, ScoreMethod, Tau};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// Images read ahead of the network when they are read a second time.
const READ_AHEAD: usize = 2;

/// A bank and how it came about.
pub struct BuiltBank {
    /// The bank, not yet saved.
    pub bank: MemoryBank,
    /// What to report.
    pub summary: BuildSummary,
}

/// Builds a bank.
///
/// The same seed, images and thread count give the same bank bit for bit. An image that cannot be used is skipped and reported.
///
/// # Errors
/// [`EngineError::Build`] when an option is out of range, the network is not the one asked for, no image can be used or tau cannot
/// be set; [`EngineError::Torch`] when libtorch fails.
pub fn build_bank(
    extractor: &FeatureExtractor,
    images: &dyn ImageSource,
    options: &BuildOptions,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<BuiltBank, EngineError> {
    check(extractor, options)?;
    let mut config = BankConfig::of_options(options, extractor.precision());
    config.activation_ranges = extractor.ranges().cloned();
    config.weights_sha256 = Some(extractor.weights_sha256().to_owned());
    config.created_at = Some(format!("{:.3}", jiff::Timestamp::now()));
    config.patchcored_version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let (rows, tau, found) = match options.score {
        ScoreMethod::Levels => {
            let built = levels::build(extractor, images, options, progress)?;
            let calibrated = built.calibrated;
            config.tau_warning = calibrated.warning(options.image_pct);
            config.false_alarms = calibrated.false_alarms;
            config.levels = Some(calibrated.statistics);
            config.name_images(&built.found.stands_out, &built.found.near_copies);
            (BankRows::Levels(built.bank), calibrated.tau, built.found)
        }
        ScoreMethod::Guide => {
            let (bank, tau, scored, found) = build_of_guide(extractor, images, options, progress)?;
            config.promise(scored);
            (BankRows::Single(bank), tau, found)
        }
    };
    config.images = Some(found.images);
    config.patches = Some(found.patches);
    let bank = MemoryBank::new(rows, config, tau)?;
    let summary = BuildSummary {
        images: found.images,
        patches: found.patches,
        rows: bank.rows(),
        dim: bank.dim(),
        tau,
        false_alarms: bank.config().false_alarms,
        tau_warning: bank.config().tau_warning.clone(),
        stands_out: found.stands_out,
        near_copies: found.near_copies,
        embed_s: found.embed_s,
        coreset_s: found.coreset_s,
        calibrate_s: found.calibrate_s,
        skipped: found.skipped,
    };
    Ok(BuiltBank { bank, summary })
}

/// The bank of one level, its thresholds, the number of images that they were measured on, and what was found.
fn build_of_guide(
    extractor: &FeatureExtractor,
    images: &dyn ImageSource,
    options: &BuildOptions,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<(NearestRows, Tau, usize, Report), EngineError> {
    let started = Instant::now();
    let mut ok = OkImages { extractor, options, names: images.names(), source: images, used: Vec::new(), skipped: Vec::new() };
    let reservoir = ok.embed_all(progress)?;
    let embed_s = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let rows = reservoir.rows().doing("reading the reservoir")?;
    let keep = coreset::kept(options.coreset, reservoir.origins().len());
    let chosen = coreset::select(options.coreset_method, &rows, keep, options.seed, &mut |done, total| {
        progress(BuildProgress { phase: BuildPhase::Coreset, done, total });
    })
    .doing("choosing the coreset")?;
    let bank = NearestRows::new(chosen.rows).and_then(|bank| bank.to_device(extractor.device())).doing("making the bank")?;
    if !bank.is_finite().doing("checking the bank")? {
        return Err(not_finite());
    }
    let coreset_s = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let set = OkSet { reservoir: &reservoir, bank: &bank, chosen: chosen.chosen.as_deref(), images: ok.used.len() as u32 };
    let total = ok.used.len();
    let (tau, scored) = ok.measured(&reservoir, order(options, set.chosen.is_some(), set.images), |measure| {
        calibrate(&set, options, measure, &mut |done| progress(BuildProgress { phase: BuildPhase::Calibrate, done, total }))
    })?;
    let found = Report {
        images: ok.used.len(),
        patches: reservoir.seen(),
        stands_out: Vec::new(),
        near_copies: Vec::new(),
        embed_s,
        coreset_s,
        calibrate_s: started.elapsed().as_secs_f64(),
        skipped: ok.skipped,
    };
    Ok((bank, tau, scored, found))
}

fn check(extractor: &FeatureExtractor, options: &BuildOptions) -> Result<(), EngineError> {
    if let Some((key, reason)) = options.problems().into_iter().next() {
        return Err(EngineError::Build(format!("`{key}` {reason}")));
    }
    if options.backbone != extractor.backbone() {
        let text = format!("it is to have backbone {}, but {} is loaded; load {0}", options.backbone, extractor.backbone());
        return Err(EngineError::Build(text));
    }
    Ok(())
}

/// The OK images on their way into a bank.
struct OkImages<'a> {
    extractor: &'a FeatureExtractor,
    source: &'a dyn ImageSource,
    options: &'a BuildOptions,
    names: Vec<String>,
    used: Vec<UsedImage>,
    skipped: Vec<(String, String)>,
}

impl OkImages<'_> {
    /// Streams the patches of every image into a reservoir, in the order of the names.
    fn embed_all(&mut self, progress: &mut dyn FnMut(BuildProgress)) -> Result<Reservoir, EngineError> {
        let total = self.names.len();
        let mut reservoir = Reservoir::new(self.options.reservoir_max, self.options.seed);
        let mut done = 0;
        read_ahead(self.source, by_name(&self.names), |index, image| {
            if let Some(patches) = self.embed(index, image)? {
                let (height, width, first_patch) = (patches.height, patches.width, reservoir.seen() as i64);
                reservoir.add(self.used.len() as u32, &patches.rows).doing("sampling patches")?;
                self.used.push(UsedImage { index, height, width, first_patch });
            }
            done += 1;
            progress(BuildProgress { phase: BuildPhase::Embed, done, total });
            Ok(())
        })?;
        match self.used.is_empty() {
            false => Ok(reservoir),
            true => Err(none_usable(total, self.skipped.first().map(|(name, reason)| (name.as_str(), reason.as_str())))),
        }
    }

    /// The patches of one image; `None` when it has to be skipped.
    fn embed(&mut self, index: usize, image: Result<ResizedImage, UnusableImage>) -> Result<Option<PatchEmbeddings>, EngineError> {
        let options = self.options;
        let embedded = match image {
            Ok(image) => PatchEmbeddings::of_image(self.extractor, &image, &options.layers, options.stride, options.neighbourhood),
            Err(error) => {
                self.skipped.push((self.names[index].clone(), error.to_string()));
                return Ok(None);
            }
        };
        match embedded {
            Ok(patches) => Ok(Some(patches)),
            Err(error @ EngineError::Image(_)) => {
                self.skipped.push((self.names[index].clone(), error.to_string()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs `work` with what measures the patches of a used image against rows, asked for in this `order`: out of the reservoir
    /// where it holds all patches, else by reading the images a second time, the next one while the network runs. (Keeping the
    /// features instead would take 10 MB and more of an image, in memory that a build is not to take or in writes that the
    /// line's own would wait for.)
    fn measured<T>(
        &mut self,
        reservoir: &Reservoir,
        order: Vec<u32>,
        work: impl FnOnce(&mut Measure) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let Self { extractor, source, options, names, used, skipped } = self;
        if reservoir.is_complete() {
            return work(&mut |number, rows| used.get(number as usize).map(|image| image.measure(reservoir, rows)).transpose());
        }
        std::thread::scope(|scope| {
            let (ahead, loaded) = sync_channel(READ_AHEAD);
            let used = &*used;
            scope.spawn(move || {
                let mut images = order.into_iter().filter_map(|number| Some((number, used.get(number as usize)?.index)));
                images.all(|(number, index)| ahead.send((number, index, source.load(index))).is_ok())
            });
            work(&mut |number, rows| {
                let Some((_, index, image)) = loaded.iter().find(|(loaded, ..)| *loaded == number) else { return Ok(None) };
                let measured = image.map_err(|error| error.to_string()).and_then(|image| match measure(extractor, options, &image, rows) {
                    Err(EngineError::Image(reason)) => Err(reason),
                    measured => Ok(measured),
                });
                measured.map_or_else(
                    |reason| {
                        skipped.push((names[index].clone(), format!("left out of tau: {reason}")));
                        Ok(None)
                    },
                    |measured| measured.map(Some),
                )
            })
        })
    }
}

impl UsedImage {
    /// The distances of its patches, all of which the reservoir holds.
    fn measure(&self, reservoir: &Reservoir, rows: &NearestRows) -> Result<PatchDistances, EngineError> {
        let (height, width) = (self.height, self.width);
        let patches = reservoir.rows().and_then(|all| all.f_narrow(0, self.first_patch, height * width));
        let found = patches.and_then(|patches| rows.of(&patches)).doing("measuring the OK images")?;
        Ok((found.distances, height, width))
    }
}

/// The distances of the patches of an image that is put through the network.
fn measure(
    extractor: &FeatureExtractor,
    options: &BuildOptions,
    image: &ResizedImage,
    rows: &NearestRows,
) -> Result<PatchDistances, EngineError> {
    let maps = extractor.features(image, &options.layers)?;
    rows.of_maps(&maps, i64::from(options.stride), i64::from(options.neighbourhood)).doing("measuring the OK images")
}
