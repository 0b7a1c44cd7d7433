//! One build, in the build process or by hand.

use super::int8_cost::Int8Cost;
use super::ok_images::OkImages;
use super::{BankFolder, BuildJob, BuildReport, OkFolder};
use crate::domain::{Precision, PrecisionChoice};
use crate::inspect::{BankScorer, VerdictRules};
use crate::patchcore::{BuildProgress, FeatureExtractor, MemoryBank, build_bank};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, getppid, nice, set_parent_process_death_signal};

/// Builds the bank and saves it; reports each step to `progress`.
///
/// # Errors
/// Unreadable folders, missing weights, no usable image, or a folder of versions, which only the daemon changes.
pub fn build(job: &BuildJob, progress: &mut dyn FnMut(BuildProgress)) -> anyhow::Result<BuildReport> {
    let (ok, out) = (job.ok_dir.display(), job.out_dir.display());
    if BankFolder::is_versioned(&job.out_dir) {
        bail!("{out}: this bank is kept in versions by the daemon; change the ok folder to have it rebuilt, or build into another folder");
    }
    let listing = OkFolder::list(&job.ok_dir).with_context(|| format!("{ok}: cannot list the ok folder"))?;
    if listing.is_empty() {
        bail!("{ok}: no images (jpg, jpeg, png, bmp, tif, tiff) in this folder; put OK images there");
    }
    std::fs::create_dir_all(&job.out_dir).with_context(|| format!("{out}: cannot create the output folder"))?;
    let images = OkImages::new(listing, job.options.engine_size(), job.engine.expectation());
    let extractor = job.engine.load_for_build(job.options.backbone, &images)?;
    let built = build_bank(&extractor, &images, &job.options, progress)?;
    let mut bank = built.bank;
    let mut report = BuildReport::new(&built.summary, bank.config().precision, &job.out_dir);
    if bank.config().precision == Precision::Int8 {
        let cost;
        (bank, cost) = with_cost(bank, extractor, job, &images)?;
        cost.allow()?;
        report.int8_cost = Some(cost);
    }
    bank.set_ok_fingerprint(images.as_read().fingerprint(&job.options).to_string());
    bank.save(&job.out_dir)?;
    Ok(report)
}

/// The bank in int8, and what it misses beside one in float32 of the same images.
fn with_cost(bank: MemoryBank, extractor: FeatureExtractor, job: &BuildJob, images: &OkImages) -> anyhow::Result<(MemoryBank, Int8Cost)> {
    let scorer = |bank, extractor| BankScorer::new(bank, extractor, job.engine.expectation(), VerdictRules::default());
    let float32 = job.engine.load(job.options.backbone, PrecisionChoice::Fixed(Precision::Float32), None)?;
    let reference = build_bank(&float32, images, &job.options, &mut |_| ())?.bank;
    let (int8, reference) = (scorer(bank, extractor)?, scorer(reference, float32)?);
    let cost = Int8Cost::measure(&int8, &reference, images.paths())?;
    Ok((int8.into_bank(), cost))
}

/// Leaves the processor to the line, and ends this process with the daemon that started it.
///
/// # Errors
/// When the daemon has ended already, or the system refuses.
pub fn step_back(parent: i32) -> anyhow::Result<()> {
    // Without this, process lists show `exe`, from the path by which the daemon starts it.
    let _ = std::fs::write("/proc/self/comm", "patchcored");
    nice(10).context("cannot lower the priority")?;
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot tie to the parent process")?;
    // The daemon may have died before the line above. Its next start builds again, and two builds of one product must not meet.
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get()) != Some(parent) {
        bail!("process {parent}, for which this bank is built, is gone");
    }
    Ok(())
}
