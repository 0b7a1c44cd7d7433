//! `patchcored build`: one bank from a folder of OK images, file-compatible with the Python `build_bank.py`.

use super::UsageError;
use super::engine_args::EngineArgs;
use super::output::{complain, say};
use crate::banks::{BackgroundJob, BuildJob, EngineJob, build, compare, step_back};
use crate::domain::{Backbone, BuildOptions, Calibration, CoresetMethod, Layer, Precision, PrecisionChoice};
use crate::patchcore::{BuildPhase, BuildProgress};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `build`. The underscore spellings are those of the Python script.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Folder of OK images (jpg, jpeg, png, bmp, tif, tiff); sub-folders are not read
    #[arg(long, value_name = "DIR", alias = "ok_dir", required_unless_present = "background")]
    ok_dir: Option<PathBuf>,
    /// Folder for memory_bank.pt, bank_config.json and tau.json; created if missing
    #[arg(long, value_name = "DIR", alias = "out_dir", required_unless_present = "background")]
    out_dir: Option<PathBuf>,
    /// Short side of the resized image, pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    shorter: u32,
    /// Every N-th row and column of the base grid is kept
    #[arg(long, value_name = "N", default_value_t = 2)]
    stride: u32,
    /// Feature layers of the backbone, the base grid first: layer1 to layer4, or block1 to block12 of dinov2
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
    /// Network: resnet18, resnet34, resnet50, resnet101, wide_resnet50_2, efficientnet_lite0, efficientnet_lite1, efficientnet_lite2,
    /// dinov2_vits14, dinov2_vitb14
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
    let job = match args.background {
        Some(parent) => {
            step_back(parent)?;
            match serde_json::from_reader(std::io::stdin().lock()).context("cannot read the job from stdin")? {
                BackgroundJob::Build(job) => job,
                BackgroundJob::Compare(job) => {
                    say(&format!("{}\n", serde_json::to_string(&compare(&job)?)?))?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        None => args.job()?,
    };
    let bar = Bar::new();
    let report = build(&job, &mut |step| bar.show(&step))?;
    bar.clear();
    for left_out in &report.left_out {
        complain(&format!("warning: {}", left_out.replacen(": ", " left out: ", 1)));
    }
    if let Some(warning) = &report.tau_warning {
        complain(&format!("warning: {warning}"));
    }
    say(&format!("{}\n", serde_json::to_string(&report)?))?;
    Ok(ExitCode::SUCCESS)
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
