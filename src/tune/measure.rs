//! One bank for a comparison: built, and measured on the images that are held out.

use super::report::{FoundSizes, Measured};
use super::scratch::ScratchFolder;
use super::settings::BuildSettings;
use super::split::ImageHalves;
use crate::banks::{BuildJob, BuildReport, EngineJob, build};
use crate::config::{Config, ProductConfig};
use crate::domain::{Decision, PlantedKind, error_text};
use crate::inspect::{BankScorer, VerdictRules};
use crate::patchcore::MemoryBank;
use crate::selftest::{Judged, SelfTestPlan, SelfTestReport, self_test};
use anyhow::{Context, bail};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Sizes of planted defects, as parts of the short side: where settings differ.
const SIZES: [u32; 3] = [64, 32, 16];
/// No smaller defect has a form.
const SMALLEST: u32 = 3;
/// Contrasts of planted defects, percent of the grey range.
const CONTRASTS: [f64; 2] = [20.0, 60.0];
/// Places of planted defects.
const PLACES: u32 = 8;

/// What all candidates have in common.
pub(super) struct TuneBench<'a> {
    config: &'a Config,
    product: &'a ProductConfig,
    scratch: ScratchFolder,
    ok: PathBuf,
    held_out: Vec<PathBuf>,
}

/// One candidate, and the images that cannot be used, each with the reason.
pub(super) struct MeasuredBank {
    pub measured: Measured,
    pub bank_images: usize,
    pub unusable: Vec<String>,
}

impl<'a> TuneBench<'a> {
    pub(super) fn new(config: &'a Config, product: &'a ProductConfig, halves: ImageHalves) -> anyhow::Result<Self> {
        let scratch = ScratchFolder::new()?;
        let ok = scratch.link("ok", &halves.bank)?;
        Ok(Self { config, product, scratch, ok, held_out: halves.held_out })
    }

    /// Builds the bank of a candidate and measures it. The bank is removed. No defects are planted for one that takes longer per image than
    /// `most`: it cannot be recommended.
    pub(super) fn measure(&self, settings: &BuildSettings, most: Option<Duration>) -> anyhow::Result<MeasuredBank> {
        let product = settings.product(self.product);
        let bank_dir = self.scratch.path("bank");
        let engine = EngineJob::of_product(self.config, &product);
        let job = BuildJob { ok_dir: self.ok.clone(), out_dir: bank_dir.clone(), options: product.build, engine };
        let begin = Instant::now();
        let built = build(&job, &mut |_| ())?;
        let build_s = begin.elapsed().as_secs_f64();
        let measured = self.measure_bank(&job, &built, build_s, most);
        std::fs::remove_dir_all(&bank_dir).with_context(|| format!("{}: cannot be removed", bank_dir.display()))?;
        measured
    }

    fn measure_bank(&self, job: &BuildJob, built: &BuildReport, build_s: f64, most: Option<Duration>) -> anyhow::Result<MeasuredBank> {
        let bank = MemoryBank::load(&job.out_dir)?;
        let extractor = job.engine.load_for(bank.config())?;
        // The promise is for the thresholds as measured.
        let rules = VerdictRules { mask: self.product.mask.clone(), decide_by: self.product.decide_by, sensitivity: 1.0 };
        let scorer = BankScorer::new(bank, extractor, job.engine.expectation(), rules)?;
        let mut unusable = built.left_out.clone();
        let (mut times, mut false_alarms, mut short_side) = (Vec::new(), 0, u32::MAX);
        // The first one warms up.
        for path in self.held_out.iter().take(1).chain(&self.held_out) {
            let begin = Instant::now();
            match scorer.verdict(path) {
                Ok((_, verdict)) => {
                    times.push(begin.elapsed().as_secs_f64() * 1000.0);
                    short_side = short_side.min(verdict.map.width.min(verdict.map.height));
                    false_alarms += u32::from(times.len() > 1 && verdict.decision == Decision::Ng);
                }
                Err(error) => unusable.push(format!("{}: {}", path.display(), error_text(&error))),
            }
        }
        unusable.dedup();
        let held_out = times.len().saturating_sub(1) as u32;
        if held_out == 0 {
            bail!("none of the images held out can be used; the first: {}", unusable.last().map_or("", String::as_str));
        }
        let ms_per_image = median(times.split_off(1));
        let is_out = false_alarms == held_out || most.is_some_and(|most| ms_per_image > most.as_secs_f64() * 1000.0);
        let planted = if is_out { SelfTestReport::default() } else { self.plant(&scorer, short_side)? };
        let length = |kind| planted.smallest_found(kind, planted.medium_contrast).cell.map(|cell| cell.length);
        let smallest =
            FoundSizes { contrast: planted.medium_contrast, scratch: length(PlantedKind::Scratch), spot: length(PlantedKind::Spot) };
        let measured = Measured {
            found: planted.found_at.iter().sum(),
            planted: planted.cells.iter().map(|cell| cell.planted).sum(),
            found_at: planted.found_at,
            smallest,
            false_alarms,
            held_out,
            promise: built.false_alarms_per_1000,
            image_pct: job.options.image_pct,
            ms_per_image,
            build_s,
        };
        Ok(MeasuredBank { measured, bank_images: built.images, unusable })
    }

    fn plant(&self, scorer: &BankScorer, short_side: u32) -> anyhow::Result<SelfTestReport> {
        let sizes = SIZES.map(|part| (short_side / part).max(SMALLEST)).to_vec();
        let images = PLACES as usize;
        let plan = SelfTestPlan { sizes, contrasts: CONTRASTS.to_vec(), placements: PLACES, images, ..SelfTestPlan::default() };
        let judge = |picture: &_| Ok(Judged::from(scorer.judge(picture)?));
        self_test(&judge, &self.held_out, &|path| scorer.picture(path), &plan, &mut |_| ())
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_image_does_not_move_the_time() {
        assert_eq!((median(vec![9.0, 1.0, 500.0, 8.0, 2.0]), median(vec![3.0]), median(vec![])), (8.0, 3.0, 0.0));
    }
}
