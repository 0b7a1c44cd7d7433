//! The path from the top of the file to a value, and how it is spelled.

use serde_yaml::Value;

/// One step from the top of the file to a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Into a section, to the value of this key.
    Key(Value),
    /// Into a list, to the entry with this number.
    Index(usize),
}

/// The path as `products[0].build.shorter`.
pub(super) fn spell(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(i) => text.push_str(&format!("[{i}]")),
            Step::Key(key) if text.is_empty() => text.push_str(&scalar(key)),
            Step::Key(key) => text.push_str(&format!(".{}", scalar(key))),
        }
    }
    text
}

/// A key as it is spelled in a path.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Tagged(tagged) => scalar(&tagged.value),
        other => serde_yaml::to_string(other).map(|text| text.trim().to_owned()).unwrap_or_default(),
    }
}

/// The last key of the path.
#[cfg(test)]
pub(super) fn last_key(path: &[Step]) -> String {
    path.iter().rev().find_map(|step| if let Step::Key(key) = step { Some(scalar(key)) } else { None }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_spelled_with_dots_and_brackets() {
        let path = [Step::Key("products".into()), Step::Index(3), Step::Key("drop".into()), Step::Index(0)];
        assert_eq!((spell(&path), last_key(&path)), ("products[3].drop[0]".to_owned(), "drop".to_owned()));
        assert_eq!(spell(&[Step::Key(7.into())]), "7");
    }
}
