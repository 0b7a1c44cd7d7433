//! `bank_config.json`: how a bank was built, and so how images have to be prepared for it.

use super::false_alarms::{FalseAlarms, unresolved};
use crate::inspection::{Backbone, BuildOptions, Calibration, CoresetMethod, Layer, Precision};
use serde::{Deserialize, Serialize};

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
    /// Quantile behind `pixel_tau`.
    pub pixel_pct: f64,
    /// Quantile behind `image_tau`.
    pub image_pct: f64,
    /// The network.
    #[serde(default = "resnet50")]
    pub backbone: Backbone,
    /// SHA-256 of the weights file, lower-case hex; `None` in a bank of the scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
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
    /// False where `neighbourhood` or `smoothing` is on: the scripts then read the bank but know nothing of these steps.
    #[serde(default = "yes")]
    pub scored_right_by_python_scripts: bool,
    /// Seed of every random choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number format of the network; images are scored in the same.
    #[serde(default = "float32")]
    pub precision: Precision,
    /// OK images in the bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Good parts of 1000 that `image_tau` will reject; `None` where tau was not measured on held-out images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms: Option<FalseAlarms>,
    /// Why tau may not do what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_warning: Option<String>,
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

fn float32() -> Precision {
    Precision::Float32
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl BankConfig {
    /// The part of it that follows from the options; the rest is `None` or what the scripts mean.
    pub fn of_options(options: &BuildOptions, precision: Precision) -> Self {
        Self {
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
            scored_right_by_python_scripts: options.neighbourhood <= 1 && options.smoothing <= 1,
            seed: Some(options.seed),
            precision,
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

    /// Records what tau, measured on the scores of `scored` OK images, promises.
    pub fn promise(&mut self, scored: usize) {
        (self.false_alarms, self.tau_warning) = match self.calibration {
            Some(Calibration::HeldOut) => (FalseAlarms::promised(scored, self.image_pct), unresolved(scored, self.image_pct)),
            _ => (None, Some(IN_SAMPLE.to_owned())),
        };
    }

    /// The options that the bank was built with; what an old file does not say is as the scripts do it.
    pub fn options(&self) -> BuildOptions {
        BuildOptions {
            backbone: self.backbone,
            shorter: self.shorter,
            stride: self.stride,
            layers: self.layers.clone(),
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
        assert_eq!(config.options(), BuildOptions::default().guide());
        assert_eq!((config.precision, config.scored_right_by_python_scripts), (Precision::Float32, true));
        assert_eq!((config.weights_sha256, config.memory_bank_sha256), (None, None));
    }

    #[test]
    fn they_come_first_and_as_the_scripts_write_them() {
        let config = BankConfig::of_options(&BuildOptions::default(), Precision::Float32);
        let written: serde_json::Value = serde_json::to_value(&config).unwrap();
        let expected: serde_json::Value = serde_json::from_str(SEVEN_KEYS).unwrap();
        let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().take(7).cloned().collect::<Vec<_>>();
        assert_eq!(keys(&written), keys(&expected));
        assert!(keys(&expected).iter().all(|key| written[key] == expected[key]));
        assert_eq!(written["scored_right_by_python_scripts"], false);
        assert_eq!(serde_json::from_value::<BankConfig>(written).unwrap(), config);
    }
}
