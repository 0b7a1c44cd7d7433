//! Values with a spelling of their own: words, durations, `ready:`. For each its reading, and what the schema says of it.

use crate::config::duration::{self, parse_duration};
use crate::inspection::{
    Backbone, Calibration, CoresetMethod, DecideBy, DeviceChoice, FileKind, Layer, Precision, PrecisionChoice, Publish, Readiness,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One of a fixed set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Word<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// What may stand for a word.
pub(in crate::config) trait Allowed {
    /// As JSON Schema.
    fn schema() -> Schema;
}

impl<T: Allowed> JsonSchema for Word<T> {
    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

macro_rules! allowed_words {
    ($($name:ty),+) => { $(
        impl Allowed for $name {
            fn schema() -> Schema {
                let words: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
                json_schema!({"type": "string", "enum": words})
            }
        }
    )+ };
}
allowed_words!(Backbone, Layer, CoresetMethod, Calibration, DecideBy, FileKind, Publish);

impl Allowed for PrecisionChoice {
    fn schema() -> Schema {
        let words: Vec<&str> = ["auto"].into_iter().chain(Precision::ALL.iter().map(|word| word.as_str())).collect();
        json_schema!({"type": "string", "enum": words})
    }
}

impl Allowed for DeviceChoice {
    fn schema() -> Schema {
        let words = json_schema!({"type": "string", "enum": ["auto", "cpu"]});
        json_schema!({"anyOf": [words, {"title": "cuda:N", "type": "string", "pattern": "^cuda:[0-9]+$"}, {"type": "null"}]})
    }
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Span(pub Duration);

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

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"title": "duration", "type": "string", "pattern": format!("^{}$", duration::pattern())})
    }
}

/// `ready:` as one word (`close_write`, `rename`), as text (`"quiet: 500ms"`) or as keys (`{quiet: 500ms}`).
#[derive(Debug, Clone)]
pub(in crate::config) enum RawReady {
    Text(Readiness),
    Keys(RawReadyKeys),
}

/// One of the two.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct RawReadyKeys {
    /// The file is complete when its size and times have not changed for this long. Not longer than `intake.give_up_after`.
    #[schemars(transform = super::within(super::super::drops::QUIET))]
    pub quiet: Option<Span>,
    /// The file `X.jpg` is complete when a second file stands beside it whose name ends in this, as `X.jpg.done` for `.done`.
    #[schemars(length(min = 1))]
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

impl JsonSchema for RawReady {
    fn schema_name() -> Cow<'static, str> {
        "Ready".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let as_text = format!(r"^(quiet *: *{}|marker *: *\S.*)$", duration::pattern());
        let words = json_schema!({"type": "string", "enum": ["close_write", "rename"]});
        json_schema!({"anyOf": [words, RawReadyKeys::json_schema(generator), {"type": "string", "pattern": as_text}, {"type": "null"}]})
    }
}
