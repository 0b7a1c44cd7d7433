//! `bank_config.json`: how a bank was built, and so how images have to be prepared for it.

use super::backbone::ActivationRanges;
use super::bank_json::{damaged, read};
use super::error::EngineError;
use super::false_alarms::unresolved;
use super::levels::ScoreStatistics;
use crate::domain::{Backbone, BuildOptions, Calibration, CoresetMethod, EngineSize, FalseAlarms, Grouping, Layer, Precision, ScoreMethod};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Said of a tau that the scripts' way set.
const IN_SAMPLE: &str = "tau is set on the images that the bank is made of (in_sample), which lie nearer to it than parts that it has not \
                         seen: how many good parts it will reject is not known; `held_out` tells";

/// The first seven keys are those of the Python scripts; a file with them alone loads too. Unknown keys are let pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BankConfig {
    /// Short side of the resized image, pixels.
    pub shorter: u32,
    /// Every `stride`-th row and column of the base grid is a patch.
    pub stride: u32,
    /// Feature layers; the first is the base grid.
    pub layers: Vec<Layer>,
    /// Share of the reservoir kept as rows; 0 = all.
    pub coreset: f64,
    /// Most patches held while building.
    pub reservoir_max: usize,
    /// Quantile behind `pixel_tau`; with `score: levels` the same as `mask_pct`.
    pub pixel_pct: f64,
    /// Quantile behind `image_tau`.
    pub image_pct: f64,
    /// The network.
    #[serde(default = "resnet50")]
    pub backbone: Backbone,
    /// SHA-256 of the weights file, lower-case hex; `None` in a bank of the scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// How distances become the score.
    #[serde(default = "guide")]
    pub score: ScoreMethod,
    /// Share of good images without a mask; `None` with `score: guide`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_pct: Option<f64>,
    /// Which OK images belong together; `None` with `score: guide`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Grouping>,
    /// How rows were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coreset_method: Option<CoresetMethod>,
    /// What tau was measured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Feature maps are averaged over this many positions each way; 1 = off.
    #[serde(default = "one")]
    pub neighbourhood: u32,
    /// The distance grid is averaged over this many patches each way; 0 = off.
    #[serde(default)]
    pub smoothing: u32,
    /// False with `score: levels`, `neighbourhood`, `smoothing` or int8: the scripts read the file but know nothing of these steps.
    #[serde(default = "yes")]
    pub scored_right_by_python_scripts: bool,
    /// Seed of every random choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number format of the network; images are scored in the same.
    #[serde(default = "float32")]
    pub precision: Precision,
    /// How far the maps of the network reach; of int8 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_ranges: Option<ActivationRanges>,
    /// OK images in the bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Good parts of 1000 that `image_tau` will reject; `None` where tau was not measured on held-out images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms: Option<FalseAlarms>,
    /// Why tau may not do what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_warning: Option<String>,
    /// The units of `score: levels`; `None` with `score: guide`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<ScoreStatistics>,
    /// The first OK images that are unlike the others, by name; tau does not follow them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stands_out: Vec<String>,
    /// The first OK images that are near-copies of each other, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near_copies: Vec<Vec<String>>,
    /// Their patches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<u64>,
    /// Rows of `memory_bank.pt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// What the caller tells the state of the OK folder by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok_fingerprint: Option<String>,
    /// When it was built: ISO 8601, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Version of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patchcored_version: Option<String>,
    /// SHA-256 of `memory_bank.pt`, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bank_sha256: Option<String>,
}

fn resnet50() -> Backbone {
    Backbone::Resnet50
}

fn guide() -> ScoreMethod {
    ScoreMethod::Guide
}

fn float32() -> Precision {
    Precision::Float32
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// The last hours of the year 9999: times are written with four digits of the year.
const LAST_TIME: Timestamp = Timestamp::constant(253_402_200_000, 0);
/// More OK images or patches than this nobody has.
const MOST: u64 = 1 << 40;
/// Nor is any text in the file longer than this, in bytes.
const LONGEST_TEXT: usize = 4096;
/// So many images that stand out, and groups of near-copies, are written down.
const NAMED: usize = 20;

impl BankConfig {
    /// Reads the file and its SHA-256, hexadecimal. Every field is what it can be.
    ///
    /// # Errors
    /// [`EngineError::BankFile`] when it is missing, unreadable or not JSON, and with the first key that is missing or out of range.
    pub fn read(path: &Path) -> Result<(Self, String), EngineError> {
        let (config, sha256): (Self, String) = read(path)?;
        match config.problem() {
            Some((key, reason)) => Err(damaged(path, &format!("`{key}` {reason}"))),
            None => Ok((config, sha256)),
        }
    }

    /// The first key whose value cannot be right, and why.
    fn problem(&self) -> Option<(&'static str, String)> {
        if let Some(problem) = self.options().problems().into_iter().next() {
            return Some(problem);
        }
        if (self.score == ScoreMethod::Levels) != self.levels.is_some() {
            return Some(("levels", format!("does not go with `score`: {}", self.score)));
        }
        if self.levels.as_ref().is_some_and(|levels| !levels.is_sound()) {
            return Some(("levels", "holds a number that no build measures".to_owned()));
        }
        if (self.precision == Precision::Int8) != self.activation_ranges.is_some() {
            return Some(("activation_ranges", format!("does not go with `precision`: {}", self.precision)));
        }
        if self.activation_ranges.as_ref().is_some_and(|ranges| !ranges.are_sound()) {
            return Some(("activation_ranges", "holds a number that no build measures".to_owned()));
        }
        let reservoir_max = self.reservoir_max as u64;
        let rows_most = if self.levels.is_some() { MOST } else { reservoir_max };
        let counts = [
            ("reservoir_max", Some(reservoir_max), MOST),
            ("images", self.images.map(|n| n as u64), MOST),
            ("patches", self.patches, MOST),
            ("rows", self.rows.map(|n| n as u64), rows_most),
        ];
        if let Some((key, Some(count), most)) = counts.into_iter().find(|(_, count, most)| count.is_some_and(|n| !(1..=*most).contains(&n)))
        {
            return Some((key, format!("is {count}, which is not from 1 to {most}")));
        }
        let is_digest = |text: &&String| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        for (key, digest) in [("weights_sha256", &self.weights_sha256), ("memory_bank_sha256", &self.memory_bank_sha256)] {
            if digest.as_ref().is_some_and(|digest| !is_digest(&digest)) {
                return Some((key, "is no SHA-256 of 64 lower-case hexadecimal digits".to_owned()));
            }
        }
        let texts = [("ok_fingerprint", &self.ok_fingerprint), ("tau_warning", &self.tau_warning)];
        for (key, text) in texts.into_iter().chain([("patchcored_version", &self.patchcored_version)]) {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
                return Some((key, format!("is longer than {LONGEST_TEXT} bytes")));
            }
        }
        let in_1000 = |share: f64| (0.0..=1000.0).contains(&share);
        if self.false_alarms.is_some_and(|promise| !in_1000(promise.expected) || !in_1000(promise.bound)) {
            return Some(("false_alarms", "promises other than 0 to 1000 of 1000".to_owned()));
        }
        let years = |at: &String| at.parse::<Timestamp>().is_ok_and(|at| (Timestamp::UNIX_EPOCH..LAST_TIME).contains(&at));
        let bad_time = self.created_at.as_ref().is_some_and(|at| !years(at));
        bad_time.then(|| ("created_at", "is no time from 1970 to 9999, as 2026-11-23T08:42:00.000Z".to_owned()))
    }

    /// The part of it that follows from the options; the rest is `None` or what the scripts mean.
    pub fn of_options(options: &BuildOptions, precision: Precision) -> Self {
        let of_levels = options.score == ScoreMethod::Levels;
        Self {
            score: options.score,
            mask_pct: of_levels.then_some(options.mask_pct),
            groups: of_levels.then(|| options.groups.clone()),
            levels: None,
            stands_out: Vec::new(),
            near_copies: Vec::new(),
            shorter: options.shorter,
            stride: options.stride,
            layers: options.layers.clone(),
            coreset: options.coreset,
            reservoir_max: options.reservoir_max,
            pixel_pct: options.pixel_pct,
            image_pct: options.image_pct,
            backbone: options.backbone,
            weights_sha256: None,
            coreset_method: Some(options.coreset_method),
            calibration: Some(options.calibration),
            neighbourhood: options.neighbourhood,
            smoothing: options.smoothing,
            scored_right_by_python_scripts: !of_levels
                && options.neighbourhood <= 1
                && options.smoothing <= 1
                && precision != Precision::Int8,
            seed: Some(options.seed),
            precision,
            activation_ranges: None,
            images: None,
            false_alarms: None,
            tau_warning: None,
            patches: None,
            rows: None,
            ok_fingerprint: None,
            created_at: None,
            patchcored_version: None,
            memory_bank_sha256: None,
        }
    }

    /// How images are resized to be compared with the bank.
    pub fn engine_size(&self) -> EngineSize {
        self.options().engine_size()
    }

    /// Records what tau, measured on the scores of `scored` OK images, promises.
    pub fn promise(&mut self, scored: usize) {
        (self.false_alarms, self.tau_warning) = match self.calibration {
            Some(Calibration::HeldOut) => (FalseAlarms::promised(scored, self.image_pct), unresolved(scored, self.image_pct)),
            _ => (None, Some(IN_SAMPLE.to_owned())),
        };
    }

    /// Writes down the first OK images that stand out, and the first groups of near-copies.
    pub(super) fn name_images(&mut self, stands_out: &[String], near_copies: &[Vec<String>]) {
        self.stands_out = stands_out.iter().take(NAMED).cloned().collect();
        self.near_copies = near_copies.iter().take(NAMED).map(|group| group.iter().take(NAMED).cloned().collect()).collect();
    }

    /// The options that the bank was built with; what an old file does not say is as the scripts do it.
    pub fn options(&self) -> BuildOptions {
        BuildOptions {
            backbone: self.backbone,
            shorter: self.shorter,
            stride: self.stride,
            layers: self.layers.clone(),
            score: self.score,
            mask_pct: self.mask_pct.unwrap_or(self.pixel_pct),
            groups: self.groups.clone().unwrap_or(Grouping::None),
            coreset: self.coreset,
            coreset_method: self.coreset_method.unwrap_or(CoresetMethod::Kmeans),
            reservoir_max: self.reservoir_max,
            pixel_pct: self.pixel_pct,
            image_pct: self.image_pct,
            calibration: self.calibration.unwrap_or(Calibration::InSample),
            neighbourhood: self.neighbourhood,
            smoothing: self.smoothing,
            seed: self.seed.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN_KEYS: &str = r#"{"shorter": 512, "stride": 2, "layers": ["layer2", "layer3", "layer4"], "coreset": 0.02,
        "reservoir_max": 100000, "pixel_pct": 0.995, "image_pct": 0.995}"#;

    #[test]
    fn the_keys_of_the_scripts_are_enough() {
        let config: BankConfig = serde_json::from_str(SEVEN_KEYS).unwrap();
        assert_eq!(config.options(), BuildOptions::guide());
        assert_eq!((config.precision, config.scored_right_by_python_scripts), (Precision::Float32, true));
        assert_eq!((config.weights_sha256, config.memory_bank_sha256), (None, None));
    }

    #[test]
    fn every_field_is_checked_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank_config.json");
        let read = |change: &serde_json::Value| {
            let mut config: serde_json::Value = serde_json::from_str(SEVEN_KEYS).unwrap();
            config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            std::fs::write(&path, config.to_string()).unwrap();
            BankConfig::read(&path).map_err(|e| e.to_string())
        };
        let digest = "0".repeat(64);
        let good = serde_json::json!({"images": 40, "patches": 40_960, "rows": 819, "seed": u64::MAX, "weights_sha256": digest,
            "memory_bank_sha256": digest, "created_at": "2026-11-23T08:42:00.000Z", "false_alarms": {"expected": 24.4, "bound": 71.0}});
        read(&good).unwrap();
        for (key, values) in [
            ("shorter", serde_json::json!([4_000_000_000_u32, 0, 31, -1, 1e10, "512", null])),
            ("stride", serde_json::json!([0, 65, u32::MAX])),
            ("layers", serde_json::json!([[], ["layer2", "layer2"], ["layer9"], ["block4"]])),
            ("coreset", serde_json::json!([-0.1, 1.1, 1e308, null])),
            ("reservoir_max", serde_json::json!([0, u64::MAX])),
            ("pixel_pct", serde_json::json!([-1, 2, null])),
            ("image_pct", serde_json::json!([-1, 2])),
            ("backbone", serde_json::json!(["resnet51"])),
            ("neighbourhood", serde_json::json!([0, 2, 17, u32::MAX])),
            ("smoothing", serde_json::json!([2, 17, u32::MAX])),
            ("seed", serde_json::json!([-1, 1e30])),
            ("images", serde_json::json!([0, u64::MAX])),
            ("patches", serde_json::json!([0, u64::MAX])),
            ("rows", serde_json::json!([0, 100_001, u64::MAX])),
            ("weights_sha256", serde_json::json!(["", "0f"])),
            ("memory_bank_sha256", serde_json::json!(["Z".repeat(64), "A".repeat(64)])),
            ("ok_fingerprint", serde_json::json!(["x".repeat(5000)])),
            ("tau_warning", serde_json::json!(["x".repeat(5000)])),
            ("patchcored_version", serde_json::json!(["x".repeat(5000)])),
            ("created_at", serde_json::json!(["yesterday", "1960-01-01T00:00:00Z", "-001000-01-01T00:00:00Z"])),
            ("false_alarms", serde_json::json!([{"expected": -1.0, "bound": 1.0}, {"expected": 1.0, "bound": 1e308}])),
        ] {
            for value in values.as_array().unwrap() {
                let error = read(&serde_json::json!({key: value})).expect_err(&format!("{key}: {value}"));
                assert!(error.contains("bank_config.json") && error.contains("build the bank again"), "{error}");
                let named_by_json = ["invalid", "unknown"].iter().any(|word| error.contains(word));
                assert!(error.contains(&format!("`{key}`")) || named_by_json, "{key}: {value}: {error}");
            }
        }
    }

    #[test]
    fn they_come_first_and_as_the_scripts_write_them() {
        let config = BankConfig::of_options(&BuildOptions::largest_distance(), Precision::Float32);
        let written: serde_json::Value = serde_json::to_value(&config).unwrap();
        let expected: serde_json::Value = serde_json::from_str(SEVEN_KEYS).unwrap();
        let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().take(7).cloned().collect::<Vec<_>>();
        assert_eq!(keys(&written), keys(&expected));
        assert!(keys(&expected).iter().all(|key| written[key] == expected[key]));
        assert_eq!(written["scored_right_by_python_scripts"], false);
        assert_eq!(serde_json::from_value::<BankConfig>(written).unwrap(), config);
    }
}
