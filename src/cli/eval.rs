//! `patchcored eval`: how well a bank tells good from bad.

use super::exit::Exit;
use super::infer::ScoringArgs;
use super::output::{complain, say};
use crate::banks::list_images;
use crate::domain::{AnomalyMap, IMAGE_EXTENSIONS, Picture};
use crate::evaluation::{MaskOverlap, Truth, aupro, auroc, pixel_auroc, recall_at, rejected};
use crate::inspect::{self, BankScorer, Expectation};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// False-positive rate up to which AUPRO is taken, by custom.
const AUPRO_LIMIT: f64 = 0.3;
/// Maps are compared with the truth at most this large; finer than the patches by far, and bounded in memory.
const TRUTH_SIDE: u32 = 256;

/// Arguments of `eval`.
#[derive(clap::Args)]
pub struct EvalArgs {
    /// Folder with memory_bank.pt, bank_config.json and tau.json
    #[arg(long, value_name = "DIR", alias = "bank_dir")]
    bank_dir: PathBuf,
    /// Folder of good parts that are not in the bank
    #[arg(long, value_name = "DIR")]
    ok: PathBuf,
    /// Folder of bad parts
    #[arg(long, value_name = "DIR")]
    ng: PathBuf,
    /// Folder of ground-truth masks for the bad parts: same name, or same stem with another extension or `_mask`; not black = defect
    #[arg(long, value_name = "DIR")]
    masks: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    scoring: ScoringArgs,
}

/// Scores of a folder, and its maps where the truth is known.
#[derive(Default)]
struct Scores {
    paths: Vec<PathBuf>,
    images: Vec<f32>,
    maps: Vec<(AnomalyMap, Option<Vec<u8>>)>,
    /// Of the masks that the line would write with the drawn ones.
    overlap: MaskOverlap,
    /// Images and masks that could not be used.
    left_out: Vec<LeftOut>,
}

/// A file that is in no measure.
struct LeftOut {
    path: PathBuf,
    reason: String,
}

impl Scores {
    /// One object per image: its file, what it is, its score.
    fn each(&self, truth: &str) -> impl Iterator<Item = Value> {
        self.paths.iter().zip(&self.images).map(move |(path, score)| json!({"image": path, "truth": truth, "image_score": score}))
    }
}

/// Scores both folders and prints the measures.
///
/// # Errors
/// A bank that cannot be used, or a folder without an image or mask that can. Single images and masks that cannot be used are left
/// out and named, and the exit code is 1: the measures are then of the rest.
pub fn run(args: &EvalArgs) -> anyhow::Result<Exit> {
    let scorer = args.scoring.load(&args.bank_dir)?;
    let ok = score_folder(&scorer, &args.ok, None, args.masks.is_some())?;
    let ng = score_folder(&scorer, &args.ng, args.masks.as_deref(), args.masks.is_some())?;

    let tau = scorer.tau();
    let maps: Vec<Truth> = [&ok, &ng]
        .into_iter()
        .flat_map(|scores| &scores.maps)
        .map(|(map, mask)| Truth { map: &map.values, mask: mask.as_deref(), width: map.width as usize })
        .collect();
    let left_out: Vec<&LeftOut> = ok.left_out.iter().chain(&ng.left_out).collect();
    let images: Vec<Value> = ok.each("ok").chain(ng.each("ng")).collect();
    let measures = json!({
        "ok_images": ok.images.len(),
        "ng_images": ng.images.len(),
        "image_auroc": auroc(ok.images.iter().copied(), ng.images.iter().copied()),
        "pixel_auroc": pixel_auroc(&maps),
        "aupro": aupro(&maps, AUPRO_LIMIT),
        "false_alarm_rate": rejected(&ok.images, tau.image),
        "recall": rejected(&ng.images, tau.image),
        "recall_at_5_percent_false_alarms": recall_at(0.05, &ok.images, &ng.images),
        "mask_iou": ng.overlap.iou(),
        "image_tau": tau.image,
        "pixel_tau": tau.pixel,
        "images": images,
        "masks": maps.iter().filter(|truth| truth.mask.is_some()).count(),
        "left_out": left_out.iter().map(|file| json!({"file": file.path, "reason": file.reason})).collect::<Vec<_>>(),
    });
    say(&if args.json { format!("{measures}\n") } else { table(&measures) })?;
    if left_out.is_empty() {
        return Ok(Exit::SUCCESS);
    }
    complain(&format!("{} files could not be used; the measures are of the others", left_out.len()));
    Ok(Exit::FAILURE)
}

fn table(measures: &Value) -> String {
    let number = |key: &str| measures[key].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let lines = [
        ("good parts", measures["ok_images"].to_string()),
        ("bad parts", measures["ng_images"].to_string()),
        ("files left out", measures["left_out"].as_array().map_or(0, Vec::len).to_string()),
        ("image AUROC", number("image_auroc")),
        ("pixel AUROC", number("pixel_auroc")),
        ("AUPRO (FPR <= 0.3)", number("aupro")),
        ("false alarms at tau", number("false_alarm_rate")),
        ("recall at tau", number("recall")),
        ("recall at 5 % FA", number("recall_at_5_percent_false_alarms")),
        ("mask IoU", number("mask_iou")),
        ("image_tau", number("image_tau")),
    ];
    lines.map(|(name, value)| format!("{name:<20} {value:>10}\n")).concat()
}

fn score_folder(scorer: &BankScorer, folder: &Path, masks: Option<&Path>, keep_maps: bool) -> anyhow::Result<Scores> {
    let paths = list_images(folder).with_context(|| format!("{}: cannot list the folder", folder.display()))?;
    if paths.is_empty() {
        bail!("{}: no images (jpg, jpeg, png, bmp, tif, tiff) in this folder", folder.display());
    }
    let mut scores = Scores::default();
    let expect = &scorer.plan().expect;
    scorer.inspect_all(&paths, |path, judged| {
        let (picture, verdict) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                scores.leave_out(path, super::errors::shown(&error));
                return Ok(());
            }
        };
        scores.paths.push(path.to_owned());
        scores.images.push(verdict.image_score);
        // Pixels of a bad part without a mask are neither good nor bad for certain.
        match masks.map(|folder| mask_of(path, folder)) {
            None if keep_maps => scores.maps.push(shrink(verdict.map, None)),
            Some(Some(mask)) => match read_mask(&mask, &picture, expect) {
                Ok(defect) => {
                    scores.overlap.add(&verdict.mask.pixels, &defect);
                    scores.maps.push(shrink(verdict.map, Some(defect)));
                }
                Err(error) => {
                    let error = error.context(format!("mask of {}", path.display()));
                    scores.leave_out(&mask, super::errors::shown(&error));
                }
            },
            None | Some(None) => {}
        }
        Ok(())
    })?;
    if scores.paths.is_empty() {
        bail!("{}: none of its {} images can be used", folder.display(), paths.len());
    }
    if let Some(masks) = masks
        && scores.maps.is_empty()
    {
        let is_left_out = scores.left_out.iter().any(|file| file.path.starts_with(masks));
        let why = if is_left_out { "can be used".to_owned() } else { format!("has the name of an image in {}", folder.display()) };
        bail!("{}: no mask {why}", masks.display());
    }
    Ok(scores)
}

impl Scores {
    fn leave_out(&mut self, path: &Path, reason: String) {
        complain(&reason);
        self.left_out.push(LeftOut { path: path.to_owned(), reason });
    }
}

/// `part.png`, `part.bmp` … or `part_mask.png` … for `part.jpg`.
fn mask_of(image: &Path, masks: &Path) -> Option<PathBuf> {
    let stem = image.file_stem()?.to_str()?;
    let names = ["", "_mask"].into_iter().flat_map(|tail| IMAGE_EXTENSIONS.map(|extension| format!("{stem}{tail}.{extension}")));
    names.map(|name| masks.join(name)).find(|path| path.exists())
}

/// 0 or 1 per pixel of the image.
fn read_mask(path: &Path, picture: &Picture, expect: &Expectation) -> anyhow::Result<Vec<u8>> {
    let mask = inspect::read_mask(path, expect)?;
    ensure!(
        (mask.width, mask.height) == (picture.width, picture.height),
        "{} is {}×{}, its image {}×{}; masks have the size of their image",
        path.display(),
        mask.width,
        mask.height,
        picture.width,
        picture.height
    );
    Ok(mask.defect)
}

/// Map and mask sampled at the same places, at most [`TRUTH_SIDE`] each way.
fn shrink(map: AnomalyMap, mask: Option<Vec<u8>>) -> (AnomalyMap, Option<Vec<u8>>) {
    let (width, height) = (map.width.min(TRUTH_SIDE), map.height.min(TRUTH_SIDE));
    if (width, height) == (map.width, map.height) {
        return (map, mask);
    }
    let at = |i: u32, from: u32, to: u32| (u64::from(2 * i + 1) * u64::from(from) / u64::from(2 * to)) as usize;
    let places: Vec<usize> = (0..height)
        .flat_map(|y| (0..width).map(move |x| at(y, map.height, height) * map.width as usize + at(x, map.width, width)))
        .collect();
    let values = places.iter().map(|&place| map.values[place]).collect();
    let mask = mask.map(|mask| places.iter().map(|&place| mask[place]).collect());
    (AnomalyMap { width, height, values }, mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_and_mask_are_sampled_at_the_same_places() {
        let (width, height) = (1000, 300);
        let values: Vec<f32> = (0..width * height).map(|i| i as f32).collect();
        let mask = values.iter().map(|v| (*v as u32 % 2) as u8).collect();
        let (map, mask) = shrink(AnomalyMap { width, height, values }, Some(mask));
        assert_eq!((map.width, map.height, map.values.len()), (256, 256, 256 * 256));
        assert!(map.values.iter().zip(mask.unwrap()).all(|(v, m)| *v as u32 % 2 == u32::from(m)));
        assert_eq!(map.values[0], 1.0);
    }
}
