//! `patchcored build`: one bank from a folder of OK images, file-compatible with the Python `build_bank.py`.

use super::UsageError;
use super::engine_args::EngineArgs;
use super::exit::Exit;
use super::output::{complain, say};
use crate::banks::{BackgroundJob, BuildJob, BuildPercent, EngineJob, build, compare, self_test_bank, step_back};
use crate::domain::{
    Backbone, BuildOptions, Calibration, CoresetMethod, GivenOptions, Grouping, Layer, Precision, PrecisionChoice, Preset, ScoreMethod,
};
use crate::patchcore::{BuildPhase, BuildProgress};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two words about how far a build is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `build`. The underscore spellings are those of the Python script.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Folder of OK images (jpg, jpeg, png, bmp, tif, tiff); sub-folders are not read
    #[arg(long, value_name = "DIR", alias = "ok_dir", required_unless_present = "background")]
    ok_dir: Option<PathBuf>,
    /// Folder for memory_bank.pt, bank_config.json and tau.json; created if missing
    #[arg(long, value_name = "DIR", alias = "out_dir", required_unless_present = "background")]
    out_dir: Option<PathBuf>,
    /// A set of options under one name; options beside it win: guide (exactly the method of the Python scripts: largest distance, k-means,
    /// in-sample tau, no averaging, float32), fast (three quarters of the usual
    /// shorter), default, fine (one and a half times the usual shorter)
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Network: resnet18, resnet34, resnet50, resnet101, wide_resnet50_2, efficientnet_lite0, efficientnet_lite1, efficientnet_lite2,
    /// dinov2_vits14, dinov2_vitb14 [default: resnet50]
    #[arg(long, value_name = "NAME")]
    backbone: Option<Backbone>,
    /// Short side of the resized image, pixels [default: 512, of dinov2 448]
    #[arg(long, value_name = "PIXELS")]
    shorter: Option<u32>,
    /// Every N-th row and column of the base grid is kept [default: 2, of dinov2 1]
    #[arg(long, value_name = "N")]
    stride: Option<u32>,
    /// Feature layers of the backbone, the base grid first: layer1 to layer4, or block1 to block12 of dinov2
    /// [default: layer2 layer3 layer4, of dinov2 block4 block8 block12]
    #[arg(long, value_name = "LAYER", num_args = 1..)]
    layers: Option<Vec<Layer>>,
    /// How distances become the score: levels, guide [default: levels; guide beside one of its own options]
    #[arg(long, value_name = "METHOD")]
    score: Option<ScoreMethod>,
    /// Share of the patches kept as bank rows, 0 to 1; 0 keeps all [default: 0.05 with levels, 0.02 with guide]
    #[arg(long, value_name = "SHARE")]
    coreset: Option<f64>,
    /// How bank rows are chosen: greedy, random, and kmeans with guide [default: greedy]
    #[arg(long, value_name = "METHOD", alias = "coreset_method")]
    coreset_method: Option<CoresetMethod>,
    /// Most patches held while building [default: 100000]
    #[arg(long, value_name = "N", alias = "reservoir_max")]
    reservoir_max: Option<usize>,
    /// Share of good images at or below image_tau, 0 to 1 [default: 0.98 with levels, 0.995 with guide]
    #[arg(long, value_name = "SHARE", alias = "image_pct")]
    image_pct: Option<f64>,
    /// Share of good images that have no mask, with levels [default: that of --image-pct]
    #[arg(long, value_name = "SHARE", alias = "mask_pct")]
    mask_pct: Option<f64>,
    /// Share of good patches at or below pixel_tau, with guide [default: 0.995]
    #[arg(long, value_name = "SHARE", alias = "pixel_pct")]
    pixel_pct: Option<f64>,
    /// Which OK images belong together, with levels: auto, none, or a regular expression with `(?P<group>...)` on the file name [default: auto]
    #[arg(long, value_name = "HOW")]
    groups: Option<String>,
    /// What tau is measured on: held_out (good parts not in the bank), and in_sample with guide [default: held_out]
    #[arg(long, value_name = "KIND")]
    calibration: Option<Calibration>,
    /// Feature maps are averaged K×K before they are joined, with guide; 1 = off [default: 3]
    #[arg(long, value_name = "K")]
    neighbourhood: Option<u32>,
    /// The distance grid is averaged S×S, with guide; 0 = off [default: 0]
    #[arg(long, value_name = "S")]
    smoothing: Option<u32>,
    /// Seed of every random choice [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Read what to build from stdin, run at low priority, and end with the process of this id, which must be the caller: how the daemon
    /// starts it
    #[arg(long, value_name = "PID")]
    background: Option<i32>,
    #[command(flatten)]
    engine: EngineArgs,
}

impl BuildArgs {
    fn job(&self) -> Result<BuildJob, UsageError> {
        let (options, precision) = self.options()?;
        let folder = |folder: &Option<PathBuf>| folder.clone().unwrap_or_default();
        let (ok_dir, out_dir) = (folder(&self.ok_dir), folder(&self.out_dir));
        let engine = EngineJob { precision, ..self.engine.job() };
        Ok(BuildJob { ok_dir, out_dir, options, engine })
    }

    fn options(&self) -> Result<(BuildOptions, PrecisionChoice), UsageError> {
        let given = GivenOptions {
            preset: self.preset,
            backbone: self.backbone,
            shorter: self.shorter,
            stride: self.stride,
            layers: self.layers.clone(),
            score: self.score,
            coreset: self.coreset,
            coreset_method: self.coreset_method,
            reservoir_max: self.reservoir_max,
            pixel_pct: self.pixel_pct,
            mask_pct: self.mask_pct,
            image_pct: self.image_pct,
            calibration: self.calibration,
            groups: self.groups.clone().map(Grouping::from),
            neighbourhood: self.neighbourhood,
            smoothing: self.smoothing,
            seed: self.seed,
        };
        let (options, mut problems) = given.resolve();
        let guide = self.preset == Some(Preset::Guide);
        let precision = match (guide, self.engine.precision) {
            (true, PrecisionChoice::Auto) => PrecisionChoice::Fixed(Precision::Float32),
            (_, choice) => choice,
        };
        if guide && precision != PrecisionChoice::Fixed(Precision::Float32) {
            problems.push(("precision", format!("{precision} contradicts `--preset guide`, which means float32; remove one of the two")));
        }
        if problems.is_empty() {
            return Ok((options, precision));
        }
        let lines: Vec<String> = problems.iter().map(|(key, text)| format!("--{}: {text}", key.replace('_', "-"))).collect();
        Err(UsageError(lines.join("; ")))
    }
}

/// Builds and saves the bank; prints one JSON object as the last line of stdout.
///
/// # Errors
/// Wrong arguments, unreadable folders, missing weights, no usable image.
pub fn run(args: &BuildArgs) -> anyhow::Result<Exit> {
    let job = match args.background {
        Some(parent) => {
            step_back(parent)?;
            match serde_json::from_reader(std::io::stdin().lock()).context("cannot read the job from stdin")? {
                BackgroundJob::Build(job) => job,
                BackgroundJob::Compare(job) => return answer(&compare(&job)?),
                BackgroundJob::SelfTest(job) => return answer(&self_test_bank(&job)?),
            }
        }
        None => args.job()?,
    };
    let bar = Bar::new();
    let mut percent = Percent { told: None };
    let report = build(&job, &mut |step| if args.background.is_some() { percent.tell(&step) } else { bar.show(&step) })?;
    bar.clear();
    for left_out in &report.left_out {
        complain(&format!("warning: {}", left_out.replacen(": ", " left out: ", 1)));
    }
    if !report.stands_out.is_empty() {
        complain(&format!("warning: unlike the other OK images: {}; look at them, tau does not follow them", report.stands_out.join(", ")));
    }
    for group in &report.near_copies {
        complain(&format!("note: near-copies, which count as one image: {}", group.join(", ")));
    }
    if let Some(promise) = &report.false_alarms_per_1000 {
        complain(&format!("note: {promise}"));
    }
    if let Some(cost) = &report.int8_cost {
        complain(&format!("note: int8: {cost}"));
    }
    if let Some(warning) = &report.tau_warning {
        complain(&format!("warning: {warning}"));
    }
    answer(&report)
}

/// Prints what was found as one JSON value in the last line of stdout.
fn answer(found: &impl Serialize) -> anyhow::Result<Exit> {
    say(&format!("{}\n", serde_json::to_string(found)?))?;
    Ok(Exit::SUCCESS)
}

/// Tells the daemon how much of the build is done, as lines of stdout.
struct Percent {
    /// When it was told last, and what.
    told: Option<(Instant, u8)>,
}

impl Percent {
    /// Tells what is new, once a second at most.
    fn tell(&mut self, step: &BuildProgress) {
        let percent = (step.share() * 100.0) as u8;
        if self.told.is_none_or(|(at, told)| told < percent && at.elapsed() >= TELL_EVERY) {
            self.told = Some((Instant::now(), percent));
            // A daemon that has gone away ends this process anyway.
            let _ = answer(&BuildPercent { percent });
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
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
