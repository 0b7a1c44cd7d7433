//! How a bank is built: the words of `build:` in the config and of `patchcored build`.

use super::{Backbone, EngineSize, Grouping, Layer, ParseWordError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

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
    /// How the distances of an image become its score.
    ScoreMethod {
        /// Several readings at two levels, each measured by the held-out OK images of the bank.
        Levels = "levels",
        /// The largest patch distance, as the Python scripts do.
        Guide = "guide",
    }
}

words! {
    /// A set of options under one name.
    Preset {
        /// The method of the Python scripts.
        Guide = "guide",
        /// For a short cycle: a smaller image.
        Fast = "fast",
        /// What is used without a preset.
        Default = "default",
        /// For small defects: a larger image.
        Fine = "fine",
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
        /// 8-bit integers inside the backbone, scaled to what the product's OK images need; distances stay 32-bit.
        Int8 = "int8",
    }
}

/// `precision:` as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PrecisionChoice {
    /// bfloat16 where the hardware computes it fast, else float32.
    #[default]
    Auto,
    /// The named format.
    Fixed(Precision),
}

impl TryFrom<String> for PrecisionChoice {
    type Error = ParseWordError;
    fn try_from(word: String) -> Result<Self, ParseWordError> {
        word.parse()
    }
}

impl From<PrecisionChoice> for String {
    fn from(choice: PrecisionChoice) -> Self {
        choice.to_string()
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl TryFrom<String> for DeviceChoice {
    type Error = ParseWordError;
    fn try_from(word: String) -> Result<Self, ParseWordError> {
        word.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
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

/// All options that shape a bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildOptions {
    /// Network.
    pub backbone: Backbone,
    /// Short side of the resized image, pixels, at least 32; see [`BuildOptions::engine_size`].
    pub shorter: u32,
    /// Every `stride`-th row and column of the base grid is kept; at least 1.
    pub stride: u32,
    /// Feature layers of the backbone; the first is the base grid. Not empty, none twice.
    pub layers: Vec<Layer>,
    /// How the distances of an image become its score.
    pub score: ScoreMethod,
    /// Share of the reservoir kept as bank rows, 0..=1; 0 keeps all. With [`ScoreMethod::Levels`] each level keeps so many.
    pub coreset: f64,
    /// How the rows are chosen.
    pub coreset_method: CoresetMethod,
    /// The most patches held while building.
    pub reservoir_max: usize,
    /// Quantile of the OK patch distances that becomes `pixel_tau`, 0..=1. Of [`ScoreMethod::Guide`].
    pub pixel_pct: f64,
    /// Share of good images that have no mask, 0.5 to below 1. Of [`ScoreMethod::Levels`].
    pub mask_pct: f64,
    /// Share of good images at or below `image_tau`, 0..=1; with [`ScoreMethod::Levels`] 0.5 to below 1.
    pub image_pct: f64,
    /// What the OK images are measured against.
    pub calibration: Calibration,
    /// Which OK images belong together. Of [`ScoreMethod::Levels`].
    pub groups: Grouping,
    /// K: feature maps are averaged K×K before they are joined; odd, 1 = off. Of [`ScoreMethod::Guide`].
    pub neighbourhood: u32,
    /// The distance grid is averaged over S×S patches; odd, 0 = off. Of [`ScoreMethod::Guide`].
    pub smoothing: u32,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            score: ScoreMethod::Levels,
            coreset: 0.05,
            pixel_pct: 0.98,
            mask_pct: 0.98,
            image_pct: 0.98,
            groups: Grouping::Auto,
            neighbourhood: 1,
            ..Self::largest_distance()
        }
    }
}

impl BuildOptions {
    /// Smallest and largest [`BuildOptions::shorter`].
    pub const SHORTER: (u32, u32) = (32, 8192);
    /// Smallest and largest [`BuildOptions::stride`].
    pub const STRIDE: (u32, u32) = (1, 64);
    /// Smallest and largest share: `coreset`, `pixel_pct`, `image_pct`.
    pub const SHARE: (f64, f64) = (0.0, 1.0);
    /// What `neighbourhood` may be; 1 = off.
    pub const NEIGHBOURHOODS: [u32; 8] = [1, 3, 5, 7, 9, 11, 13, 15];
    /// What `smoothing` may be; 0 = off.
    pub const SMOOTHINGS: [u32; 9] = [0, 1, 3, 5, 7, 9, 11, 13, 15];
    /// Smallest and largest share of good images with [`ScoreMethod::Levels`]: beyond lies no tail that could be fitted.
    const TAIL: (f64, f64) = (0.5, 0.999_999);

    /// The defaults of [`ScoreMethod::Guide`], which were those of version 0.1.0.
    pub fn largest_distance() -> Self {
        Self {
            backbone: Backbone::Resnet50,
            shorter: 512,
            stride: 2,
            layers: vec![Layer::Layer2, Layer::Layer3, Layer::Layer4],
            score: ScoreMethod::Guide,
            coreset: 0.02,
            coreset_method: CoresetMethod::Greedy,
            reservoir_max: 100_000,
            pixel_pct: 0.995,
            mask_pct: 0.995,
            image_pct: 0.995,
            calibration: Calibration::HeldOut,
            groups: Grouping::None,
            neighbourhood: 3,
            smoothing: 0,
            seed: 0,
        }
    }

    /// The preset `guide`: exactly the method of the Python scripts. Precision is float32 with it.
    pub fn guide() -> Self {
        Self { coreset_method: CoresetMethod::Kmeans, calibration: Calibration::InSample, neighbourhood: 1, ..Self::largest_distance() }
    }

    /// How images are resized for this backbone. With [`ScoreMethod::Levels`] every layer's grid fits the image: both sides are multiples of
    /// the coarsest stride. With [`ScoreMethod::Guide`] sides are rounded as the Python scripts do.
    pub fn engine_size(&self) -> EngineSize {
        let multiple = match self.score {
            ScoreMethod::Levels => self.backbone.coarsest_stride(),
            ScoreMethod::Guide => self.backbone.side_multiple(),
        };
        EngineSize::new(self.shorter, multiple)
    }

    /// What is wrong with the values, as (key, reason and remedy); empty when all is well.
    ///
    /// ```
    /// use patchcored::domain::BuildOptions;
    /// assert!(BuildOptions::default().problems().is_empty());
    /// let problems = BuildOptions { shorter: 8, ..BuildOptions::default() }.problems();
    /// assert_eq!(problems[0], ("shorter", "8 is out of range; use 32 to 8192 pixels".to_owned()));
    /// ```
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut need = |ok: bool, key, text: String| {
            if !ok {
                found.push((key, text));
            }
        };
        let within = |(low, high): (u32, u32), value: u32| (low..=high).contains(&value);
        let share = |value: f64| (Self::SHARE.0..=Self::SHARE.1).contains(&value);
        let range = |value: u32, (low, high): (u32, u32), unit: &str| format!("{value} is out of range; use {low} to {high}{unit}");
        need(within(Self::SHORTER, self.shorter), "shorter", range(self.shorter, Self::SHORTER, " pixels"));
        need(within(Self::STRIDE, self.stride), "stride", range(self.stride, Self::STRIDE, ""));
        let known = self.backbone.layers();
        let names = || known.iter().map(|layer| layer.as_str()).collect::<Vec<_>>().join(", ");
        need(!self.layers.is_empty(), "layers", format!("is empty; name at least one of {}", names()));
        if let Some(other) = self.layers.iter().find(|layer| !known.contains(layer)) {
            need(false, "layers", format!("{other} is no layer of {}; use some of {}", self.backbone, names()));
        }
        let mut sorted = self.layers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        need(sorted.len() == self.layers.len(), "layers", "names a layer twice; name each once".into());
        need(share(self.coreset), "coreset", format!("{} is out of range; use 0 (keep all) to 1", self.coreset));
        need(self.reservoir_max >= 1, "reservoir_max", "0 keeps no patch; use at least 1".into());
        if self.score == ScoreMethod::Guide {
            for (key, value) in [("pixel_pct", self.pixel_pct), ("image_pct", self.image_pct)] {
                need(share(value), key, format!("{value} is out of range; use 0 to 1, e.g. 0.995"));
            }
        }
        if self.score == ScoreMethod::Levels {
            for (key, value) in [("image_pct", self.image_pct), ("mask_pct", self.mask_pct)] {
                let has_tail = (Self::TAIL.0..=Self::TAIL.1).contains(&value);
                need(has_tail, key, format!("{value} is out of range with `score: levels`; use 0.5 to 0.999999, e.g. 0.98"));
            }
            let held_out = self.calibration == Calibration::HeldOut;
            need(held_out, "calibration", "`in_sample` belongs to `score: guide`; remove one of the two".into());
            let patches = self.coreset_method != CoresetMethod::Kmeans;
            need(patches, "coreset_method", "`kmeans` belongs to `score: guide`; use greedy or random".into());
        }
        if let Some(problem) = self.groups.problem() {
            need(false, "groups", problem);
        }
        need(
            Self::NEIGHBOURHOODS.contains(&self.neighbourhood),
            "neighbourhood",
            format!("{} is not possible; use an odd number from 1 (off) to 15", self.neighbourhood),
        );
        need(
            Self::SMOOTHINGS.contains(&self.smoothing),
            "smoothing",
            format!("{} is not possible; use 0 (off) or an odd number up to 15", self.smoothing),
        );
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_are_those_of_the_backbone() {
        let problems = |backbone, layers: &[Layer]| {
            let layers = layers.to_vec();
            let found = BuildOptions { backbone, layers, ..BuildOptions::default() }.problems();
            found.into_iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            problems(Backbone::Resnet50, &[Layer::Layer2, Layer::Block4]),
            "layers: block4 is no layer of resnet50; use some of layer1, layer2, layer3, layer4"
        );
        let text = problems(Backbone::Dinov2Vits14, &[Layer::Layer2]);
        assert!(text.starts_with("layers: layer2 is no layer of dinov2_vits14; use some of block1, block2, "), "{text}");
        assert!(text.ends_with(", block12"), "{text}");
        let text = problems(Backbone::Dinov2Vitb14, &[]);
        assert!(text.starts_with("layers: is empty; name at least one of block1, "), "{text}");
        assert_eq!(problems(Backbone::Dinov2Vitb14, &[Layer::Block12, Layer::Block1]), "");
    }

    #[test]
    fn the_defaults_of_every_backbone_are_possible() {
        for &backbone in Backbone::ALL {
            let (layers, stride, shorter) = (backbone.default_layers(), backbone.default_stride(), backbone.default_shorter());
            let options = BuildOptions { backbone, layers, stride, shorter, ..BuildOptions::default() };
            assert_eq!(options.problems(), [], "{backbone}");
            // The images keep this size when they are resized.
            assert_eq!(options.engine_size().sides(shorter, shorter), (shorter, shorter), "{backbone}");
        }
        let BuildOptions { backbone, layers, stride, shorter, .. } = BuildOptions::default();
        assert_eq!((layers, stride, shorter), (backbone.default_layers(), backbone.default_stride(), backbone.default_shorter()));
    }
}
