//! Values of several sections: words, durations and paths. Each with its reading and its schema.

use crate::domain::duration::{self, parse_duration, show};
use crate::domain::{
    Backbone, Calibration, CoresetMethod, DecideBy, DeviceChoice, FileKind, Layer, OutputsFor, Precision, PrecisionChoice, Preset, Publish,
    ScoreMethod,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One of a fixed set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// The allowed values of a word.
pub(super) trait Allowed {
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
allowed_words!(Backbone, Layer, CoresetMethod, Calibration, DecideBy, FileKind, OutputsFor, Preset, Publish, ScoreMethod);

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

/// Reads a value that the file has as a text in a form of its own. Anything but a text is refused, with the words for what was expected.
pub(super) fn read_text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    expected: &'static str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);
    impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
            (self.1)(text).map_err(R::custom)
        }
    }
    deserializer.deserialize_any(Text(expected, read))
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a duration with its unit, as 500ms, 30s, 10m, 24h or 14d", |text| parse_duration(text).map(Span))
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

/// A path as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePath(pub PathBuf);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a path as /srv/camera/line1", |text| Ok::<_, Infallible>(FilePath(text.into())))
    }
}

impl JsonSchema for FilePath {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// Adds the limits of a duration to its description, because JSON Schema has no keyword for them.
pub(super) fn within((low, high): (Duration, Duration)) -> impl FnMut(&mut Schema) {
    move |schema| {
        let description = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let whole = format!("{description} {} to {}.", show(low), show(high));
        schema.insert("description".to_owned(), whole.into());
    }
}

/// These numbers, or nothing, in the form of the schema.
pub(super) fn one_of<T: Copy + Into<u64>>(numbers: &[T]) -> Vec<Value> {
    numbers.iter().map(|number| Value::from((*number).into())).chain([Value::Null]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::reader::read_value;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
        read_value(&serde_yaml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_say_what_they_are() {
        assert_eq!(read("layer2"), Ok(Word(Layer::Layer2)));
        assert_eq!(read::<Word<Publish>>("some"), Err("`some` is not one of: ng, all".into()));
        assert_eq!(read("a/b"), Ok(FilePath("a/b".into())));
        assert_eq!(read::<FilePath>("7"), Err("expected a path as /srv/camera/line1, found `7`".into()));
        assert_eq!(read::<Span>("30s").map(|span| span.0), Ok(Duration::from_secs(30)));
        assert!(read::<Span>("30").unwrap_err().starts_with("expected a duration with its unit"));
        assert!(read::<Span>("'30'").unwrap_err().starts_with("`30` has no unit"));
    }

    #[test]
    fn the_schema_lists_words_numbers_and_bounds() {
        let words = <Publish as Allowed>::schema();
        assert_eq!(words.as_value(), &serde_json::json!({"type": "string", "enum": ["ng", "all"]}));
        assert_eq!(one_of(&[1_u8, 3]), [Value::from(1), Value::from(3), Value::Null]);
        let mut schema = json_schema!({"description": "A time."});
        within((Duration::from_secs(1), Duration::from_secs(60)))(&mut schema);
        assert_eq!(schema.get("description"), Some(&Value::from("A time. 1s to 1m.")));
    }
}
