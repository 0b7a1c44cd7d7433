//! `patchcored build`: one bank from a folder of OK images, file-compatible with the Python `build_bank.py`.

use super::engine_args::EngineArgs;
use super::{UsageError, complain, say};
use crate::banks::{BankFolder, OkFolder};
use crate::daemon::source::{self, Expectation, Source};
use crate::error::ImageError;
use crate::inspection::{Backbone, BuildOptions, Calibration, CoresetMethod, Layer, Precision, PrecisionChoice, ResizedImage};
use crate::patchcore::{BuildPhase, BuildProgress, ImageSource, build_bank};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Arguments of `build`. The underscore spellings are those of the Python script.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Folder of OK images (jpg, jpeg, png, bmp, tif, tiff); sub-folders are not read
    #[arg(long, value_name = "DIR", alias = "ok_dir")]
    ok_dir: PathBuf,
    /// Folder for memory_bank.pt, bank_config.json and tau.json; created if missing
    #[arg(long, value_name = "DIR", alias = "out_dir")]
    out_dir: PathBuf,
    /// Short side of the resized image, pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    shorter: u32,
    /// Every N-th row and column of the base grid is kept
    #[arg(long, value_name = "N", default_value_t = 2)]
    stride: u32,
    /// Feature layers of the backbone, the base grid first
    #[arg(long, value_name = "LAYER", num_args = 1.., default_values = ["layer2", "layer3", "layer4"])]
    layers: Vec<Layer>,
    /// Share of the patches kept as bank rows, 0 to 1; 0 keeps all
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    coreset: f64,
    /// Most patches held while building
    #[arg(long, value_name = "N", default_value_t = 100_000, alias = "reservoir_max")]
    reservoir_max: usize,
    /// Quantile of the OK patch distances that becomes pixel_tau, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.995, alias = "pixel_pct")]
    pixel_pct: f64,
    /// Quantile of the OK image scores that becomes image_tau, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.995, alias = "image_pct")]
    image_pct: f64,
    /// Network: resnet18, resnet34, resnet50, resnet101, wide_resnet50_2, efficientnet_lite0
    #[arg(long, value_name = "NAME", default_value = "resnet50")]
    backbone: Backbone,
    /// How bank rows are chosen: greedy, kmeans, random [default: greedy]
    #[arg(long, value_name = "METHOD", alias = "coreset_method")]
    coreset_method: Option<CoresetMethod>,
    /// What tau is measured on: held_out (good parts not in the bank), in_sample [default: held_out]
    #[arg(long, value_name = "KIND")]
    calibration: Option<Calibration>,
    /// Feature maps are averaged K×K before they are joined; 1 = off [default: 3]
    #[arg(long, value_name = "K")]
    neighbourhood: Option<u32>,
    /// The distance grid is averaged S×S; 0 = off [default: 0]
    #[arg(long, value_name = "S")]
    smoothing: Option<u32>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// `guide` = exactly the method of the Python scripts: k-means, in-sample tau, no averaging, float32
    #[arg(long, value_name = "NAME", value_parser = ["guide"])]
    preset: Option<String>,
    /// Run at low priority and end with the process of this id, which must be the caller: how the daemon starts it
    #[arg(long, value_name = "PID")]
    background: Option<i32>,
    #[command(flatten)]
    engine: EngineArgs,
}

impl BuildArgs {
    fn options(&self) -> Result<(BuildOptions, PrecisionChoice), UsageError> {
        let defaults = BuildOptions::default();
        let guide = self.preset.is_some();
        let defaults = if guide { defaults.guide() } else { defaults };
        let options = BuildOptions {
            backbone: self.backbone,
            shorter: self.shorter,
            stride: self.stride,
            layers: self.layers.clone(),
            coreset: self.coreset,
            coreset_method: self.coreset_method.unwrap_or(defaults.coreset_method),
            reservoir_max: self.reservoir_max,
            pixel_pct: self.pixel_pct,
            image_pct: self.image_pct,
            calibration: self.calibration.unwrap_or(defaults.calibration),
            neighbourhood: self.neighbourhood.unwrap_or(defaults.neighbourhood),
            smoothing: self.smoothing.unwrap_or(defaults.smoothing),
            seed: self.seed,
        };
        let problems = options.problems();
        if !problems.is_empty() {
            let lines: Vec<String> = problems.iter().map(|(key, text)| format!("--{}: {text}", key.replace('_', "-"))).collect();
            return Err(UsageError(lines.join("; ")));
        }
        let precision = match (guide, self.engine.precision) {
            (true, PrecisionChoice::Auto) => PrecisionChoice::Fixed(Precision::Float32),
            (_, choice) => choice,
        };
        if guide && (options.clone().guide() != options || precision != PrecisionChoice::Fixed(Precision::Float32)) {
            return Err(UsageError(
                "--preset guide is k-means, in_sample, neighbourhood 1, smoothing 0, float32; drop what differs".to_owned(),
            ));
        }
        Ok((options, precision))
    }
}

/// Builds and saves the bank; prints one JSON object as the last line of stdout.
///
/// # Errors
/// Wrong arguments, unreadable folders, missing weights, no usable image.
pub fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let (options, precision) = args.options()?;
    if let Some(parent) = args.background {
        step_back(parent)?;
    }
    if BankFolder::is_versioned(&args.out_dir) {
        bail!(
            "{}: this bank is kept in versions by the daemon; change the ok folder to have it rebuilt, or build into another folder",
            args.out_dir.display()
        );
    }
    let listing = OkFolder::list(&args.ok_dir).with_context(|| format!("{}: cannot list the ok folder", args.ok_dir.display()))?;
    if listing.is_empty() {
        bail!("{}: no images (jpg, jpeg, png, bmp, tif, tiff) in this folder; put OK images there", args.ok_dir.display());
    }
    std::fs::create_dir_all(&args.out_dir).with_context(|| format!("{}: cannot create the output folder", args.out_dir.display()))?;

    let extractor = args.engine.load(options.backbone, precision)?;
    let images = OkImages::new(listing, options.shorter, args.engine.expectation());
    let progress = Progress::new();
    let built = build_bank(&extractor, &images, &options, &mut |step| progress.show(&step))?;
    progress.clear();
    let mut bank = built.bank;
    bank.set_ok_fingerprint(images.as_read().fingerprint(&options));
    bank.save(&args.out_dir)?;

    let summary = built.summary;
    for (name, reason) in &summary.skipped {
        complain(&format!("warning: {name} left out: {reason}"));
    }
    if let Some(warning) = &summary.tau_warning {
        complain(&format!("warning: {warning}"));
    }
    let tau = summary.tau;
    say(&format!(
        "{}\n",
        serde_json::json!({
            "images": summary.images,
            "patches": summary.patches,
            "bank": [summary.rows, summary.dim],
            "tau": {"pixel": tau.pixel, "image": tau.image},
            "false_alarms_per_1000": summary.false_alarms,
            "tau_warning": summary.tau_warning,
            "embed_s": round(summary.embed_s),
            "coreset_s": round(summary.coreset_s),
            "calibrate_s": round(summary.calibrate_s),
            "skipped": summary.skipped.len(),
            "left_out": summary.skipped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect::<Vec<_>>(),
            "precision": bank.config().precision,
            "out_dir": args.out_dir,
        })
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn round(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// Leaves the processor to the line, and does not outlive the daemon that started this.
fn step_back(parent: i32) -> anyhow::Result<()> {
    // Lists of processes would call it `exe`, after the name that the daemon starts it by.
    let _ = std::fs::write("/proc/self/comm", "patchcored");
    rustix::process::nice(10).context("cannot lower the priority")?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).context("cannot tie to the parent process")?;
    // It may have died before the line above; its next start builds by itself, and two builds of one product must not meet.
    if rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero).map(|pid| pid.get()) != Some(parent) {
        bail!("process {parent}, for which this bank is built, is gone");
    }
    Ok(())
}

/// The OK images, read one at a time.
struct OkImages {
    listing: OkFolder,
    paths: Vec<PathBuf>,
    /// Per image what was found when it was read; `None` before that.
    found: Vec<Mutex<Option<Found>>>,
    shorter: u32,
    expect: Expectation,
}

/// An image when it was read, against the listing.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    AsListed,
    Changed,
    Gone,
}

impl OkImages {
    fn new(listing: OkFolder, shorter: u32, expect: Expectation) -> Self {
        let paths = listing.paths();
        let found = paths.iter().map(|_| Mutex::new(None)).collect();
        Self { listing, paths, found, shorter, expect }
    }

    /// The listing corrected by what was really read: what was gone is not in it, and what had changed makes it unlike any listing,
    /// so that a bank from a folder that changed during the build is built again.
    fn as_read(&self) -> OkFolder {
        let mut listing = self.listing.clone();
        for (path, found) in self.paths.iter().zip(&self.found) {
            match *found.lock().unwrap_or_else(PoisonError::into_inner) {
                None | Some(Found::AsListed) => {}
                Some(Found::Changed) => listing.mark_changed(path),
                Some(Found::Gone) => listing.without(path),
            }
        }
        listing
    }

    fn note(&self, index: usize, read: Result<&Source, &ImageError>) {
        let listed = self.listing.version(index);
        let found = match read {
            Ok(source) if listed != Some((source.version.size, source.version.mtime_ns)) => Found::Changed,
            Err(ImageError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Found::Gone,
            // Of an image that was refused, nothing is in the bank; whether it has changed, the next listing tells.
            _ => Found::AsListed,
        };
        let mut noted = self.found[index].lock().unwrap_or_else(PoisonError::into_inner);
        // Read a second time, for tau, an image may have changed; that it is gone does not take it out of the bank.
        if noted.is_none() || found == Found::Changed {
            *noted = Some(found);
        }
    }
}

impl ImageSource for OkImages {
    fn names(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    }

    fn load(&self, index: usize) -> Result<ResizedImage, ImageError> {
        let path = &self.paths[index];
        let read = source::read_linked(path, &self.expect, self.shorter);
        self.note(index, read.as_ref().map(|(source, _)| source));
        Ok(read?.1)
    }
}

/// A bar on a terminal, nothing elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn show(&self, step: &BuildProgress) {
        self.bar.set_message(match step.phase {
            BuildPhase::Embed => "embedding",
            BuildPhase::Coreset => "coreset",
            BuildPhase::Calibrate => "tau",
        });
        self.bar.set_length(step.total as u64);
        self.bar.set_position(step.done as u64);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_of_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, side| image::GrayImage::new(side, side).save(path(name)).unwrap();
        for name in ["a.png", "b.png", "c.png"] {
            write(name, 40);
        }
        std::fs::write(path("junk.png"), "no image, and never was one").unwrap();
        let list = || OkFolder::list(folder.path()).unwrap();
        let print = |folder: &OkFolder| folder.fingerprint(&BuildOptions::default());
        let read_all = |images: &OkImages| (0..images.paths.len()).for_each(|index| drop(images.load(index)));
        let expect = Expectation { max_megapixels: 1, ..Expectation::default() };
        let images = || OkImages::new(list(), 32, expect.clone());

        let before = print(&list());
        let still = images();
        read_all(&still);
        assert_eq!(print(&still.as_read()), before, "junk belongs to it: the same junk is no reason to build again");

        let (vanished, changed, late) = (images(), images(), images());
        read_all(&late);
        std::fs::rename(path("c.png"), path("away")).unwrap();
        read_all(&vanished);
        read_all(&late);
        assert_eq!(print(&vanished.as_read()), print(&list()), "what was gone is not in the bank");
        assert_eq!(print(&late.as_read()), before, "gone after it was read, it is in the bank");
        std::fs::rename(path("away"), path("c.png")).unwrap();
        assert_eq!(print(&list()), before);
        assert_ne!(print(&vanished.as_read()), before, "back again, it has to be built in");

        write("b.png", 41);
        read_all(&changed);
        for now in [before, print(&list())] {
            assert_ne!(print(&changed.as_read()), now, "neither the old listing nor the new one");
        }
    }
}
