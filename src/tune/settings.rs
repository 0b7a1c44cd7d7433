//! The `build:` section of a product as data, and as YAML.

use super::changes::Change;
use crate::config::ProductConfig;
use crate::domain::{Backbone, BuildOptions, CoresetMethod, GivenOptions, ScoreMethod};
use std::fmt::{Display, Write};

/// `build.min_images` when the configuration does not say it.
const MIN_IMAGES: usize = 10;

/// What stands in `build:`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BuildSettings {
    pub options: BuildOptions,
    /// True for the preset `guide`.
    pub guide: bool,
    pub min_images: usize,
}

impl BuildSettings {
    pub(super) fn of(product: &ProductConfig) -> Self {
        Self { options: product.build.clone(), guide: product.guide, min_images: product.min_images }
    }

    /// The product as it would be configured with these settings.
    pub(super) fn product(&self, product: &ProductConfig) -> ProductConfig {
        ProductConfig { build: self.options.clone(), guide: self.guide, ..product.clone() }
    }

    /// These settings with the changes; `None` if that is nothing else, or not possible.
    pub(super) fn with(&self, changes: &[Change]) -> Option<Self> {
        let changed = changes.iter().fold(self.clone(), |settings, change| settings.changed(change));
        (changed != *self && changed.options.problems().is_empty()).then_some(changed)
    }

    fn changed(self, change: &Change) -> Self {
        let options = self.options.clone();
        match change {
            Change::Score(score) => self.scored_by(*score),
            Change::Backbone(backbone) => Self { options: on(*backbone, options), ..self },
            Change::Layers(layers) => Self { options: BuildOptions { layers: layers.clone(), ..options }, ..self },
            Change::Stride(stride) => Self { options: BuildOptions { stride: *stride, ..options }, ..self },
            Change::Shorter(scale) => {
                let (multiple, sides) = (options.backbone.coarsest_stride(), scale.of(options.shorter));
                Self { options: BuildOptions { shorter: (sides / multiple).max(1) * multiple, ..options }, ..self }
            }
        }
    }

    /// The other way of scoring, with its own defaults. Network, image size and grid stay, and so does a coreset that somebody chose.
    fn scored_by(self, score: ScoreMethod) -> Self {
        let old = &self.options;
        let chosen = old.coreset.to_bits() != usual(old.backbone, old.score).coreset.to_bits();
        let given = GivenOptions {
            score: Some(score),
            backbone: Some(old.backbone),
            shorter: Some(old.shorter),
            stride: Some(old.stride),
            layers: Some(old.layers.clone()),
            coreset: chosen.then_some(old.coreset),
            coreset_method: Some(old.coreset_method).filter(|method| *method != CoresetMethod::Kmeans),
            reservoir_max: Some(old.reservoir_max),
            seed: Some(old.seed),
            ..GivenOptions::default()
        };
        Self { options: given.resolve().0, guide: false, ..self }
    }

    /// The keys of `build:` that have to be written, with their values.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let BuildSettings { options: o, guide, min_images } = self;
        let usual = if *guide { usual_grid(o.backbone, BuildOptions::guide()) } else { usual(o.backbone, o.score) };
        let levels = o.score == ScoreMethod::Levels;
        let mut keys = Vec::new();
        let mut add = |written: bool, key, value: &dyn Display| {
            if written {
                keys.push((key, value.to_string()));
            }
        };
        let differ = |a: f64, b: f64| a.to_bits() != b.to_bits();
        add(*guide, "preset", &"guide");
        add(o.backbone != Backbone::Resnet50, "backbone", &o.backbone);
        add(o.shorter != usual.shorter, "shorter", &o.shorter);
        add(o.stride != usual.stride, "stride", &o.stride);
        add(o.layers != usual.layers, "layers", &layers_text(o));
        add(!levels && !guide, "score", &o.score);
        add(differ(o.coreset, usual.coreset), "coreset", &o.coreset);
        add(o.coreset_method != usual.coreset_method, "coreset_method", &o.coreset_method);
        add(o.reservoir_max != usual.reservoir_max, "reservoir_max", &o.reservoir_max);
        add(differ(o.image_pct, usual.image_pct), "image_pct", &o.image_pct);
        add(levels && differ(o.mask_pct, o.image_pct), "mask_pct", &o.mask_pct);
        add(!levels && differ(o.pixel_pct, usual.pixel_pct), "pixel_pct", &o.pixel_pct);
        add(o.calibration != usual.calibration, "calibration", &o.calibration);
        add(o.groups != usual.groups, "groups", &format!("'{}'", o.groups.to_string().replace('\'', "''")));
        add(o.neighbourhood != usual.neighbourhood, "neighbourhood", &o.neighbourhood);
        add(o.smoothing != usual.smoothing, "smoothing", &o.smoothing);
        add(o.seed != usual.seed, "seed", &o.seed);
        add(*min_images != MIN_IMAGES, "min_images", min_images);
        keys
    }

    /// The section with the keys that differ from the defaults, to copy into the configuration.
    pub(super) fn yaml(&self) -> String {
        let keys = self.keys();
        if keys.is_empty() {
            return "build: {}\n".to_owned();
        }
        let mut yaml = "build:\n".to_owned();
        for (key, value) in keys {
            let _ = writeln!(yaml, "  {key}: {value}");
        }
        yaml
    }

    /// What differs from the settings in use, in the names of the keys: `shorter: 768, stride: 1`.
    pub(super) fn changes_from(&self, current: &Self) -> String {
        let shown = |settings: &Self| {
            let o = &settings.options;
            let score = if settings.guide { "preset: guide".to_owned() } else { format!("score: {}", o.score) };
            let layers = format!("layers: {}", layers_text(o));
            [format!("backbone: {}", o.backbone), score, format!("shorter: {}", o.shorter), format!("stride: {}", o.stride), layers]
        };
        let both = shown(self).into_iter().zip(shown(current));
        let changes: Vec<String> = both.filter(|(new, old)| new != old).map(|(new, _)| new).collect();
        if changes.is_empty() { "as configured".to_owned() } else { changes.join(", ") }
    }
}

/// What applies to the keys that are left out.
fn usual(backbone: Backbone, score: ScoreMethod) -> BuildOptions {
    GivenOptions { backbone: Some(backbone), score: Some(score), ..GivenOptions::default() }.resolve().0
}

fn usual_grid(backbone: Backbone, options: BuildOptions) -> BuildOptions {
    let (shorter, stride, layers) = (backbone.default_shorter(), backbone.default_stride(), backbone.default_layers());
    BuildOptions { shorter, stride, layers, ..options }
}

fn layers_text(options: &BuildOptions) -> String {
    let names: Vec<&str> = options.layers.iter().map(|layer| layer.as_str()).collect();
    format!("[{}]", names.join(", "))
}

/// Another network. Between a convolutional network and a transformer, layers and stride cannot stay, and the image keeps its size as a
/// multiple of the usual one.
fn on(backbone: Backbone, options: BuildOptions) -> BuildOptions {
    let old = options.backbone;
    if old.default_layers() == backbone.default_layers() {
        return BuildOptions { backbone, ..options };
    }
    let (scaled, multiple) = (options.shorter * backbone.default_shorter() / old.default_shorter(), backbone.coarsest_stride());
    // The smallest side that is allowed.
    let shorter = (scaled / multiple).max(BuildOptions::SHORTER.0.div_ceil(multiple)) * multiple;
    BuildOptions { backbone, shorter, ..usual_grid(backbone, options) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::changes::Scale;
    use super::*;
    use crate::config::Config;
    use crate::domain::{Calibration, Grouping, Layer};

    /// The settings of a product with this text as its `build:` section.
    pub fn settings(build: &str) -> BuildSettings {
        let text = format!("database: /h\nproducts: [{{name: a, drop: [{{path: /d}}], ok: /o, bank: /b}}]\ndefaults: {{build: {build}}}");
        BuildSettings::of(&Config::parse(&text).unwrap().products[0])
    }

    fn again(settings: &BuildSettings) -> BuildSettings {
        let yaml = settings.yaml().replace("\n  ", "\n    ").replace("build:", "  build:");
        let text = format!("database: /h\nproducts: [{{name: a, drop: [{{path: /d}}], ok: /o, bank: /b}}]\ndefaults:\n{yaml}");
        BuildSettings::of(&Config::parse(&text).unwrap().products[0])
    }

    #[test]
    fn the_yaml_gives_the_same_settings_and_no_needless_key() {
        for (build, yaml) in [
            ("{}", "build: {}\n"),
            ("{shorter: 512, score: levels, image_pct: 0.98, min_images: 10}", "build: {}\n"),
            ("{preset: fine, stride: 1, mask_pct: 0.995}", "build:\n  shorter: 768\n  stride: 1\n  mask_pct: 0.995\n"),
            ("{preset: guide, backbone: dinov2_vits14}", "build:\n  preset: guide\n  backbone: dinov2_vits14\n"),
            ("{smoothing: 3, pixel_pct: 0.9, seed: 7}", "build:\n  score: guide\n  pixel_pct: 0.9\n  smoothing: 3\n  seed: 7\n"),
            (
                "{image_pct: 0.9, groups: '^(?P<group>it''s[0-9]+)_', layers: [layer1]}",
                "build:\n  layers: [layer1]\n  image_pct: 0.9\n  groups: '^(?P<group>it''s[0-9]+)_'\n",
            ),
            (
                "{score: guide, calibration: in_sample, coreset_method: kmeans, reservoir_max: 9, coreset: 1, neighbourhood: 5, min_images: 3}",
                "build:\n  score: guide\n  coreset: 1\n  coreset_method: kmeans\n  reservoir_max: 9\n  calibration: in_sample\n  neighbourhood: 5\n  min_images: 3\n",
            ),
        ] {
            let settings = settings(build);
            assert_eq!(settings.yaml(), yaml, "{build}");
            assert_eq!(again(&settings), settings, "{build}");
        }
    }

    #[test]
    fn a_change_of_the_score_brings_its_own_defaults_and_keeps_the_rest() {
        let current = settings("{preset: guide, shorter: 256, seed: 3, coreset: 0.1}");
        let levels = current.with(&[Change::Score(ScoreMethod::Levels)]).unwrap();
        assert_eq!(levels.yaml(), "build:\n  shorter: 256\n  coreset: 0.1\n  seed: 3\n");
        let BuildOptions { calibration, groups, image_pct, .. } = levels.options.clone();
        assert_eq!((calibration, groups, image_pct), (Calibration::HeldOut, Grouping::Auto, 0.98));
        assert_eq!(levels.changes_from(&current), "score: levels");
        let guide = settings("{}").with(&[Change::Score(ScoreMethod::Guide)]).unwrap();
        assert_eq!((guide.options.clone(), guide.yaml().as_str()), (BuildOptions::largest_distance(), "build:\n  score: guide\n"));
    }

    #[test]
    fn another_kind_of_network_takes_its_own_layers() {
        let current = settings("{shorter: 768, layers: [layer1, layer2]}");
        let dino = current.with(&[Change::Backbone(Backbone::Dinov2Vits14)]).unwrap();
        assert_eq!(dino.changes_from(&current), "backbone: dinov2_vits14, shorter: 672, stride: 1, layers: [block4, block8, block12]");
        let small = current.with(&[Change::Backbone(Backbone::Resnet18)]).unwrap();
        assert_eq!(small.options.layers, [Layer::Layer1, Layer::Layer2]);
        assert_eq!(small.changes_from(&current), "backbone: resnet18");
        let tiny = settings("{shorter: 32}").with(&[Change::Backbone(Backbone::Dinov2Vits14)]).unwrap();
        assert_eq!(tiny.options.shorter, 42);
    }

    #[test]
    fn what_changes_nothing_is_no_candidate() {
        assert_eq!(settings("{stride: 1}").with(&[Change::Stride(1)]), None);
        assert_eq!(settings("{}").with(&[Change::Layers(vec![Layer::Block4])]), None);
        assert_eq!(settings("{shorter: 32}").with(&[Change::Shorter(Scale::ThreeQuarters)]), None);
        assert_eq!(settings("{}").with(&[Change::Shorter(Scale::OneAndAHalf)]).unwrap().options.shorter, 768);
    }
}
