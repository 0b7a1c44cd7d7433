//! From what a person wrote about a build to all options of it.

use super::{Backbone, BuildOptions, Calibration, CoresetMethod, Grouping, Layer, Preset, ScoreMethod};

/// The options that a person named; `None` = left to the preset and the way of scoring. The keys are those of [`BuildOptions`].
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "every field is that of BuildOptions")]
pub struct GivenOptions {
    pub preset: Option<Preset>,
    pub backbone: Option<Backbone>,
    pub shorter: Option<u32>,
    pub stride: Option<u32>,
    pub layers: Option<Vec<Layer>>,
    pub score: Option<ScoreMethod>,
    pub coreset: Option<f64>,
    pub coreset_method: Option<CoresetMethod>,
    pub reservoir_max: Option<usize>,
    pub pixel_pct: Option<f64>,
    pub mask_pct: Option<f64>,
    pub image_pct: Option<f64>,
    pub calibration: Option<Calibration>,
    pub groups: Option<Grouping>,
    pub neighbourhood: Option<u32>,
    pub smoothing: Option<u32>,
    pub seed: Option<u64>,
}

impl GivenOptions {
    /// All options, and what contradicts itself as (key, reason and remedy).
    ///
    /// Some keys have a meaning for one way of scoring only. One of `neighbourhood`, `smoothing`, `pixel_pct`, `calibration: in_sample`
    /// and `coreset_method: kmeans` alone means `score: guide`, so that a configuration of version 0.1.0 keeps its meaning.
    ///
    /// ```
    /// use patchcored::domain::{GivenOptions, ScoreMethod};
    /// let (options, problems) = GivenOptions { neighbourhood: Some(5), ..GivenOptions::default() }.resolve();
    /// assert_eq!((options.score, options.coreset, problems.len()), (ScoreMethod::Guide, 0.02, 0));
    /// ```
    pub fn resolve(self) -> (BuildOptions, Vec<(&'static str, String)>) {
        let of_guide = self.keys_of_guide();
        let asked = self.score.or(self.preset.map(|preset| if preset == Preset::Guide { ScoreMethod::Guide } else { ScoreMethod::Levels }));
        let score = asked.unwrap_or(if of_guide.is_empty() { ScoreMethod::Levels } else { ScoreMethod::Guide });
        let mut problems = self.contradictions(score, &of_guide);
        let base = base(self.preset, score, self.backbone.unwrap_or(Backbone::Resnet50));
        let image_pct = self.image_pct.unwrap_or(base.image_pct);
        // With levels, `pixel_pct` stands in bank_config.json for those who read it there.
        let mask_pct = if score == ScoreMethod::Levels { self.mask_pct.unwrap_or(image_pct) } else { base.mask_pct };
        let pixel_pct = if score == ScoreMethod::Levels { mask_pct } else { self.pixel_pct.unwrap_or(base.pixel_pct) };
        let options = BuildOptions {
            backbone: base.backbone,
            shorter: self.shorter.unwrap_or(base.shorter),
            stride: self.stride.unwrap_or(base.stride),
            layers: self.layers.clone().unwrap_or(base.layers.clone()),
            score,
            coreset: self.coreset.unwrap_or(base.coreset),
            coreset_method: self.coreset_method.unwrap_or(base.coreset_method),
            reservoir_max: self.reservoir_max.unwrap_or(base.reservoir_max),
            pixel_pct,
            mask_pct,
            image_pct,
            calibration: self.calibration.unwrap_or(base.calibration),
            groups: self.groups.clone().unwrap_or(base.groups.clone()),
            neighbourhood: self.neighbourhood.unwrap_or(base.neighbourhood),
            smoothing: self.smoothing.unwrap_or(base.smoothing),
            seed: self.seed.unwrap_or(base.seed),
        };
        if self.preset == Some(Preset::Guide) {
            problems.extend(against_guide(&options, &base));
        }
        problems.extend(options.problems());
        (options, problems)
    }

    /// The keys that are given and mean something for the largest distance only.
    fn keys_of_guide(&self) -> Vec<&'static str> {
        let given = [
            ("neighbourhood", self.neighbourhood.is_some()),
            ("smoothing", self.smoothing.is_some()),
            ("pixel_pct", self.pixel_pct.is_some()),
            ("calibration", self.calibration == Some(Calibration::InSample)),
            ("coreset_method", self.coreset_method == Some(CoresetMethod::Kmeans)),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
    }

    fn contradictions(&self, score: ScoreMethod, of_guide: &[&'static str]) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if score == ScoreMethod::Levels {
            let text = "belongs to `score: guide`, but this bank is to be scored by `levels`; remove one of the two";
            problems.extend(of_guide.iter().map(|key| (*key, text.to_owned())));
        } else {
            let text = "belongs to `score: levels`, but this bank is to be scored as the guide does; remove it";
            let given = [("mask_pct", self.mask_pct.is_some()), ("groups", self.groups.is_some())];
            problems.extend(given.into_iter().filter(|(_, given)| *given).map(|(key, _)| (key, text.to_owned())));
        }
        if self.preset == Some(Preset::Guide) && score == ScoreMethod::Levels {
            problems.push(("score", "levels contradicts `preset: guide`, which means guide; remove one of the two".to_owned()));
        }
        problems
    }
}

/// What applies to the keys that are left out.
fn base(preset: Option<Preset>, score: ScoreMethod, backbone: Backbone) -> BuildOptions {
    let options = match score {
        ScoreMethod::Guide if preset == Some(Preset::Guide) => BuildOptions::guide(),
        ScoreMethod::Guide => BuildOptions::largest_distance(),
        ScoreMethod::Levels => BuildOptions::default(),
    };
    let usual = backbone.default_shorter();
    let shorter = match preset {
        Some(Preset::Fast) => usual / 4 * 3,
        Some(Preset::Fine) => usual / 2 * 3,
        Some(Preset::Guide | Preset::Default) | None => usual,
    };
    BuildOptions { backbone, shorter, stride: backbone.default_stride(), layers: backbone.default_layers(), ..options }
}

fn against_guide(options: &BuildOptions, preset: &BuildOptions) -> Vec<(&'static str, String)> {
    let pairs = [
        ("coreset_method", options.coreset_method.to_string(), preset.coreset_method.to_string()),
        ("calibration", options.calibration.to_string(), preset.calibration.to_string()),
        ("neighbourhood", options.neighbourhood.to_string(), preset.neighbourhood.to_string()),
        ("smoothing", options.smoothing.to_string(), preset.smoothing.to_string()),
    ];
    let differing = pairs.into_iter().filter(|(_, given, needed)| given != needed);
    let text = |given, needed| format!("{given} contradicts `preset: guide`, which means {needed}; remove one of the two");
    differing.map(|(key, given, needed)| (key, text(given, needed))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(given: GivenOptions) -> (BuildOptions, String) {
        let (options, problems) = given.resolve();
        (options, problems.into_iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let none = GivenOptions::default();
        assert_eq!(resolved(none.clone()), (BuildOptions::default(), String::new()));
        assert_eq!(resolved(GivenOptions { preset: Some(Preset::Default), ..none.clone() }).0, BuildOptions::default());
        let strict = resolved(GivenOptions { image_pct: Some(0.9), ..none }).0;
        assert_eq!((strict.mask_pct, strict.pixel_pct), (0.9, 0.9));
    }

    #[test]
    fn size_and_layers_follow_the_backbone() {
        let of = |preset, backbone| {
            let options = resolved(GivenOptions { preset, backbone: Some(backbone), ..GivenOptions::default() }).0;
            (options.shorter, options.stride, options.layers[0])
        };
        assert_eq!(of(Some(Preset::Fast), Backbone::EfficientnetLite0), (384, 2, Layer::Layer2));
        assert_eq!(of(Some(Preset::Fine), Backbone::EfficientnetLite0), (768, 2, Layer::Layer2));
        assert_eq!(of(None, Backbone::Dinov2Vits14), (448, 1, Layer::Block4));
    }

    #[test]
    fn keys_of_version_0_1_0_keep_their_meaning() {
        let old = |given: GivenOptions| {
            let (options, problems) = resolved(given);
            assert_eq!(problems, "");
            options
        };
        let none = GivenOptions::default();
        let base = BuildOptions::largest_distance();
        assert_eq!(old(GivenOptions { smoothing: Some(3), ..none.clone() }), BuildOptions { smoothing: 3, ..base.clone() });
        assert_eq!(old(GivenOptions { pixel_pct: Some(0.9), ..none.clone() }), BuildOptions { pixel_pct: 0.9, ..base.clone() });
        let in_sample = Calibration::InSample;
        assert_eq!(
            old(GivenOptions { calibration: Some(in_sample), ..none.clone() }),
            BuildOptions { calibration: in_sample, ..base.clone() }
        );
        let kmeans = CoresetMethod::Kmeans;
        assert_eq!(old(GivenOptions { coreset_method: Some(kmeans), ..none.clone() }), BuildOptions { coreset_method: kmeans, ..base });
        assert_eq!(old(GivenOptions { preset: Some(Preset::Guide), ..none }), BuildOptions::guide());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let none = GivenOptions::default();
        let levels = Some(ScoreMethod::Levels);
        for (given, words) in [
            (GivenOptions { score: levels, smoothing: Some(3), ..none.clone() }, "smoothing: belongs to `score: guide`"),
            (GivenOptions { preset: Some(Preset::Fine), neighbourhood: Some(3), ..none.clone() }, "neighbourhood: belongs to"),
            (GivenOptions { preset: Some(Preset::Guide), score: levels, ..none.clone() }, "score: levels contradicts `preset: guide`"),
            (GivenOptions { preset: Some(Preset::Guide), smoothing: Some(3), ..none.clone() }, "smoothing: 3 contradicts `preset: guide`"),
            (GivenOptions { smoothing: Some(3), groups: Some(Grouping::None), ..none.clone() }, "groups: belongs to `score: levels`"),
            (GivenOptions { image_pct: Some(1.0), ..none.clone() }, "image_pct: 1 is out of range with `score: levels`"),
            (GivenOptions { groups: Some(Grouping::Pattern("x".into())), ..none }, "groups: `x` has no (?P<group>…)"),
        ] {
            let (_, problems) = resolved(given);
            assert!(problems.starts_with(words), "{problems}");
        }
    }
}
