//! One build, in the build process or by hand.

use super::ok_images::OkImages;
use super::{BankFolder, BuildJob, BuildReport, OkFolder};
use crate::patchcore::{BuildProgress, build_bank};
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
    let extractor = job.engine.load(job.options.backbone, job.engine.precision)?;
    let images = OkImages::new(listing, job.options.engine_size(), job.engine.expectation());
    let built = build_bank(&extractor, &images, &job.options, progress)?;
    let mut bank = built.bank;
    bank.set_ok_fingerprint(images.as_read().fingerprint(&job.options).to_string());
    bank.save(&job.out_dir)?;
    Ok(BuildReport::new(&built.summary, bank.config().precision, &job.out_dir))
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
