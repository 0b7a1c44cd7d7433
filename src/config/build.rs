//! `build:` of a product.

use super::check::{Problems, Scope};
use super::raw::{RawBuild, Word};
use crate::inspection::{BuildOptions, Calibration};

/// The only preset.
pub(super) const GUIDE: &str = "guide";

/// A checked `build:` section.
pub(super) struct Built {
    pub options: BuildOptions,
    pub guide: bool,
    pub min_images: usize,
}

pub(super) fn check(raw: RawBuild, scope: &Scope<'_>, problems: &mut Problems) -> Built {
    let guide = match raw.preset.as_deref() {
        None => false,
        Some(GUIDE) => true,
        Some(other) => {
            problems.add(scope.key("build.preset"), format!("`{other}` is not a preset; the only one is `{GUIDE}`, or leave it out"));
            false
        }
    };
    let base = if guide { BuildOptions::default().guide() } else { BuildOptions::default() };
    let options = BuildOptions {
        backbone: raw.backbone.map_or(base.backbone, |Word(b)| b),
        shorter: raw.shorter.unwrap_or(base.shorter),
        stride: raw.stride.unwrap_or(base.stride),
        layers: raw.layers.map_or(base.layers.clone(), |layers| layers.into_iter().map(|Word(l)| l).collect()),
        coreset: raw.coreset.unwrap_or(base.coreset),
        coreset_method: raw.coreset_method.map_or(base.coreset_method, |Word(m)| m),
        reservoir_max: raw.reservoir_max.map_or(base.reservoir_max, |n| n as usize),
        pixel_pct: raw.pixel_pct.unwrap_or(base.pixel_pct),
        image_pct: raw.image_pct.unwrap_or(base.image_pct),
        calibration: raw.calibration.map_or(base.calibration, |Word(c)| c),
        neighbourhood: raw.neighbourhood.unwrap_or(base.neighbourhood),
        smoothing: raw.smoothing.unwrap_or(base.smoothing),
        seed: raw.seed.unwrap_or(base.seed),
    };
    for (key, message) in options.problems() {
        problems.add(scope.key(&format!("build.{key}")), message);
    }
    if guide {
        refuse_against_preset(&options, scope, problems);
    }
    let min_images = raw.min_images.unwrap_or(10);
    let (least, why) = match options.calibration {
        Calibration::HeldOut => (2, "2, as calibration `held_out` measures each image against the others"),
        Calibration::InSample => (1, "1"),
    };
    problems.need(min_images >= least, scope.key("build.min_images"), format!("{min_images} is too few; use at least {why}"));
    Built { options, guide, min_images: min_images as usize }
}

fn refuse_against_preset(options: &BuildOptions, scope: &Scope<'_>, problems: &mut Problems) {
    let preset = options.clone().guide();
    let pairs = [
        ("coreset_method", options.coreset_method.to_string(), preset.coreset_method.to_string()),
        ("calibration", options.calibration.to_string(), preset.calibration.to_string()),
        ("neighbourhood", options.neighbourhood.to_string(), preset.neighbourhood.to_string()),
        ("smoothing", options.smoothing.to_string(), preset.smoothing.to_string()),
    ];
    for (key, given, needed) in pairs {
        let message = format!("{given} contradicts `preset: guide`, which means {needed}; remove one of the two");
        problems.need(given == needed, scope.key(&format!("build.{key}")), message);
    }
}
