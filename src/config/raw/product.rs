//! `products:` and `defaults:`

use super::super::{build, product};
use super::{RawOnNg, RawReady, RawRetention, Span, Word, within};
use crate::inspection::{Backbone, BuildOptions, Calibration, CoresetMethod, DecideBy, Layer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// An entry of `products`, and `defaults` (in which the first four keys are refused later).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawProduct {
    /// Unique. It is the name in the database: do not rename lightly.
    #[schemars(required, regex(pattern = product::NAME))]
    pub name: Option<String>,
    /// The folders that the images of this product arrive in; at least one.
    #[schemars(required, length(min = 1))]
    pub drop: Option<Vec<RawDrop>>,
    /// The folder with images of good parts, at least `build.min_images` of them. Adding or removing images rebuilds the bank. It must not
    /// lie in a drop folder.
    #[schemars(required)]
    pub ok: Option<PathBuf>,
    /// The folder for the bank and its earlier versions; made when missing. Not shared with another product.
    #[schemars(required)]
    pub bank: Option<PathBuf>,
    /// Golden image for the side-by-side picture.
    pub reference: Option<PathBuf>,
    /// How the bank is built. A change leads to a new bank, built when `ok` has been still for `rebuild.quiet_period`; the one in use goes on
    /// until then.
    pub build: Option<RawBuild>,
    /// When the bank is rebuilt after a change in `ok`.
    pub rebuild: Option<RawRebuild>,
    /// What images must look like; anything else is recorded as failed instead of being judged.
    pub input: Option<RawInput>,
    /// Warnings about the camera, each an `events` row when it begins; the images are judged all the same.
    pub health: Option<RawHealth>,
    /// Clean-up of the mask. Numbers are pixels of the original image.
    pub mask: Option<RawMask>,
    /// What makes a part ng: the image score above its threshold (`image`); any pixel left in the mask (`mask`); or one of the two
    /// (`either`).
    pub decide_by: Option<Word<DecideBy>>,
    /// Files written for each image `X.jpg`.
    pub outputs: Option<RawOutputs>,
    /// How long files are kept, and what may go when a disk is short of space. Only files that the history knows are deleted; its rows are
    /// kept for ever.
    pub retention: Option<RawRetention>,
    /// What is done about a defect: a command, started once for each ng image when its row is in the database. No image waits for it.
    pub on_ng: Option<RawOnNg>,
}

/// An entry of `drop:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
#[schemars(extend("not" = {"properties": {"match": {"type": "string"}, "regex": {"type": "string"}}, "required": ["match", "regex"]}))]
pub(in crate::config) struct RawDrop {
    /// The folder.
    #[schemars(required)]
    pub path: Option<PathBuf>,
    /// Which file names are this product's, without their folders: a pattern in which `*` is any text, `?` one byte, `{a,b}` one or the
    /// other, `[0-9]` one of a range; upper and lower case count as the same. Products may share a folder when no file name can fit two
    /// of them.
    #[serde(rename = "match")]
    #[schemars(regex(pattern = "^[^/]*$"))]
    pub glob: Option<String>,
    /// In place of `match`: a regular expression, found anywhere in the file name unless it has `^` and `$`; upper and lower case differ.
    pub regex: Option<String>,
    /// Whether sub-folders count (those made later, too). Names that begin with a dot are never looked at, nor are the system's own folders
    /// on shares and disks, as `@eaDir`, `#recycle` or `$RECYCLE.BIN` (docs/operating.md lists them).
    pub recursive: Option<bool>,
    /// What is left out below the folder: patterns as in `match`. One without a `/` is compared with the name of each sub-folder and file,
    /// one with a `/` with the path from the drop folder on, in which `**` stands for any number of folders. A folder that fits is left out
    /// with everything in it, and is not watched.
    #[schemars(inner(length(min = 1)))]
    pub exclude: Option<Vec<String>>,
    /// How the daemon knows that a file is complete. `close_write`: the camera software has closed it (local writers, Samba, most FTP
    /// servers). `rename`: it appears under its final name only when complete (rsync, careful software). `{quiet: 500ms}`: it has not
    /// changed for this long (network mounts, unknown writers). `{marker: .done}`: a second file stands beside it.
    pub ready: Option<RawReady>,
}

/// `build:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawBuild {
    /// `guide` is exactly the method of the Python scripts build_bank.py and infer.py: coreset_method kmeans, calibration in_sample,
    /// neighbourhood 1, smoothing 0, float32.
    #[schemars(extend("enum" = [build::GUIDE, null]))]
    pub preset: Option<String>,
    /// The network. Larger sees finer differences, smaller is faster; `efficientnet_lite0` is the choice for a PC without a GPU.
    pub backbone: Option<Word<Backbone>>,
    /// Short side that images are resized to, in pixels. Larger finds smaller defects; the time grows with its square.
    #[schemars(range(min = BuildOptions::SHORTER.0, max = BuildOptions::SHORTER.1))]
    pub shorter: Option<u32>,
    /// Every stride-th row and column of patches is kept. 1 finds the smallest defects at four times the work of 2.
    #[schemars(range(min = BuildOptions::STRIDE.0, max = BuildOptions::STRIDE.1))]
    pub stride: Option<u32>,
    /// Feature layers, the first sets the grid of patches: `layer1` (every 4 pixels), `layer2` (8), `layer3` (16), `layer4` (32). Early
    /// layers see texture and scratches, late ones shape and missing parts. At least one, none twice.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub layers: Option<Vec<Word<Layer>>>,
    /// Share of the patches that the bank keeps; 0 keeps all. Smaller is faster and forgets rare good looks.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub coreset: Option<f64>,
    /// How they are chosen. `greedy` covers rare good looks best; `kmeans` is what the Python scripts do; `random` is a seeded draw.
    pub coreset_method: Option<Word<CoresetMethod>>,
    /// Most patches held in memory while building. 100,000 patches of ResNet50 take about 1.4 GB.
    #[schemars(range(min = 1))]
    pub reservoir_max: Option<u32>,
    /// Share of good patches that lie at or below the pixel threshold. Higher marks less in good parts and lets weaker defects pass.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub pixel_pct: Option<f64>,
    /// Share of good images that lie at or below the image threshold. Higher rejects fewer good parts and lets weaker defects pass.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub image_pct: Option<f64>,
    /// What good images are measured against for the thresholds. `held_out`: the bank without the image itself, so that the thresholds
    /// hold for good parts not seen before. `in_sample`: the bank they are in, as the Python scripts do; it rejects far more good parts.
    pub calibration: Option<Word<Calibration>>,
    /// Feature maps are averaged over K x K places, K odd; 1 = off. Steadies the score against slight shifts.
    #[schemars(extend("enum" = values(&BuildOptions::NEIGHBOURHOODS)))]
    pub neighbourhood: Option<u32>,
    /// Patch distances are averaged over S x S places, S odd; 0 = off. Quietens single stray patches and small defects alike.
    #[schemars(extend("enum" = values(&BuildOptions::SMOOTHINGS)))]
    pub smoothing: Option<u32>,
    /// Seed of every random choice. The same seed and images give the same bank.
    pub seed: Option<u64>,
    /// Fewest images in `ok` that a bank is built from; at least 2 with calibration `held_out`. Guards against a bank from a folder that
    /// is just being filled.
    #[schemars(range(min = 1))]
    pub min_images: Option<u32>,
}

/// `rebuild:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawRebuild {
    /// `ok` must have been still for this long, so that a copy in progress becomes one build.
    #[schemars(transform = within(product::REBUILD))]
    pub quiet_period: Option<Span>,
    /// The build waits no longer than this from the first change; at least `quiet_period`.
    #[schemars(transform = within(product::REBUILD))]
    pub max_wait: Option<Span>,
    /// Bank versions kept on disk for `patchcored rollback`.
    #[schemars(range(min = product::KEEP_VERSIONS.0, max = product::KEEP_VERSIONS.1))]
    pub keep_versions: Option<u32>,
}

/// `input:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawInput {
    /// Pixels per row. Without it every width is accepted.
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
    /// Rows of pixels. Without it every height is accepted.
    #[schemars(range(min = 1))]
    pub height: Option<u32>,
    /// Channels in the file: 1 (gray), 3 (RGB) or 4 (RGBA). Without it all are accepted.
    #[schemars(extend("enum" = values(&product::CHANNELS)))]
    pub channels: Option<u8>,
    /// Significant bits per sample. Needed for 10, 12 or 14-bit cameras that write 16-bit files: without it such images would come out
    /// almost black.
    #[schemars(range(min = product::BIT_DEPTH.0, max = product::BIT_DEPTH.1))]
    pub bit_depth: Option<u8>,
}

/// `health:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawHealth {
    /// An image is black (lamp off, cap on the lens) when its mean brightness is below this percentage of full scale. Set it well below
    /// your darkest part. Without it nobody is warned.
    #[schemars(range(min = product::BLACK.0, max = product::BLACK.1))]
    pub black: Option<u32>,
    /// An image is overexposed when at least this percentage of it is at full scale. Bright metal has some; set it well above that.
    /// Without it nobody is warned.
    #[schemars(range(min = product::SATURATED.0, max = product::SATURATED.1))]
    pub saturated: Option<u32>,
    /// The camera is frozen when the very same picture came this many times in a row. A working camera never repeats one, because of its
    /// noise; each drop folder counts for itself. Without it nobody is warned.
    #[schemars(range(min = product::FROZEN.0, max = product::FROZEN.1))]
    pub frozen: Option<u32>,
}

/// `mask:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawMask {
    /// Radius of the opening, in pixels; 0 = off. Removes specks and thin lines.
    #[schemars(range(min = product::RADIUS.0, max = product::RADIUS.1))]
    pub open: Option<u32>,
    /// Radius of the closing, in pixels; 0 = off. Joins what lies close together.
    #[schemars(range(min = product::RADIUS.0, max = product::RADIUS.1))]
    pub close: Option<u32>,
    /// Regions with fewer pixels are removed; 0 = off.
    pub min_area: Option<u32>,
}

/// `outputs:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawOutputs {
    /// `X.jpg.mask.png`, white where the defect is.
    pub mask: Option<bool>,
    /// `X.jpg.overlay.png`, the image with the mask in red.
    pub overlay: Option<bool>,
    /// `X.jpg.heat.png`, the distances as gray values.
    pub heat: Option<bool>,
    /// `X.jpg.side_by_side.png`: reference, image, mask and overlay in one picture. Needs `reference`.
    pub side_by_side: Option<bool>,
    /// `X.jpg.scores.json`, scores and thresholds.
    pub scores: Option<bool>,
    /// Folder for these files; without it they are written next to the image. Set it when the camera's folder is read-only or cleared. The
    /// whole path of each image is kept below it.
    pub dir: Option<PathBuf>,
}

/// These numbers, or nothing.
fn values<T: Copy + Into<u64>>(numbers: &[T]) -> Vec<Value> {
    numbers.iter().map(|number| Value::from((*number).into())).chain([Value::Null]).collect()
}
