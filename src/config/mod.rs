//! The configuration as the rest of the program sees it: checked, defaults filled in, durations and patterns parsed.
//!
//! [`Config::load`] goes in passes: YAML → `raw` (serde shapes, unknown keys refused) → `check` (every problem at once, each
//! with its key path and remedy) → [`Config`]. What only this machine can tell (missing folders, permissions, limits) is not looked
//! at here.

mod bounds;
mod build;
mod check;
mod diff;
mod drops;
mod duration;
mod engine;
mod metrics;
mod mqtt;
mod on_ng;
mod paths;
mod places;
mod product;
mod profiles;
mod raw;
mod retention;
mod schema;
mod wording;
mod yaml;

pub use check::{ConfigProblem, ConfigProblems};
pub use diff::{Change, describe};
pub use duration::parse_duration;
pub use on_ng::LONGEST_COMMAND;
pub use profiles::Profiles;
pub use retention::{MinFree, RetentionConfig};
pub use schema::schema;

use crate::error::FatalError;
use crate::inspection::{Backbone, BuildOptions, DecideBy, DeviceChoice, PrecisionChoice, Publish, Readiness};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
    /// `metrics:` where monitoring asks; `None` = nowhere.
    pub metrics: Option<MetricsAddress>,
    /// `mqtt:`; `None` = nothing is published.
    pub mqtt: Option<MqttConfig>,
    /// `products:` in file order; never empty.
    pub products: Vec<ProductConfig>,
    /// `profiles:`
    pub profiles: Profiles,
    /// The profile in use, one of `profiles`; `None` only without any. As loaded it is the one for the first start.
    pub profile: Option<String>,
    /// The file with `defaults` in each product, for comparing.
    document: serde_json::Value,
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

/// `metrics:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A port of this machine that other machines do not reach.
    Listen(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
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
    /// Warnings about the camera; `None` fields do not warn.
    pub health: HealthConfig,
    /// Clean-up of the mask.
    pub mask: MaskConfig,
    /// What makes a part `ng`.
    pub decide_by: DecideBy,
    /// Files written for each image.
    pub outputs: OutputsConfig,
    /// How long files are kept.
    pub retention: RetentionConfig,
    /// What is done about a defect; `None` = nothing.
    pub on_ng: Option<OnNgConfig>,
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
    /// Globs of what is left out below the folder.
    pub exclude: Vec<String>,
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

/// `health:`; images are judged all the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthConfig {
    /// An image with a mean below this percentage of full scale is black.
    pub black: Option<u32>,
    /// An image with at least this percentage of its samples at full scale is overexposed.
    pub saturated: Option<u32>,
    /// The same picture this many times in a row means that the camera is frozen.
    pub frozen: Option<u32>,
}

impl HealthConfig {
    /// True when any warning is wanted.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }
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

/// `on_ng:`
#[derive(Debug, Clone, PartialEq)]
pub struct OnNgConfig {
    /// The program, absolute, and its arguments; never empty.
    pub command: Vec<String>,
    /// A command that takes longer is killed.
    pub timeout: Duration,
    /// Commands of this product that may run at the same time, at least 1.
    pub concurrent: usize,
    /// Not run for an image that came longer ago.
    pub max_age: Duration,
}

/// `mqtt:`
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    /// Name or address of the broker; an IPv6 address is in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Certificates to check the broker's against; `None` = those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name of this client; `None` = made from the name of the machine.
    pub client_id: Option<String>,
    /// The user name, if one is needed.
    pub username: Option<String>,
    /// The file with the password, if one is needed.
    pub password_file: Option<PathBuf>,
    /// The topic, with `{product}` and `{decision}` to be filled in.
    pub topic: String,
    /// Which decisions are published.
    pub publish: Publish,
    /// Messages kept while the broker is away.
    pub keep: u64,
}

impl MqttConfig {
    /// The broker as in the configuration: `mqtt://HOST:PORT`.
    pub fn broker(&self) -> String {
        format!("{}://{}:{}", if self.tls { "mqtts" } else { "mqtt" }, self.host, self.port)
    }
}

impl Config {
    /// Reads and checks the file. Relative paths in it are resolved against the folder it lies in.
    ///
    /// The error is [`FatalError::Config`]: a first line with the file and the number of problems, then one line per problem.
    pub fn load(path: &Path) -> Result<Self, FatalError> {
        let shown = path.display();
        let bytes = bounds::read(path).map_err(|e| {
            FatalError::Config(format!(
                "cannot read the configuration {shown}: {e}; name the file with --config (config.yaml.example shows one)"
            ))
        })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            FatalError::Config(format!("the configuration {shown} is not UTF-8 text (at byte {at}); save it as UTF-8"))
        })?;
        let whole = std::path::absolute(path).map_err(|e| FatalError::Config(format!("cannot resolve the path {shown}: {e}")))?;
        Self::parse_in(&text, whole.parent()).map_err(|problems| {
            let count = problems.0.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            FatalError::Config(format!("the configuration {shown} has {count} {noun}:\n{problems}"))
        })
    }

    /// Reads and checks a text. Relative paths are refused, as there is no file to start from.
    pub fn parse(text: &str) -> Result<Self, ConfigProblems> {
        Self::parse_in(text, None)
    }

    /// The keys and values of the file, with what `defaults` sets in each product.
    pub fn document(&self) -> &serde_json::Value {
        &self.document
    }

    /// The database that a file names which cannot be used otherwise.
    pub fn database_of(path: &Path) -> Option<PathBuf> {
        let text = String::from_utf8(bounds::read(path).ok()?).ok()?;
        let named = match yaml::read(&text) {
            Ok(read) => read.raw.database,
            Err(_) => text.lines().find_map(|line| line.strip_prefix("database:")).map(|value| value.trim().into()),
        };
        Some(std::path::absolute(path).ok()?.parent()?.join(named?))
    }

    /// What is wrong with how the folders lie to each other, by their names; empty for a configuration as loaded. For one whose paths
    /// have been replaced by those behind symbolic links.
    pub fn place_problems(&self) -> Vec<ConfigProblem> {
        check::place_problems(&self.products)
    }

    /// Reads and checks a text, with relative paths resolved against `folder`; without one they are refused.
    pub fn parse_in(text: &str, folder: Option<&Path>) -> Result<Self, ConfigProblems> {
        let read = yaml::read(text).map_err(|problem| ConfigProblems(vec![problem]))?;
        check::check(read, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::{Calibration, CoresetMethod, FileKind, Layer};

    const SMALL: &str = "
database: /h.db
products:
- name: a
  drop: [{path: /drop}]
  ok: /a/ok
  bank: /a
";

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let config = Config::parse(SMALL).unwrap();
        let engine = EngineConfig {
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            threads: 0,
            bank_cache: 3,
            weights: BTreeMap::new(),
        };
        assert_eq!(config.engine, engine);
        let seconds = Duration::from_secs;
        assert_eq!(config.intake, IntakeConfig { rescan: seconds(30), give_up_after: seconds(10), max_megapixels: 64 });
        assert_eq!(config.metrics, None);
        let product = &config.products[0];
        assert_eq!(product.build, BuildOptions::default());
        assert_eq!((product.guide, product.min_images, product.decide_by), (false, 10, DecideBy::Image));
        assert_eq!(product.rebuild, RebuildConfig { quiet_period: seconds(30), max_wait: seconds(600), keep_versions: 5 });
        assert_eq!(product.mask, MaskConfig { open: 0, close: 0, min_area: 0 });
        assert_eq!(product.input, InputConfig::default());
        assert!(!product.health.is_on());
        assert_eq!((&product.on_ng, &config.mqtt), (&None, &None));
        let outputs = OutputsConfig { mask: true, overlay: true, heat: false, side_by_side: false, scores: false, dir: None };
        assert_eq!(product.outputs, outputs);
        let retention =
            RetentionConfig { ages: BTreeMap::new(), min_free: None, when_full: vec![FileKind::OkOutputs], keep_at_least: seconds(3600) };
        assert!(!retention.is_on());
        assert_eq!(product.retention, retention);
        let pattern = NamePattern::Glob("*.{jpg,jpeg,png,bmp,tif,tiff}".into());
        assert_eq!(
            product.drop,
            [DropConfig { path: "/drop".into(), pattern, recursive: true, exclude: Vec::new(), ready: Readiness::CloseWrite }]
        );
    }

    /// Keys for which the example shows another value than the default say so in their comment.
    #[test]
    fn the_example_states_the_defaults() {
        let mut example = Config::parse(include_str!("../../config.yaml.example")).unwrap();
        let plain = Config::parse(SMALL).unwrap();
        assert_eq!(
            (&example.engine, &example.intake, &example.metrics, &example.mqtt),
            (&plain.engine, &plain.intake, &plain.metrics, &None)
        );
        let ProductConfig { name, drop, ok, bank, reference, .. } = plain.products[0].clone();
        let first = example.products.remove(0);
        assert_eq!(
            (&first.drop[0].pattern, first.drop[0].recursive, &first.drop[0].ready),
            (&drop[0].pattern, drop[0].recursive, &drop[0].ready)
        );
        assert_eq!(ProductConfig { name, drop, ok, bank, reference, ..first }, plain.products[0]);
    }

    #[test]
    fn the_preset_guide_is_the_method_of_the_scripts() {
        let config =
            Config::parse(&format!("{SMALL}  build: {{preset: guide, shorter: 256, neighbourhood: 1, layers: [layer3]}}\n")).unwrap();
        let product = &config.products[0];
        assert!(product.guide);
        let expected = BuildOptions {
            shorter: 256,
            layers: vec![Layer::Layer3],
            coreset_method: CoresetMethod::Kmeans,
            calibration: Calibration::InSample,
            neighbourhood: 1,
            smoothing: 0,
            ..BuildOptions::default()
        };
        assert_eq!(product.build, expected);
    }

    #[test]
    fn every_way_to_write_ready() {
        for (text, ready) in [
            ("close_write", Readiness::CloseWrite),
            ("rename", Readiness::Rename),
            ("{quiet: 500ms}", Readiness::Quiet(Duration::from_millis(500))),
            ("'quiet: 2s'", Readiness::Quiet(Duration::from_secs(2))),
            ("{marker: .done}", Readiness::Marker(".done".into())),
            ("'marker: .done'", Readiness::Marker(".done".into())),
            ("null", Readiness::CloseWrite),
        ] {
            let config = Config::parse(&SMALL.replace("{path: /drop}", &format!("{{path: /drop, ready: {text}}}")));
            assert_eq!(config.unwrap().products[0].drop[0].ready, ready, "{text}");
        }
    }

    #[test]
    fn defaults_reach_every_product_and_their_problems_name_them() {
        let text = format!("{SMALL}- {{name: b, drop: [{{path: /b}}], ok: /b_ok, bank: /b_bank, build: {{stride: 4}}}}\n");
        let config = Config::parse(&format!("{text}defaults: {{build: {{stride: 1, seed: 5}}, mask: {{open: 2}}}}\n")).unwrap();
        let seen: Vec<_> = config.products.iter().map(|p| (p.build.stride, p.build.seed, p.mask.open)).collect();
        assert_eq!(seen, [(1, 5, 2), (4, 5, 2)]);
        let problems = Config::parse(&format!("{text}defaults: {{build: {{shorter: 10}}}}\n")).unwrap_err();
        assert_eq!(problems.to_string(), "  defaults.build.shorter: 10 is out of range; use 32 to 8192 pixels");
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.yaml");
        std::fs::write(&file, SMALL.replace("/h.db", "h.db").replace("/a/ok", "./sub/../a/ok")).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.database, folder.path().join("h.db"));
        assert_eq!(config.products[0].ok, folder.path().join("a/ok"));
        let problems = Config::parse(&SMALL.replace("/h.db", "h.db")).unwrap_err();
        assert!(problems.to_string().starts_with("  database: is relative"), "{problems}");
    }

    #[test]
    fn files_from_windows_are_read() {
        assert!(Config::parse(&format!("\u{feff}{}", SMALL.trim_start().replace('\n', "\r\n"))).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.yaml");
        let error = Config::load(&missing).unwrap_err();
        assert!(error.to_string().contains("missing.yaml") && error.exit_code() == 78, "{error}");
        std::fs::write(&missing, b"a: \xff").unwrap();
        assert!(Config::load(&missing).unwrap_err().to_string().contains("is not UTF-8 text (at byte 3)"));
    }
}
