//! `patchcored selftest`: how small a defect a bank finds.

use super::UsageError;
use super::exit::Exit;
use super::infer::ScoringArgs;
use super::output::{complain, say};
use crate::banks::list_images;
use crate::imaging::png::write_rgb;
use crate::selftest::{Judged, SelfTestPlan, grid, self_test};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// Arguments of `selftest`.
#[derive(clap::Args)]
pub struct SelftestArgs {
    /// Folder with memory_bank.pt, bank_config.json and tau.json
    #[arg(long, value_name = "DIR", alias = "bank_dir")]
    bank_dir: PathBuf,
    /// Folder of good parts that synthetic defects are planted into; the files are not changed
    #[arg(long, value_name = "DIR")]
    ok: PathBuf,
    /// A PNG with one defect of each kind and size, framed blue if found and orange if missed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object instead of sentences and a table
    #[arg(long)]
    json: bool,
    /// Seed of every place and form
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The most images that defects are planted into
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    images: u32,
    /// Defects planted for each kind, size and contrast
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    placements: u32,
    /// Longest extents of the defects, pixels of the original image [default: 1/128 to 1/8 of the short side]
    #[arg(long, value_name = "PIXELS", value_delimiter = ',')]
    sizes: Vec<u32>,
    /// Contrasts, percent of the grey range of the image
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_values_t = [15.0, 30.0, 60.0])]
    contrasts: Vec<f64>,
    #[command(flatten)]
    scoring: ScoringArgs,
}

/// Plants, judges, and prints what was found.
///
/// # Errors
/// Wrong arguments, a bank that cannot be used, or a folder without an image that can.
pub fn run(args: &SelftestArgs) -> anyhow::Result<Exit> {
    if args.sizes.contains(&0) || !args.contrasts.iter().all(|contrast| (0.0..=100.0).contains(contrast)) {
        return Err(UsageError("--sizes: use 1 pixel or more; --contrasts: use 0 to 100 percent".to_owned()).into());
    }
    let paths = list_images(&args.ok).with_context(|| format!("{}: cannot list the folder", args.ok.display()))?;
    if paths.is_empty() {
        bail!("{}: no images (jpg, jpeg, png, bmp, tif, tiff) in this folder", args.ok.display());
    }
    let scorer = args.scoring.load(&args.bank_dir)?;
    let plan = SelfTestPlan {
        sizes: args.sizes.clone(),
        contrasts: args.contrasts.clone(),
        placements: args.placements,
        images: args.images as usize,
        seed: args.seed,
        ..SelfTestPlan::default()
    };
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} {eta}") {
        bar.set_style(style.clone());
    }
    let judge = |picture: &_| Ok(Judged::from(scorer.judge(picture)?));
    let report = self_test(&judge, &paths, &|path| scorer.picture(path), &plan, &mut |step| {
        bar.set_length(step.total);
        bar.set_position(step.done);
    })?;
    bar.finish_and_clear();
    for left_out in &report.left_out {
        complain(&format!("warning: {left_out}"));
    }
    if let Some(path) = &args.out {
        let grid = grid(&report);
        write_rgb(path, grid.width(), grid.height(), &grid)?;
    }
    say(&if args.json { format!("{}\n", serde_json::to_string(&report)?) } else { report.text() })?;
    Ok(Exit::SUCCESS)
}
