//! The example configuration, which shows every key with its default.

use super::key_path::{Step, scalar};
use serde_yaml::Value;

/// Its text.
pub(super) const EXAMPLE: &str = include_str!("../../config.yaml.example");

/// The example as JSON.
pub(super) fn example() -> Option<serde_json::Value> {
    json(EXAMPLE)
}

/// A YAML text as JSON.
pub(super) fn json(text: &str) -> Option<serde_json::Value> {
    serde_yaml::from_str(text).ok()
}

/// The example's text at `path`, as `shorter: 512`; `None` for a section.
pub(super) fn example_at(path: &[Step]) -> Option<String> {
    let example: Value = serde_yaml::from_str(EXAMPLE).ok()?;
    let mut here = &example;
    for step in path {
        here = match step {
            Step::Key(Value::String(key)) if key == "defaults" => example.get("products")?.get(0)?,
            Step::Key(key) => here.get(key)?,
            Step::Index(_) => here.get(0)?,
        };
    }
    let written = |value: &Value| serde_yaml::to_string(value).map(|text| text.trim().to_owned()).ok();
    let value = match here {
        Value::Null | Value::Mapping(_) | Value::Tagged(_) => return None,
        Value::Sequence(entries) if entries.iter().any(|e| e.is_mapping() || e.is_sequence()) => return None,
        Value::Sequence(entries) => format!("[{}]", entries.iter().filter_map(written).collect::<Vec<_>>().join(", ")),
        scalar => written(scalar)?,
    };
    match path.last()? {
        Step::Key(key) => Some(format!("{}: {value}", scalar(key))),
        Step::Index(_) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_shows_a_value_for_each_key() {
        let key = |key: &str| Step::Key(key.into());
        assert_eq!(example_at(&[key("engine"), key("threads")]).as_deref(), Some("threads: 0"));
        assert_eq!(example_at(&[key("defaults"), key("build"), key("shorter")]).as_deref(), Some("shorter: 512"));
        assert_eq!(example_at(&[key("engine")]), None);
        assert_eq!(example_at(&[key("unknown")]), None);
    }
}
