//! `build:` of a product: how its bank is built.

use crate::config::collector::{Problems, Scope};
use crate::config::values::{Word, one_of};
use crate::domain::{Backbone, BuildOptions, Calibration, CoresetMethod, GivenOptions, Grouping, Layer, Preset, ScoreMethod};
use schemars::JsonSchema;
use serde::Deserialize;

/// A checked `build:` section.
pub(in crate::config) struct Built {
    /// How the bank is built.
    pub options: BuildOptions,
    /// True for the preset `guide`.
    pub guide: bool,
    /// Fewest OK images a bank is built from.
    pub min_images: usize,
}

/// The shape of `build:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawBuild {
    /// A set of options under one name; every key beside it wins over it. `guide` is exactly the method of the Python scripts build_bank.py
    /// and infer.py: score guide, coreset_method kmeans, calibration in_sample, neighbourhood 1, smoothing 0, float32. `fast` takes three
    /// quarters of the usual shorter, `fine` one and a half times; `default` is the same as no preset.
    pub preset: Option<Word<Preset>>,
    /// The network. Larger sees finer differences, smaller is faster; `efficientnet_lite0` is the choice for a PC without a GPU. It is also the
    /// default where no weights of `resnet50` are found, except with `preset: guide`.
    pub backbone: Option<Word<Backbone>>,
    /// Short side after resizing, in pixels; a multiple of 14 for `dinov2_*`. Larger finds smaller defects; the time grows with its square.
    #[schemars(range(min = BuildOptions::SHORTER.0, max = BuildOptions::SHORTER.1))]
    pub shorter: Option<u32>,
    /// Every stride-th row and column of patches is kept. 1 finds the smallest defects at four times the work of 2.
    #[schemars(range(min = BuildOptions::STRIDE.0, max = BuildOptions::STRIDE.1))]
    pub stride: Option<u32>,
    /// Feature layers, the first sets the grid of patches: `layer1` (every 4 pixels), `layer2` (8), `layer3` (16), `layer4` (32); for
    /// `dinov2_*` `block1` to `block12` (all 14). Early layers see texture and scratches, late ones shape and missing parts. At least one,
    /// none twice.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub layers: Option<Vec<Word<Layer>>>,
    /// How distances become the score of an image. `levels` reads them in several ways at two levels (fine and coarse), each measured by the
    /// good images of this bank. `guide` is the largest distance, as the Python scripts do; it is the default where one of its own keys
    /// stands here: neighbourhood, smoothing, pixel_pct, calibration in_sample, coreset_method kmeans.
    pub score: Option<Word<ScoreMethod>>,
    /// Share of the patches that the bank keeps, 0.05 with `score: levels` (for each level), 0.02 with `guide`; 0 keeps all. Smaller is
    /// faster and forgets rare good looks.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub coreset: Option<f64>,
    /// How they are chosen. `greedy` covers rare good looks best; `kmeans` is what the Python scripts do; `random` is a seeded draw.
    pub coreset_method: Option<Word<CoresetMethod>>,
    /// Most patches held in memory while building. 100,000 patches of ResNet50 take about 1.4 GB.
    #[schemars(range(min = 1))]
    pub reservoir_max: Option<u32>,
    /// Only with `score: guide`: share of good patches that lie at or below the pixel threshold. Higher marks less in good parts.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub pixel_pct: Option<f64>,
    /// Only with `score: levels`: share of good images that have no mask; image_pct unless it stands here. Higher marks less.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub mask_pct: Option<f64>,
    /// Share of good images that lie at or below the image threshold: 0.98 with `score: levels`, 0.995 with `guide`. Higher rejects fewer
    /// good parts and lets weaker defects pass.
    #[schemars(range(min = BuildOptions::SHARE.0, max = BuildOptions::SHARE.1))]
    pub image_pct: Option<f64>,
    /// What good images are measured against for the thresholds. `held_out`: the bank without the image itself, so that the thresholds
    /// hold for good parts not seen before. `in_sample`: the bank they are in, as the Python scripts do; it rejects far more good parts.
    pub calibration: Option<Word<Calibration>>,
    /// Only with `score: levels`: which OK images belong together, as frames of one part do; the thresholds are measured with a whole group
    /// left out. `auto` finds near-copies, `none` takes each image for itself, and a regular expression with `(?P<group>...)` reads the group
    /// in the file name.
    pub groups: Option<String>,
    /// Only with `score: guide`: feature maps are averaged over K x K places, K odd; 1 = off. Steadies the score against slight shifts.
    #[schemars(extend("enum" = one_of(&BuildOptions::NEIGHBOURHOODS)))]
    pub neighbourhood: Option<u32>,
    /// Only with `score: guide`: patch distances are averaged over S x S places, S odd; 0 = off. Quietens single stray patches and small defects alike.
    #[schemars(extend("enum" = one_of(&BuildOptions::SMOOTHINGS)))]
    pub smoothing: Option<u32>,
    /// Seed of every random choice. The same seed and images give the same bank.
    pub seed: Option<u64>,
    /// Fewest images in `ok` that a bank is built from; at least 2 with calibration `held_out`. This prevents a bank from a folder that is
    /// just being filled.
    #[schemars(range(min = 1))]
    pub min_images: Option<u32>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawBuild, scope: &Scope<'_>, problems: &mut Problems) -> Built {
    let preset = raw.preset.map(|Word(preset)| preset);
    let given = GivenOptions {
        preset,
        backbone: raw.backbone.map(|Word(b)| b),
        shorter: raw.shorter,
        stride: raw.stride,
        layers: raw.layers.map(|layers| layers.into_iter().map(|Word(layer)| layer).collect()),
        score: raw.score.map(|Word(score)| score),
        coreset: raw.coreset,
        coreset_method: raw.coreset_method.map(|Word(method)| method),
        reservoir_max: raw.reservoir_max.map(|n| n as usize),
        pixel_pct: raw.pixel_pct,
        mask_pct: raw.mask_pct,
        image_pct: raw.image_pct,
        calibration: raw.calibration.map(|Word(calibration)| calibration),
        groups: raw.groups.map(Grouping::from),
        neighbourhood: raw.neighbourhood,
        smoothing: raw.smoothing,
        seed: raw.seed,
    };
    let (options, found) = given.resolve();
    for (key, message) in found {
        problems.add(scope.key(&format!("build.{key}")), message);
    }
    let guide = preset == Some(Preset::Guide);
    let min_images = raw.min_images.unwrap_or(10);
    let (least, why) = match options.calibration {
        Calibration::HeldOut => (2, "2, as calibration `held_out` measures each image against the others"),
        Calibration::InSample => (1, "1"),
    };
    problems.need(min_images >= least, scope.key("build.min_images"), format!("{min_images} is too few; use at least {why}"));
    Built { options, guide, min_images: min_images as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let (built, problems) = check_of_product("{}", check);
        assert_eq!((built.options, built.guide, built.min_images, problems.as_str()), (BuildOptions::default(), false, 10, ""));
    }

    #[test]
    fn the_preset_guide_is_the_method_of_the_scripts() {
        let (built, problems) = check_of_product("{preset: guide, shorter: 256, neighbourhood: 1, layers: [layer3]}", check);
        assert!(built.guide && problems.is_empty(), "{problems}");
        assert_eq!(built.options, BuildOptions { shorter: 256, layers: vec![Layer::Layer3], ..BuildOptions::guide() });
    }

    #[test]
    fn bounds_and_the_preset_are_checked() {
        for (text, words) in [
            ("{preset: guide, score: levels}", "products[0].build.score: levels contradicts `preset: guide`"),
            ("{shorter: 10}", "products[0].build.shorter: 10 is out of range; use 32 to 8192 pixels"),
            ("{min_images: 1}", "products[0].build.min_images: 1 is too few; use at least 2"),
            ("{preset: guide, smoothing: 3}", "products[0].build.smoothing: 3 contradicts `preset: guide`, which means 0"),
        ] {
            let (_, problems) = check_of_product(text, check);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
    }
}
