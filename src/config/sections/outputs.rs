//! `outputs:` of a product: the files written for each image.

use crate::config::collector::{Problems, Scope};
use crate::config::values::{FilePath, Word};
use crate::domain::{OutputsFor, OverlayFormat};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// `outputs:`
#[derive(Debug, Clone, PartialEq)]
pub struct OutputsConfig {
    /// `X.jpg.mask.png`
    pub mask: bool,
    /// The images that get them.
    pub of: OutputsFor,
    /// `X.jpg.overlay.png` or `X.jpg.overlay.jpg`; `None` = not written.
    pub overlay: Option<OverlayFormat>,
    /// The overlay says score, tau and decision.
    pub overlay_text: bool,
    /// `X.jpg.heat.png`
    pub heat: bool,
    /// `X.jpg.side_by_side.png`; needs `reference`.
    pub side_by_side: bool,
    /// `X.jpg.scores.json`
    pub scores: bool,
    /// Folder for the outputs; `None` = next to the image.
    pub dir: Option<PathBuf>,
}

/// The shape of `outputs:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawOutputs {
    /// `X.jpg.mask.png`, white where the defect is.
    pub mask: Option<bool>,
    /// `X.jpg.overlay.png`, the image with an outline around the mask and a cross at its worst place (preset `guide`: the mask in red).
    /// `true` and `png` are the same. `jpeg` writes `X.jpg.overlay.jpg`, which is a tenth as large.
    pub overlay: Option<OverlayChoice>,
    /// Which images get these files: `all`, or only those decided `ng`.
    #[serde(rename = "for")]
    pub of: Option<Word<OutputsFor>>,
    /// Writes decision, score and tau into a corner of the overlay. Off by default, because the text covers a part of the image.
    pub overlay_text: Option<bool>,
    /// `X.jpg.heat.png`, the distances as gray values: `pixel_tau` is the middle gray (preset `guide`: the largest is white).
    pub heat: Option<bool>,
    /// `X.jpg.side_by_side.png`: reference, image, mask and overlay in one picture. Needs `reference`.
    pub side_by_side: Option<bool>,
    /// `X.jpg.scores.json`, scores and thresholds.
    pub scores: Option<bool>,
    /// The folder for these files. Without it they are written next to the image. Set it if the camera's folder is read-only or is
    /// cleared. Below it the daemon keeps the whole path of each image.
    pub dir: Option<FilePath>,
}

/// `true`, `false` or a format.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct OverlayChoice(Option<OverlayFormat>);

impl<'de> Deserialize<'de> for OverlayChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl Visitor<'_> for Choice {
            type Value = OverlayChoice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, png or jpeg")
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<OverlayChoice, E> {
                Ok(OverlayChoice(on.then_some(OverlayFormat::Png)))
            }
            fn visit_str<E: Error>(self, format: &str) -> Result<OverlayChoice, E> {
                format.parse().map(|format| OverlayChoice(Some(format))).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for OverlayChoice {
    fn schema_name() -> Cow<'static, str> {
        "OverlayChoice".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": [true, false, "png", "jpeg"]})
    }
}

/// Checks the section. `side_by_side` needs the reference image of the product.
pub(in crate::config) fn check(raw: RawOutputs, has_reference: bool, scope: &Scope<'_>, problems: &mut Problems) -> OutputsConfig {
    let outputs = OutputsConfig {
        mask: raw.mask.unwrap_or(true),
        of: raw.of.map(|Word(of)| of).unwrap_or_default(),
        overlay: raw.overlay.map_or(Some(OverlayFormat::Png), |OverlayChoice(format)| format),
        overlay_text: raw.overlay_text.unwrap_or(false),
        heat: raw.heat.unwrap_or(false),
        side_by_side: raw.side_by_side.unwrap_or(false),
        scores: raw.scores.unwrap_or(false),
        dir: raw.dir.map(|FilePath(dir)| problems.path(&scope.key("outputs.dir"), &dir)),
    };
    problems.need(
        has_reference || !outputs.side_by_side,
        scope.key("outputs.side_by_side"),
        "needs a golden image to show; add `reference: /path/to/golden.jpg` to the product, or set it to false",
    );
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let expected = OutputsConfig {
            mask: true,
            of: OutputsFor::All,
            overlay: Some(OverlayFormat::Png),
            overlay_text: false,
            heat: false,
            side_by_side: false,
            scores: false,
            dir: None,
        };
        let found = |text| check_of_product(text, |raw, scope, problems| check(raw, false, scope, problems));
        assert_eq!(found("{}"), (expected.clone(), String::new()));
        let overlay = |overlay| (OutputsConfig { overlay, ..expected.clone() }, String::new());
        assert_eq!(found("{overlay: true}"), overlay(Some(OverlayFormat::Png)));
        assert_eq!(found("{overlay: jpeg}"), overlay(Some(OverlayFormat::Jpeg)));
        assert_eq!(found("{overlay: false}"), overlay(None));
        assert_eq!(found("{for: ng}").0.of, OutputsFor::Ng);
    }

    #[test]
    fn the_side_by_side_needs_a_golden_image() {
        for (has_reference, words) in [(true, ""), (false, "products[0].outputs.side_by_side: needs a golden image to show")] {
            let (_, problems) = check_of_product("side_by_side: true", |raw, scope, problems| check(raw, has_reference, scope, problems));
            assert!(problems.starts_with(words) && problems.is_empty() == words.is_empty(), "{problems}");
        }
    }
}
