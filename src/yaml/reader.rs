//! A YAML value → the shape of a section, by serde, with structured errors.
//!
//! serde_yaml gives its errors only as English text, so this code hands the values to serde itself.

use super::wording::{ExpectedValue, Found, ReadError};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_yaml::Value;
use std::fmt;

/// Reads one value. A section or list with nothing under its heading is empty.
pub fn read_value<T: DeserializeOwned>(value: &Value) -> Result<T, ReadError> {
    T::deserialize(Reader(value))
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Refused(reason.to_string())
    }

    /// The types of the configuration call this, with their own words for what they expect.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => Found::Nothing,
            Unexpected::Bool(value) => Found::Scalar(value.to_string()),
            Unexpected::Unsigned(value) => Found::Scalar(value.to_string()),
            Unexpected::Signed(value) => Found::Scalar(value.to_string()),
            Unexpected::Float(value) => Found::Scalar(format!("{value:?}")),
            Unexpected::Str(text) => Found::Text(text.to_owned()),
            Unexpected::Seq => Found::List,
            Unexpected::Map => Found::Section,
            other => Found::Scalar(other.to_string()),
        };
        Self::WrongType { expected: ExpectedValue::Own(expected.to_string()), found }
    }

    fn unknown_field(key: &str, allowed: &'static [&'static str]) -> Self {
        Self::UnknownKey { key: key.to_owned(), allowed }
    }
}

/// One value on its way to serde.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl<'a> Reader<'a> {
    /// The value without its tag.
    fn plain(self) -> &'a Value {
        let mut value = self.0;
        while let Value::Tagged(tagged) = value {
            value = &tagged.value;
        }
        value
    }

    fn wrong_type(self, expected: ExpectedValue) -> ReadError {
        let found = match self.plain() {
            Value::Null | Value::Tagged(_) => Found::Nothing,
            Value::Bool(value) => Found::Scalar(value.to_string()),
            Value::Number(value) => Found::Scalar(value.to_string()),
            Value::String(text) => Found::Text(text.clone()),
            Value::Sequence(_) => Found::List,
            Value::Mapping(_) => Found::Section,
        };
        ReadError::WrongType { expected, found }
    }

    fn whole<T: TryFrom<u64>>(self, expected: ExpectedValue) -> Result<T, ReadError> {
        let number = self.plain().as_u64().and_then(|number| number.try_into().ok());
        number.ok_or_else(|| self.wrong_type(expected))
    }

    fn text(self, expected: ExpectedValue) -> Result<&'a str, ReadError> {
        self.plain().as_str().ok_or_else(|| self.wrong_type(expected))
    }
}

impl<'de> IntoDeserializer<'de, ReadError> for Reader<'_> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.plain() {
            Value::Null | Value::Tagged(_) => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Sequence(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let value = self.plain().as_bool().ok_or_else(|| self.wrong_type(ExpectedValue::Bool))?;
        visitor.visit_bool(value)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u8(self.whole(ExpectedValue::UpTo(u8::MAX.into()))?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u32(self.whole(ExpectedValue::UpTo(u32::MAX.into()))?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u64(self.whole(ExpectedValue::Whole)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let number = self.plain().as_f64().ok_or_else(|| self.wrong_type(ExpectedValue::Number))?;
        visitor.visit_f64(number)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text(ExpectedValue::Text)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text(ExpectedValue::Own("a key that is a word".into()))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let entries = match self.plain() {
            Value::Sequence(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err(self.wrong_type(ExpectedValue::List)),
        };
        visitor.visit_seq(SeqDeserializer::new(entries.iter().map(Reader)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let keys = match self.plain() {
            Value::Mapping(keys) => Some(keys),
            Value::Null => None,
            _ => return Err(self.wrong_type(ExpectedValue::Section)),
        };
        visitor.visit_map(MapDeserializer::new(keys.into_iter().flatten().map(|(key, value)| (Reader(key), Reader(value)))))
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u16 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        small: Option<u8>,
        share: Option<f64>,
        on: Option<bool>,
        names: Option<Vec<String>>,
        below: Option<BTreeMap<String, u64>>,
    }

    fn read(text: &str) -> Result<Section, ReadError> {
        read_value(&serde_yaml::from_str(text).unwrap())
    }

    fn wrong(expected: ExpectedValue, found: Found) -> Result<Section, ReadError> {
        Err(ReadError::WrongType { expected, found })
    }

    #[test]
    fn sound_values_are_taken() {
        let section = read("{small: 255, share: 1, on: true, names: [a], below: {x: 18446744073709551615}}").unwrap();
        let below = BTreeMap::from([("x".to_owned(), u64::MAX)]);
        let expected = Section { small: Some(255), share: Some(1.0), on: Some(true), names: Some(vec!["a".into()]), below: Some(below) };
        assert_eq!(section, expected);
        assert_eq!(read("{small: null, names: }").unwrap(), Section::default());
    }

    #[test]
    fn errors_say_what_was_expected_and_found() {
        assert_eq!(read("small: 256"), wrong(ExpectedValue::UpTo(255), Found::Scalar("256".into())));
        assert_eq!(read("small: -1"), wrong(ExpectedValue::UpTo(255), Found::Scalar("-1".into())));
        assert_eq!(read("small: 1.0"), wrong(ExpectedValue::UpTo(255), Found::Scalar("1.0".into())));
        assert_eq!(read("share: [1]"), wrong(ExpectedValue::Number, Found::List));
        assert_eq!(read("on: 'yes'"), wrong(ExpectedValue::Bool, Found::Text("yes".into())));
        assert_eq!(read("names: a"), wrong(ExpectedValue::List, Found::Text("a".into())));
        assert_eq!(read("names: [{a: 1}]"), wrong(ExpectedValue::Text, Found::Section));
        assert_eq!(read("names: [null]"), wrong(ExpectedValue::Text, Found::Nothing));
        assert_eq!(read("below: 1"), wrong(ExpectedValue::Section, Found::Scalar("1".into())));
        assert_eq!(read("7: 1"), wrong(ExpectedValue::Own("a key that is a word".into()), Found::Scalar("7".into())));
        let Err(ReadError::UnknownKey { key, allowed }) = read("smal: 1") else { panic!() };
        assert_eq!((key.as_str(), allowed), ("smal", &["small", "share", "on", "names", "below"][..]));
    }
}
