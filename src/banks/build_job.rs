//! The orders for the build process and its reports, as data that travels there and back.

use super::int8_cost::Int8Cost;
use crate::config::{Config, EngineConfig, InputConfig, ProductConfig};
use crate::domain::{Backbone, BuildOptions, DeviceChoice, FalseAlarms, Precision, PrecisionChoice, RecentImage, Tau};
use crate::inspect::{Expectation, VerdictRules};
use crate::patchcore::{ActivationRanges, BankConfig, BuildSummary, EngineError, FeatureExtractor, ImageSource, find_weights, set_threads};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A bank to build. The daemon hands it to the build process as one JSON object on stdin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildJob {
    /// Folder of the OK images.
    pub ok_dir: PathBuf,
    /// Folder for the three files of the bank; the build makes a missing one.
    pub out_dir: PathBuf,
    /// How the bank is built.
    pub options: BuildOptions,
    /// The network, and what images it takes.
    pub engine: EngineJob,
}

/// A finished bank that is to judge recent images, before it is used. The daemon hands it over like a [`BuildJob`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompareJob {
    /// The folder of the bank.
    pub bank_dir: PathBuf,
    /// The images, in the order in which they are judged.
    pub recent: Vec<RecentImage>,
    /// How the product judges its images.
    pub rules: VerdictRules,
    /// After so many seconds the images judged until then are enough.
    pub seconds: u64,
    /// The network, and what images it takes.
    pub engine: EngineJob,
}

/// A bank that was just built and is to find planted defects. The daemon hands it over like a [`BuildJob`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SelfTestJob {
    /// The folder of the bank.
    pub bank_dir: PathBuf,
    /// Folder of the OK images that defects are planted into.
    pub ok_dir: PathBuf,
    /// How the product judges its images.
    pub rules: VerdictRules,
    /// The network, and what images it takes.
    pub engine: EngineJob,
}

/// How far a build is. The build process writes it as a line to stdout, now and then.
#[derive(Debug, Serialize, Deserialize)]
pub struct BuildPercent {
    /// Roughly how much is done, 0 to 100.
    pub percent: u8,
}

/// What the daemon hands to the build process on stdin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundJob {
    /// Build a bank.
    Build(BuildJob),
    /// Judge recent images with it.
    Compare(CompareJob),
    /// Find planted defects with it.
    SelfTest(SelfTestJob),
}

/// The network of a job, and what images it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineJob {
    /// State dict of the network; `None`: the build searches the usual places.
    pub weights: Option<PathBuf>,
    /// Where the network runs.
    pub device: DeviceChoice,
    /// Number format of the network.
    pub precision: PrecisionChoice,
    /// Threads of the engine; 0 = all cores.
    pub threads: usize,
    /// Significant bits per sample of 16-bit images.
    pub bit_depth: Option<u8>,
    /// Largest image accepted, in millions of pixels.
    pub max_megapixels: u32,
}

impl EngineJob {
    /// The network for a bank of this product, as the configuration has it.
    pub fn of_product(config: &Config, product: &ProductConfig) -> Self {
        let EngineConfig { device, precision, threads, .. } = config.engine;
        let guide = product.guide && precision == PrecisionChoice::Auto;
        Self {
            weights: config.engine.weights.get(&product.build.backbone).cloned(),
            device,
            precision: if guide { PrecisionChoice::Fixed(Precision::Float32) } else { precision },
            threads,
            bit_depth: product.input.bit_depth,
            max_megapixels: config.intake.max_megapixels,
        }
    }

    /// Loads the network.
    ///
    /// # Errors
    /// Missing or unfit weights, missing device.
    pub fn load(
        &self,
        backbone: Backbone,
        precision: PrecisionChoice,
        ranges: Option<&ActivationRanges>,
    ) -> Result<FeatureExtractor, EngineError> {
        set_threads(self.threads);
        let weights = find_weights(backbone, self.weights.as_deref())?;
        FeatureExtractor::load(backbone, &weights, self.device, precision, ranges)
    }

    /// Loads the network as this bank needs it.
    ///
    /// # Errors
    /// The same.
    pub fn load_for(&self, bank: &BankConfig) -> Result<FeatureExtractor, EngineError> {
        self.load(bank.backbone, PrecisionChoice::Fixed(bank.precision), bank.activation_ranges.as_ref())
    }

    /// Loads the network for a bank of these images.
    ///
    /// # Errors
    /// The same, and no image that tells the ranges of int8.
    pub(super) fn load_for_build(&self, backbone: Backbone, images: &dyn ImageSource) -> Result<FeatureExtractor, EngineError> {
        let ranges = if self.precision == PrecisionChoice::Fixed(Precision::Int8) {
            set_threads(self.threads);
            let weights = find_weights(backbone, self.weights.as_deref())?;
            Some(FeatureExtractor::measure_ranges(backbone, &weights, self.device, images)?)
        } else {
            None
        };
        self.load(backbone, self.precision, ranges.as_ref())
    }

    /// What an image may be.
    pub fn expectation(&self) -> Expectation {
        let input = InputConfig { bit_depth: self.bit_depth, ..InputConfig::default() };
        Expectation { max_megapixels: self.max_megapixels, input, ..Expectation::default() }
    }
}

/// The report of a build; the build process writes it to stdout as a JSON object in its last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildReport {
    /// OK images in the bank.
    pub images: usize,
    /// Their patches.
    pub patches: u64,
    /// Rows and columns of the bank.
    pub bank: [usize; 2],
    /// The thresholds.
    pub tau: Tau,
    /// The expected false alarms.
    pub false_alarms_per_1000: Option<FalseAlarms>,
    /// Why the thresholds may not do what was asked for.
    pub tau_warning: Option<String>,
    /// OK images that are unlike the others, by name.
    pub stands_out: Vec<String>,
    /// OK images that are near-copies of each other, by name.
    pub near_copies: Vec<Vec<String>>,
    /// Seconds in the network.
    pub embed_s: f64,
    /// Seconds for choosing the rows.
    pub coreset_s: f64,
    /// Seconds for the thresholds.
    pub calibrate_s: f64,
    /// Images left out.
    pub skipped: usize,
    /// Their names, each with its reason.
    pub left_out: Vec<String>,
    /// Number format of the network.
    pub precision: Precision,
    /// What int8 misses, of a bank in int8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8_cost: Option<Int8Cost>,
    /// Where the bank is.
    pub out_dir: PathBuf,
}

impl BuildReport {
    pub(super) fn new(summary: &BuildSummary, precision: Precision, out_dir: &Path) -> Self {
        let round = |seconds: f64| (seconds * 100.0).round() / 100.0;
        Self {
            images: summary.images,
            patches: summary.patches,
            bank: [summary.rows, summary.dim],
            tau: summary.tau,
            false_alarms_per_1000: summary.false_alarms,
            tau_warning: summary.tau_warning.clone(),
            stands_out: summary.stands_out.clone(),
            near_copies: summary.near_copies.clone(),
            embed_s: round(summary.embed_s),
            coreset_s: round(summary.coreset_s),
            calibrate_s: round(summary.calibrate_s),
            skipped: summary.skipped.len(),
            left_out: summary.skipped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect(),
            precision,
            int8_cost: None,
            out_dir: out_dir.to_owned(),
        }
    }
}
