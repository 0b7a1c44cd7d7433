//! The configuration as the rest of the program sees it: checked, defaults filled in, durations and patterns parsed.
//!
//! [`Config::load`] goes in passes: YAML → `raw` (serde shapes, unknown keys refused) → `check` (every problem at once, each
//! with its key path and remedy) → [`Config`].

mod check;
mod duration;
mod raw;

pub use check::{ConfigProblem, ConfigProblems};

use crate::inspection::{Backbone, BuildOptions, DecideBy, DeviceChoice, PrecisionChoice, Readiness};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `database:` the SQLite history.
    pub database: PathBuf,
    /// `engine:`
    pub engine: EngineConfig,
    /// `intake:`
    pub intake: IntakeConfig,
    /// `products:` in file order; never empty.
    pub products: Vec<ProductConfig>,
}

/// `engine:`
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Where the network runs.
    pub device: DeviceChoice,
    /// Number format of the network.
    pub precision: PrecisionChoice,
    /// Threads of the engine; 0 = all cores.
    pub threads: usize,
    /// Banks held in memory; at least 1.
    pub bank_cache: usize,
    /// State-dict file per backbone; others are searched for.
    pub weights: BTreeMap<Backbone, PathBuf>,
}

/// `intake:`
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeConfig {
    /// Time between two full scans of a drop folder.
    pub rescan: Duration,
    /// How long a file may stay incomplete, from its last change.
    pub give_up_after: Duration,
    /// Largest image accepted, in 10^6 pixels.
    pub max_megapixels: u32,
}

/// One entry of `products:`, with `defaults:` merged in.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductConfig {
    /// Unique, `[A-Za-z0-9._-]`.
    pub name: String,
    /// One or more folders that this product's images arrive in.
    pub drop: Vec<DropConfig>,
    /// Folder of OK images that the bank is built from.
    pub ok: PathBuf,
    /// Bank folder: versions and links.
    pub bank: PathBuf,
    /// Golden image for the side-by-side.
    pub reference: Option<PathBuf>,
    /// How the bank is built.
    pub build: BuildOptions,
    /// True for `build: {preset: guide}`; the bank is then built in float32.
    pub guide: bool,
    /// Fewest OK images a bank is built from.
    pub min_images: usize,
    /// When the bank is rebuilt.
    pub rebuild: RebuildConfig,
    /// What images must look like; `None` fields accept all.
    pub input: InputConfig,
    /// Clean-up of the mask.
    pub mask: MaskConfig,
    /// What makes a part `ng`.
    pub decide_by: DecideBy,
    /// Files written for each image.
    pub outputs: OutputsConfig,
}

/// One entry of `drop:`
#[derive(Debug, Clone, PartialEq)]
pub struct DropConfig {
    /// The folder, absolute.
    pub path: PathBuf,
    /// Which file names are this product's.
    pub pattern: NamePattern,
    /// Whether sub-folders count.
    pub recursive: bool,
    /// How completeness is told.
    pub ready: Readiness,
}

/// `match:` or `regex:` on the file name (not the path).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// A glob, case-insensitive, with `{a,b}` and `[..]`.
    Glob(String),
    /// A regular expression (crate `regex`), case-sensitive, searched anywhere in the name unless anchored.
    Regex(String),
}

/// `rebuild:`
#[derive(Debug, Clone, PartialEq)]
pub struct RebuildConfig {
    /// A build starts when `ok/` has not changed for this long …
    pub quiet_period: Duration,
    /// … or this long after the first change.
    pub max_wait: Duration,
    /// Bank versions kept on disk, at least 1.
    pub keep_versions: usize,
}

/// `input:`; `None` accepts anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputConfig {
    /// Pixels per row.
    pub width: Option<u32>,
    /// Rows.
    pub height: Option<u32>,
    /// Channels of the file: 1, 3 or 4.
    pub channels: Option<u8>,
    /// Significant bits per sample, 8..=16.
    pub bit_depth: Option<u8>,
}

/// `mask:`, radii and area in pixels of the original image; 0 = off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskConfig {
    /// Radius of the opening: removes specks.
    pub open: u32,
    /// Radius of the closing: joins what is near.
    pub close: u32,
    /// Regions smaller than this are removed.
    pub min_area: u32,
}

/// `outputs:`
#[derive(Debug, Clone, PartialEq)]
pub struct OutputsConfig {
    /// `X.jpg.mask.png`
    pub mask: bool,
    /// `X.jpg.overlay.png`
    pub overlay: bool,
    /// `X.jpg.heat.png`
    pub heat: bool,
    /// `X.jpg.side_by_side.png`; needs `reference`.
    pub side_by_side: bool,
    /// `X.jpg.scores.json`
    pub scores: bool,
    /// Folder for the outputs; `None` = next to the image.
    pub dir: Option<PathBuf>,
}
