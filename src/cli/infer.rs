//! `patchcored infer`: one image or a folder against a bank, file-compatible with the Python `infer.py`.

use super::engine_args::EngineArgs;
use super::exit::Exit;
use super::output::{complain, say};
use crate::banks::list_images;
use crate::domain::{Backbone, Picture, PrecisionChoice, SENSITIVITY};
use crate::inspect::{BankScorer, OutputPaths, OverlayLook, Verdict, VerdictRules, scores_json};
use crate::patchcore::MemoryBank;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Arguments of `infer`. The underscore spellings are those of the Python script.
#[derive(clap::Args)]
pub struct InferArgs {
    /// Folder with memory_bank.pt, bank_config.json and tau.json
    #[arg(long, value_name = "DIR", alias = "bank_dir")]
    bank_dir: PathBuf,
    /// The image to inspect
    #[arg(long, value_name = "FILE", required_unless_present = "img_dir", conflicts_with = "img_dir")]
    img: Option<PathBuf>,
    /// A folder of images; each gets a folder of its own name under --out-dir
    #[arg(long, value_name = "DIR", alias = "img_dir")]
    img_dir: Option<PathBuf>,
    /// Folder for heat_gray.png, mask.png, overlay.png, scores.json; created if missing
    #[arg(long, value_name = "DIR", alias = "out_dir")]
    out_dir: PathBuf,
    /// A golden image: also write side_by_side.png (reference | test / mask | overlay)
    #[arg(long, value_name = "FILE", alias = "fuse_ref")]
    fuse_ref: Option<PathBuf>,
    /// Write decision, score and tau into a corner of the overlay
    #[arg(long)]
    overlay_text: bool,
    #[command(flatten)]
    scoring: ScoringArgs,
}

impl InferArgs {
    /// True with a folder of images.
    pub fn takes_many_images(&self) -> bool {
        self.img_dir.is_some()
    }
}

/// A bank and the network that fits it.
#[derive(clap::Args)]
pub struct ScoringArgs {
    /// Refuse a bank of another network; needed only for banks that do not name theirs
    #[arg(long, value_name = "NAME")]
    backbone: Option<Backbone>,
    /// Divide the thresholds of the bank by this: 1.1 rejects more parts, 0.9 fewer
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_sensitivity)]
    sensitivity: f64,
    #[command(flatten)]
    engine: EngineArgs,
}

impl ScoringArgs {
    /// Loads bank and network.
    ///
    /// # Errors
    /// An unreadable bank, missing weights, or a network that the bank was not built with.
    pub fn load(&self, bank_dir: &Path) -> anyhow::Result<BankScorer> {
        let bank = MemoryBank::load(bank_dir)?;
        let precision = match self.engine.precision {
            PrecisionChoice::Auto => PrecisionChoice::Fixed(bank.config().precision),
            choice => choice,
        };
        let extractor =
            self.engine.job().load(self.backbone.unwrap_or(bank.config().backbone), precision, bank.config().activation_ranges.as_ref())?;
        let rules = VerdictRules { sensitivity: self.sensitivity, ..VerdictRules::default() };
        Ok(BankScorer::new(bank, extractor, self.engine.job().expectation(), rules)?)
    }
}

fn parse_sensitivity(text: &str) -> Result<f64, String> {
    let (low, high) = SENSITIVITY;
    let allowed = text.parse().ok().filter(|value| (low..=high).contains(value));
    allowed.ok_or_else(|| format!("use a number from {low} to {high} (1 = the thresholds as measured)"))
}

/// Inspects and writes; prints one JSON line per image.
///
/// # Errors
/// A bank that cannot be used, or (with `--img`) an image that cannot be inspected. In a folder a bad image is reported, the others
/// go on, and the exit code is 1.
pub fn run(args: &InferArgs) -> anyhow::Result<Exit> {
    let scorer = args.scoring.load(&args.bank_dir)?;
    let reference = args.fuse_ref.as_deref().map(|path| scorer.plan().prepare_linked(path)).transpose().context("--fuse-ref")?;
    let reference = reference.map(|prepared| prepared.source.picture);
    let look = OverlayLook { style: scorer.overlay_style(), text: args.overlay_text };
    let write = |path: &Path, folder: &Path, picture: &Picture, verdict: &Verdict| -> anyhow::Result<()> {
        OutputPaths::in_folder(folder).write(picture, verdict, reference.as_ref(), look)?;
        let mut line = scores_json(verdict);
        line["image"] = path.to_string_lossy().into();
        Ok(say(&format!("{line}\n"))?)
    };
    if let Some(path) = &args.img {
        scorer.inspect_all(std::slice::from_ref(path), |path, judged| {
            let (picture, verdict) = judged?;
            write(path, &args.out_dir, &picture, &verdict)
        })?;
        return Ok(Exit::SUCCESS);
    }
    let folder = args.img_dir.as_deref().unwrap_or(Path::new("."));
    let paths = list_images(folder).with_context(|| format!("{}: cannot list the image folder", folder.display()))?;
    if paths.is_empty() {
        bail!("{}: no images (jpg, jpeg, png, bmp, tif, tiff) in this folder", folder.display());
    }
    let mut failed = 0;
    scorer.inspect_all(&paths, |path, judged| {
        let name = path.file_name().unwrap_or_default();
        let written = judged.and_then(|(picture, verdict)| write(path, &args.out_dir.join(name), &picture, &verdict));
        if let Err(error) = written {
            complain(&super::errors::shown(&error));
            failed += 1;
        }
        Ok(())
    })?;
    if failed > 0 {
        complain(&format!("{failed} of {} images could not be inspected", paths.len()));
        return Ok(Exit::FAILURE);
    }
    Ok(Exit::SUCCESS)
}
