//! The serde shapes of the YAML file, one struct per section. Every key is optional here and unknown keys are refused; what is
//! required, and which values make sense, is decided in `check`.

use super::MinFree;
use super::duration::parse_duration;
use crate::inspection::{Backbone, Calibration, CoresetMethod, DeviceChoice, FileKind, Layer, PrecisionChoice, Readiness};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawConfig {
    pub database: Option<PathBuf>,
    pub engine: Option<RawEngine>,
    pub intake: Option<RawIntake>,
    pub defaults: Option<RawProduct>,
    pub products: Option<Vec<RawProduct>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawEngine {
    pub device: Option<Word<DeviceChoice>>,
    pub precision: Option<Word<PrecisionChoice>>,
    pub threads: Option<u32>,
    pub bank_cache: Option<u32>,
    pub weights: Option<BTreeMap<Word<Backbone>, PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawIntake {
    pub rescan: Option<Span>,
    pub give_up_after: Option<Span>,
    pub max_megapixels: Option<u32>,
}

/// An entry of `products`, and `defaults` (in which the first four keys are refused later).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawProduct {
    pub name: Option<String>,
    pub drop: Option<Vec<RawDrop>>,
    pub ok: Option<PathBuf>,
    pub bank: Option<PathBuf>,
    pub reference: Option<PathBuf>,
    pub build: Option<RawBuild>,
    pub rebuild: Option<RawRebuild>,
    pub input: Option<RawInput>,
    pub health: Option<RawHealth>,
    pub mask: Option<RawMask>,
    pub decide_by: Option<String>,
    pub outputs: Option<RawOutputs>,
    /// How long files are kept, and what may go when a disk is short of space. Default: everything is kept for ever.
    pub retention: Option<RawRetention>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawDrop {
    pub path: Option<PathBuf>,
    #[serde(rename = "match")]
    pub glob: Option<String>,
    pub regex: Option<String>,
    pub recursive: Option<bool>,
    pub ready: Option<RawReady>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawBuild {
    pub preset: Option<String>,
    pub backbone: Option<Word<Backbone>>,
    pub shorter: Option<u32>,
    pub stride: Option<u32>,
    pub layers: Option<Vec<Word<Layer>>>,
    pub coreset: Option<f64>,
    pub coreset_method: Option<Word<CoresetMethod>>,
    pub reservoir_max: Option<u32>,
    pub pixel_pct: Option<f64>,
    pub image_pct: Option<f64>,
    pub calibration: Option<Word<Calibration>>,
    pub neighbourhood: Option<u32>,
    pub smoothing: Option<u32>,
    pub seed: Option<u64>,
    pub min_images: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawRebuild {
    pub quiet_period: Option<Span>,
    pub max_wait: Option<Span>,
    pub keep_versions: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawInput {
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub channels: Option<u8>,
    pub bit_depth: Option<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawHealth {
    pub black: Option<u32>,
    pub saturated: Option<u32>,
    pub frozen: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawMask {
    pub open: Option<u32>,
    pub close: Option<u32>,
    pub min_area: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawOutputs {
    pub mask: Option<bool>,
    pub overlay: Option<bool>,
    pub heat: Option<bool>,
    pub side_by_side: Option<bool>,
    pub scores: Option<bool>,
    pub dir: Option<PathBuf>,
}

/// How long files are kept. Only files that the history knows are deleted; its rows are kept for ever.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawRetention {
    /// Mask, overlay and the other outputs of images decided `ok` are deleted this long after the decision, as `14d`. Default: never.
    pub ok_outputs: Option<Span>,
    /// The same for images decided `ng`. Default: never.
    pub ng_outputs: Option<Span>,
    /// The images themselves that were decided `ok` are deleted this long after the decision, as `30d`. Default: never.
    pub ok_images: Option<Span>,
    /// The same for images decided `ng`. Default: never.
    pub ng_images: Option<Span>,
    /// Free space to keep on the disks of the drop folders and of `outputs.dir`, as `10%` of the disk or `20GB`. When there is less, the
    /// oldest files that `when_full` names are deleted, whatever their age, until there is enough again. Default: none.
    pub min_free: Option<MinFree>,
    /// The files that `min_free` may delete: any of ok_outputs, ok_images, ng_outputs, ng_images. They always go in this order. Default:
    /// ok_outputs alone.
    pub when_full: Option<Vec<Word<FileKind>>>,
    /// No file is deleted earlier than this after the decision, even when the disk is full. Default: 1h.
    pub keep_at_least: Option<Span>,
}

/// One of a fixed set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, as 500ms, 30s, 10m, 24h or 14d")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                parse_duration(text).map(Span).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// `ready:` as one word (`close_write`, `rename`), as text (`"quiet: 500ms"`) or as keys (`{quiet: 500ms}`).
#[derive(Debug, Clone)]
pub(super) enum RawReady {
    Text(Readiness),
    Keys(RawReadyKeys),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a section of keys")]
pub(super) struct RawReadyKeys {
    pub quiet: Option<Span>,
    pub marker: Option<String>,
}

impl FromStr for RawReady {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let readiness = match text.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            None if text == "close_write" => Readiness::CloseWrite,
            None if text == "rename" => Readiness::Rename,
            Some(("quiet", span)) => Readiness::Quiet(parse_duration(span)?),
            Some(("marker", suffix)) => Readiness::Marker(suffix.to_owned()),
            _ => return Err(format!("`{text}` is not one of: close_write, rename, {{quiet: 500ms}}, {{marker: .done}}")),
        };
        Ok(Self::Text(readiness))
    }
}

impl<'de> Deserialize<'de> for RawReady {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrKeys;
        impl<'de> Visitor<'de> for TextOrKeys {
            type Value = RawReady;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("close_write, rename, {quiet: 500ms} or {marker: .done}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawReady, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawReady, A::Error> {
                RawReadyKeys::deserialize(MapAccessDeserializer::new(map)).map(RawReady::Keys)
            }
        }
        deserializer.deserialize_any(TextOrKeys)
    }
}
