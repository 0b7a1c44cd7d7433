//! The meaning of a wrong type, an unknown key or a tag, in words for the engineer at the line.

use crate::domain::spelling::nearest;
use std::fmt;

/// Why serde refused a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// The section has no such key.
    #[error("{}", unknown_key(key, allowed))]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that the section has.
        allowed: &'static [&'static str],
    },
    /// The value has another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// The expected value.
        expected: ExpectedValue,
        /// The value that was found.
        found: Found,
    },
    /// The value has the right type, but is refused for another reason. The text says why.
    #[error("{0}")]
    Refused(String),
}

impl ReadError {
    /// The message for a problem, with `example` where an example helps.
    pub fn explain(&self, example: Option<&str>) -> String {
        match (self, example) {
            (Self::WrongType { expected: ExpectedValue::Text, found: Found::Scalar(_) }, _) => format!("{self}; put it in quotes"),
            (Self::WrongType { expected: ExpectedValue::Own(_), .. }, _) => self.to_string(),
            (Self::WrongType { .. }, Some(example)) => format!("{self}; write for example `{example}`"),
            _ => self.to_string(),
        }
    }
}

/// The values that a place may have.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedValue {
    /// `true` or `false`
    Bool,
    /// A whole number from 0 to this one.
    UpTo(u64),
    /// A whole number without a bound.
    Whole,
    /// Any number.
    Number,
    /// A text.
    Text,
    /// A list.
    List,
    /// A section.
    Section,
    /// A type of the configuration with its own words.
    Own(String),
}

impl fmt::Display for ExpectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("`true` or `false`"),
            Self::UpTo(most) => write!(f, "a whole number from 0 to {most}"),
            Self::Whole => f.write_str("a whole number of 0 or more"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("text"),
            Self::List => f.write_str("a list (in brackets, or one line per entry that begins with `- `)"),
            Self::Section => f.write_str("a section of keys"),
            Self::Own(words) => f.write_str(words),
        }
    }
}

/// The value at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// No value.
    Nothing,
    /// A number, `true` or `false`, as the file has it.
    Scalar(String),
    /// A text.
    Text(String),
    /// A list.
    List,
    /// A section.
    Section,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing (the value is missing)"),
            Self::Scalar(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::List => f.write_str("a list"),
            Self::Section => f.write_str("a section of keys"),
        }
    }
}

/// The problem of a tag: other programs read files or the environment for it.
pub fn explain_tag(tag: &str) -> String {
    format!(
        "the tag `{tag}` is not known here, where nothing is included or taken from the environment; write the value itself, or have another program put the file together"
    )
}

fn unknown_key(key: &str, allowed: &[&str]) -> String {
    if matches!(key, "image_tau" | "pixel_tau" | "tau" | "threshold") && allowed.contains(&"sensitivity") {
        return "is no key: the build measures the thresholds on the OK images; to reject more or fewer parts write `sensitivity: 1.1` \
                (more) or `sensitivity: 0.9` (fewer)"
            .to_owned();
    }
    let list = allowed.join(", ");
    match nearest(key, allowed.iter().copied()) {
        Some(near) => format!("unknown key; did you mean `{near}`? Keys allowed here: {list}"),
        None => format!("unknown key; keys allowed here: {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_keys_are_suggested() {
        let unknown = |key: &str| ReadError::UnknownKey { key: key.into(), allowed: &["shorter", "stride", "min_images"] }.explain(None);
        assert_eq!(unknown("shoter"), "unknown key; did you mean `shorter`? Keys allowed here: shorter, stride, min_images");
        assert!(unknown("Min-Images").contains("did you mean `min_images`"));
        assert_eq!(unknown("colour"), "unknown key; keys allowed here: shorter, stride, min_images");
    }

    #[test]
    fn who_looks_for_a_threshold_is_told_of_the_sensitivity() {
        let unknown = |allowed| ReadError::UnknownKey { key: "image_tau".into(), allowed }.explain(None);
        assert!(unknown(&["name", "sensitivity"]).contains("write `sensitivity: 1.1` (more)"));
        assert_eq!(unknown(&["shorter"]), "unknown key; keys allowed here: shorter");
    }

    #[test]
    fn types_are_explained_with_an_example() {
        let explained = |expected, found| ReadError::WrongType { expected, found }.explain(Some("shorter: 512"));
        assert_eq!(
            explained(ExpectedValue::UpTo(255), Found::Text("big".into())),
            "expected a whole number from 0 to 255, found the text \"big\"; write for example `shorter: 512`"
        );
        assert_eq!(explained(ExpectedValue::Text, Found::Scalar("7".into())), "expected text, found `7`; put it in quotes");
        assert_eq!(explained(ExpectedValue::Own("a path".into()), Found::List), "expected a path, found a list");
        assert_eq!(ReadError::Refused("`x` is not one of: a, b".into()).explain(Some("y")), "`x` is not one of: a, b");
    }
}
