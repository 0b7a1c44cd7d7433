//! How a bank is built: the words of `build:` in the config and of `patchcored build`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of: {allowed}")]
pub struct ParseWordError {
    /// What was given.
    pub word: String,
    /// What is allowed, separated by commas.
    pub allowed: String,
}

/// An enum whose variants have one spelling each, for YAML, JSON, command line and SQL alike.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant,)+ }
        impl $name {
            /// Every variant.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The one spelling.
            pub fn as_str(self) -> &'static str { match self { $($name::$variant => $word),+ } }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }
        impl FromStr for $name {
            type Err = ParseWordError;
            fn from_str(word: &str) -> Result<Self, ParseWordError> {
                Self::ALL.iter().copied().find(|v| v.as_str() == word).ok_or_else(|| ParseWordError {
                    word: word.to_owned(),
                    allowed: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}
pub(super) use words;

words! {
    /// The network that makes the features.
    Backbone {
        /// torchvision `resnet18`.
        Resnet18 = "resnet18",
        /// torchvision `resnet34`.
        Resnet34 = "resnet34",
        /// torchvision `resnet50`, the default.
        Resnet50 = "resnet50",
        /// torchvision `resnet101`.
        Resnet101 = "resnet101",
        /// torchvision `wide_resnet50_2`.
        WideResnet50 = "wide_resnet50_2",
        /// EfficientNet-Lite0: small and fast.
        EfficientnetLite0 = "efficientnet_lite0",
    }
}

words! {
    /// A stage of the backbone; strides 4, 8, 16, 32.
    Layer {
        /// Stride 4.
        Layer1 = "layer1",
        /// Stride 8.
        Layer2 = "layer2",
        /// Stride 16.
        Layer3 = "layer3",
        /// Stride 32.
        Layer4 = "layer4",
    }
}

words! {
    /// How the coreset is chosen from the reservoir.
    CoresetMethod {
        /// k-centre greedy on a seeded random projection; rows are real patches.
        Greedy = "greedy",
        /// Mini-batch k-means; rows are cluster centres.
        Kmeans = "kmeans",
        /// A seeded draw.
        Random = "random",
    }
}

words! {
    /// What the OK images are measured against when tau is set.
    Calibration {
        /// The bank without the image's own patches: tau holds on parts not seen.
        HeldOut = "held_out",
        /// The bank they are in: what the Python scripts do.
        InSample = "in_sample",
    }
}

words! {
    /// The number format of the backbone.
    Precision {
        /// 32-bit floats.
        Float32 = "float32",
        /// 16-bit brain floats inside the backbone; distances stay 32-bit.
        Bfloat16 = "bfloat16",
    }
}

/// `precision:` as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrecisionChoice {
    /// bfloat16 where the hardware is fast at it, else float32.
    #[default]
    Auto,
    /// As named.
    Fixed(Precision),
}

impl FromStr for PrecisionChoice {
    type Err = ParseWordError;
    fn from_str(word: &str) -> Result<Self, ParseWordError> {
        match word {
            "auto" => Ok(Self::Auto),
            _ => word.parse().map(Self::Fixed).map_err(|e: ParseWordError| ParseWordError { allowed: format!("auto, {}", e.allowed), ..e }),
        }
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Fixed(p) => p.fmt(f),
        }
    }
}

/// `device:` as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = ParseWordError;
    fn from_str(word: &str) -> Result<Self, ParseWordError> {
        match word {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => word
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| ParseWordError { word: word.to_owned(), allowed: "auto, cpu, cuda:N".to_owned() }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(n) => f.pad(&format!("cuda:{n}")),
        }
    }
}

/// Everything that shapes a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOptions {
    /// Network.
    pub backbone: Backbone,
    /// Short side of the resized image, pixels, at least 32.
    pub shorter: u32,
    /// Every `stride`-th row and column of the base grid is kept; at least 1.
    pub stride: u32,
    /// Feature layers; the first is the base grid. Not empty, none twice.
    pub layers: Vec<Layer>,
    /// Share of the reservoir kept as bank rows, 0..=1; 0 keeps all.
    pub coreset: f64,
    /// How they are chosen.
    pub coreset_method: CoresetMethod,
    /// Most patches held while building.
    pub reservoir_max: usize,
    /// Quantile of the OK patch distances that becomes `pixel_tau`, 0..=1.
    pub pixel_pct: f64,
    /// Quantile of the OK image scores that becomes `image_tau`, 0..=1.
    pub image_pct: f64,
    /// What the OK images are measured against.
    pub calibration: Calibration,
    /// K: feature maps are averaged K×K before they are joined; odd, 1 = off.
    pub neighbourhood: u32,
    /// The distance grid is averaged over S×S patches; odd, 0 = off.
    pub smoothing: u32,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            backbone: Backbone::Resnet50,
            shorter: 512,
            stride: 2,
            layers: vec![Layer::Layer2, Layer::Layer3, Layer::Layer4],
            coreset: 0.02,
            coreset_method: CoresetMethod::Greedy,
            reservoir_max: 100_000,
            pixel_pct: 0.995,
            image_pct: 0.995,
            calibration: Calibration::HeldOut,
            neighbourhood: 3,
            smoothing: 0,
            seed: 0,
        }
    }
}

impl BuildOptions {
    /// The preset `guide`: exactly the method of the Python scripts. Precision is float32 with it.
    pub fn guide(self) -> Self {
        Self { coreset_method: CoresetMethod::Kmeans, calibration: Calibration::InSample, neighbourhood: 1, smoothing: 0, ..self }
    }

    /// What is wrong with the values, as (key, reason and remedy); empty when all is well.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut need = |ok: bool, key, text: String| {
            if !ok {
                found.push((key, text));
            }
        };
        need((32..=8192).contains(&self.shorter), "shorter", format!("{} is out of range; use 32 to 8192 pixels", self.shorter));
        need((1..=64).contains(&self.stride), "stride", format!("{} is out of range; use 1 to 64", self.stride));
        need(!self.layers.is_empty(), "layers", "is empty; name at least one of layer1, layer2, layer3, layer4".into());
        let mut sorted = self.layers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        need(sorted.len() == self.layers.len(), "layers", "names a layer twice; name each once".into());
        need((0.0..=1.0).contains(&self.coreset), "coreset", format!("{} is out of range; use 0 (keep all) to 1", self.coreset));
        need(self.reservoir_max >= 1, "reservoir_max", "0 keeps no patch; use at least 1".into());
        for (key, value) in [("pixel_pct", self.pixel_pct), ("image_pct", self.image_pct)] {
            need((0.0..=1.0).contains(&value), key, format!("{value} is out of range; use 0 to 1, e.g. 0.995"));
        }
        need(
            self.neighbourhood % 2 == 1 && self.neighbourhood <= 15,
            "neighbourhood",
            format!("{} is not possible; use an odd number from 1 (off) to 15", self.neighbourhood),
        );
        need(
            self.smoothing == 0 || (self.smoothing % 2 == 1 && self.smoothing <= 15),
            "smoothing",
            format!("{} is not possible; use 0 (off) or an odd number up to 15", self.smoothing),
        );
        found
    }
}
