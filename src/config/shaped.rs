//! YAML → the shape of a configuration, with every problem at once.
//!
//! serde stops at its first error, but the engineer wants all of them. So each key and value of the file is first tried alone, in a
//! document that holds only the path to it. A failure is a problem with a known key path, and its value is left out. Then the rest is read.

use super::example::example_at;
use super::key_path::{Step, spell};
use super::size;
use crate::yaml::problems::{ConfigProblem, Position};
use crate::yaml::reader::read_value;
use crate::yaml::syntax;
use crate::yaml::wording::{ReadError, explain_tag};
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

/// Reads the text as YAML. The error is for a text that is not YAML; then there is nothing more to check.
pub(super) fn parse(text: &str) -> Result<Value, Vec<ConfigProblem>> {
    size::check(text).map_err(|problem| vec![problem])?;
    let document: Value = serde_yaml::from_str(text).map_err(|error| syntax::problems(text, &error))?;
    if let Some(tag) = tag_of(&document) {
        return Err(vec![ConfigProblem::at(Position::START, explain_tag(&tag.to_string()))]);
    }
    if !document.is_mapping() {
        let message = "the file has no keys; it needs at least `database:` and `products:` (see config.yaml.example)";
        return Err(vec![ConfigProblem::at(Position::START, message)]);
    }
    Ok(document)
}

/// The document without its bad parts, and their problems. `T` is the shape of the document.
pub(super) fn keep_sound<T: DeserializeOwned>(document: Value) -> (Value, Vec<ConfigProblem>) {
    let mut problems = Vec::new();
    let sound = keep_sound_below::<T>(document, &mut Vec::new(), &mut problems).unwrap_or_default();
    (sound, problems)
}

/// A list with a bad entry is removed as a whole, so that no later entry changes its number.
fn keep_sound_below<T: DeserializeOwned>(value: Value, path: &mut Vec<Step>, problems: &mut Vec<ConfigProblem>) -> Option<Value> {
    let tagged_key = path.last().and_then(|step| if let Step::Key(Value::Tagged(key)) = step { Some(key) } else { None });
    if let Some(tag) = tagged_key.map(|key| key.tag.to_string()).or_else(|| Some(tag_of(&value)?.to_string())) {
        problems.push(ConfigProblem::of_key(spell(path), explain_tag(&tag)));
        return None;
    }
    let empty_shell = match &value {
        Value::Mapping(_) => Value::Mapping(Mapping::new()),
        Value::Sequence(_) => Value::Sequence(Vec::new()),
        leaf => leaf.clone(),
    };
    if let Err(error) = try_alone::<T>(path, empty_shell) {
        problems.push(ConfigProblem::of_key(spell(path), error.explain(example_at(path).as_deref())));
        return None;
    }
    match value {
        Value::Mapping(mapping) => {
            let mut kept = Mapping::new();
            for (key, value) in mapping {
                path.push(Step::Key(key.clone()));
                if let Some(value) = keep_sound_below::<T>(value, path, problems) {
                    kept.insert(key, value);
                }
                path.pop();
            }
            Some(Value::Mapping(kept))
        }
        Value::Sequence(entries) => {
            let mut kept = Some(Vec::new());
            for (i, entry) in entries.into_iter().enumerate() {
                path.push(Step::Index(i));
                let entry = keep_sound_below::<T>(entry, path, problems);
                kept = kept.zip(entry).map(|(mut kept, entry)| {
                    kept.push(entry);
                    kept
                });
                path.pop();
            }
            kept.map(Value::Sequence)
        }
        leaf => Some(leaf),
    }
}

fn tag_of(value: &Value) -> Option<&serde_yaml::value::Tag> {
    if let Value::Tagged(tagged) = value { Some(&tagged.tag) } else { None }
}

/// Reads a document with this one value in it.
fn try_alone<T: DeserializeOwned>(path: &[Step], value: Value) -> Result<T, ReadError> {
    let document = path.iter().rev().fold(value, |inner, step| match step {
        Step::Key(key) => Value::Mapping(Mapping::from_iter([(key.clone(), inner)])),
        Step::Index(_) => Value::Sequence(vec![inner]),
    });
    read_value(&document)
}

/// The keys of the section at `path`, from the error for a key that nobody would use.
#[cfg(test)]
pub(super) fn known_keys<T: DeserializeOwned>(path: &[Step]) -> &'static [&'static str] {
    let path = [path, &[Step::Key("no such key".into())]].concat();
    match try_alone::<T>(&path, Value::Null) {
        Err(ReadError::UnknownKey { allowed, .. }) => allowed,
        _ => &[],
    }
}
