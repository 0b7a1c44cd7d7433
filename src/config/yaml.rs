//! YAML → [`RawConfig`]: the only place that names `serde_yaml`.
//!
//! serde stops at its first error, but the engineer wants all of them. So every key and value of the file is first tried alone: a
//! document that holds nothing but the way to it is read as [`RawConfig`]. What fails is a problem with a known key path and is taken
//! out; the rest is then read as a whole.

use super::bounds;
use super::check::ConfigProblem;
use super::raw::RawConfig;
use super::wording;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../config.yaml.example");

/// Keys of a product that `defaults` cannot set.
pub(super) const NOT_IN_DEFAULTS: [&str; 4] = ["name", "drop", "ok", "bank"];

/// A file as far as it could be read.
#[derive(Debug)]
pub(super) struct Read {
    /// The sound part, with `defaults` merged into each product.
    pub raw: RawConfig,
    /// The same as JSON, with only the keys that the file has.
    pub document: serde_json::Value,
    /// For each product the keys, relative to it, that came from `defaults`.
    pub inherited: Vec<BTreeSet<String>>,
    /// Unknown keys and values of the wrong type.
    pub problems: Vec<ConfigProblem>,
}

/// One step from the top of the file to a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Key(Value),
    Index(usize),
}

/// Reads the text. The error is for a text that is no YAML, so that nothing more can be said.
pub(super) fn read(text: &str) -> Result<Read, ConfigProblem> {
    let text = text.trim_start_matches('\u{feff}');
    bounds::check(text)?;
    let document: Value = serde_yaml::from_str(text).map_err(|e| syntax_problem(&e))?;
    if let Some(tag) = tag_of(&document) {
        return Err(ConfigProblem { key: "line 1".into(), message: wording::explain_tag(&tag.to_string()) });
    }
    if !document.is_mapping() {
        let message = "the file has no keys; it needs at least `database:` and `products:` (see config.yaml.example)";
        return Err(ConfigProblem { key: "line 1".into(), message: message.into() });
    }
    let products = document.get("products").and_then(Value::as_sequence).map_or(0, Vec::len);
    if products > bounds::PRODUCTS {
        let message = format!("has {products} entries, and {} is the most; give the others to another daemon", bounds::PRODUCTS);
        return Err(ConfigProblem { key: "products".into(), message });
    }
    let mut problems = Vec::new();
    let mut sound = keep_sound(document, &mut Vec::new(), &mut problems).unwrap_or_default();
    let inherited = merge_defaults(&mut sound);
    let unusable = |e: serde_yaml::Error| ConfigProblem { key: "the file".into(), message: e.to_string() };
    let document = serde_yaml::from_value(sound.clone()).map_err(unusable)?;
    let raw = serde_yaml::from_value(sound).map_err(unusable)?;
    Ok(Read { raw, document, inherited, problems })
}

fn syntax_problem(error: &serde_yaml::Error) -> ConfigProblem {
    let place = error.location();
    let key = place.as_ref().map_or_else(|| "the file".into(), |at| format!("line {}, column {}", at.line(), at.column()));
    let suffix = place.map_or_else(String::new, |at| format!(" at line {} column {}", at.line(), at.column()));
    ConfigProblem { key, message: wording::explain_syntax(&error.to_string().replacen(&suffix, "", 1)) }
}

/// What is left of `value` without its bad parts. A list with a bad entry goes as a whole, so that no later entry changes its number.
fn keep_sound(value: Value, path: &mut Vec<Step>, problems: &mut Vec<ConfigProblem>) -> Option<Value> {
    let tagged_key = path.last().and_then(|step| if let Step::Key(Value::Tagged(key)) = step { Some(key) } else { None });
    if let Some(tag) = tagged_key.map(|key| key.tag.to_string()).or_else(|| Some(tag_of(&value)?.to_string())) {
        problems.push(ConfigProblem { key: spell(path), message: wording::explain_tag(&tag) });
        return None;
    }
    let empty_shell = match &value {
        Value::Mapping(_) => Value::Mapping(Mapping::new()),
        Value::Sequence(_) => Value::Sequence(Vec::new()),
        leaf => leaf.clone(),
    };
    if let Err(error) = try_alone(path, empty_shell) {
        let found = wording::explain(&error.to_string(), &last_key(path), example_at(path).as_deref());
        problems.push(ConfigProblem { key: spell(path), message: found });
        return None;
    }
    match value {
        Value::Mapping(mapping) => {
            let mut kept = Mapping::new();
            for (key, value) in mapping {
                path.push(Step::Key(key.clone()));
                if let Some(value) = keep_sound(value, path, problems) {
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
                let entry = keep_sound(entry, path, problems);
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
fn try_alone(path: &[Step], value: Value) -> Result<RawConfig, serde_yaml::Error> {
    let document = path.iter().rev().fold(value, |inner, step| match step {
        Step::Key(key) => Value::Mapping(Mapping::from_iter([(key.clone(), inner)])),
        Step::Index(_) => Value::Sequence(vec![inner]),
    });
    serde_yaml::from_value(document)
}

/// Puts what `defaults` sets into each product that does not set it itself, section by section.
fn merge_defaults(document: &mut Value) -> Vec<BTreeSet<String>> {
    let mut defaults = document.get("defaults").and_then(Value::as_mapping).cloned().unwrap_or_default();
    for key in NOT_IN_DEFAULTS {
        defaults.remove(key);
    }
    let products = document.get_mut("products").and_then(Value::as_sequence_mut).map(Vec::as_mut_slice).unwrap_or_default();
    let mut all_inherited = Vec::new();
    for product in products.iter_mut() {
        let mut inherited = BTreeSet::new();
        if let Value::Mapping(product) = product {
            merge(product, &defaults, "", &mut inherited);
        }
        all_inherited.push(inherited);
    }
    all_inherited
}

/// A section with nothing under its heading takes all of the defaults; an explicit `null` for a single value stands.
fn merge(own: &mut Mapping, defaults: &Mapping, prefix: &str, inherited: &mut BTreeSet<String>) {
    for (key, default) in defaults {
        let path = format!("{prefix}{}", scalar(key));
        match (own.get_mut(key), default) {
            (Some(Value::Mapping(own)), Value::Mapping(default)) => merge(own, default, &format!("{path}."), inherited),
            (None, _) | (Some(Value::Null), Value::Mapping(_)) => {
                own.insert(key.clone(), default.clone());
                inherited.insert(path);
            }
            (Some(_), _) => {}
        }
    }
}

/// `products[0].build.shorter`
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

pub(super) fn last_key(path: &[Step]) -> String {
    path.iter().rev().find_map(|step| if let Step::Key(key) = step { Some(scalar(key)) } else { None }).unwrap_or_default()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Tagged(tagged) => scalar(&tagged.value),
        other => serde_yaml::to_string(other).map(|text| text.trim().to_owned()).unwrap_or_default(),
    }
}

/// The example configuration, which shows every key with its default.
pub(super) fn example() -> Option<serde_json::Value> {
    json(EXAMPLE)
}

/// A text as JSON has it.
pub(super) fn json(text: &str) -> Option<serde_json::Value> {
    serde_yaml::from_str(text).ok()
}

/// What the example configuration has there, as `shorter: 512`.
fn example_at(path: &[Step]) -> Option<String> {
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

/// The keys that serde knows at `path`, from its answer to one that nobody can mean.
#[cfg(test)]
pub(super) fn known_keys(path: &[Step]) -> Vec<String> {
    let path = [path, &[Step::Key("no such key".into())]].concat();
    let error = try_alone(&path, Value::Null).map_or_else(|error| error.to_string(), |_| String::new());
    wording::allowed_keys(&error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Word;
    use crate::inspection::DecideBy;

    fn problems(text: &str) -> Vec<String> {
        match read(text) {
            Ok(read) => read.problems.into_iter().map(|p| format!("{}: {}", p.key, p.message)).collect(),
            Err(p) => vec![format!("{}: {}", p.key, p.message)],
        }
    }

    fn compare_with_schema(value: &Value, path: &mut Vec<Step>, missing: &mut Vec<String>) {
        let entries: Vec<(Step, Value)> = match value {
            Value::Mapping(m) => m.iter().map(|(k, v)| (Step::Key(k.clone()), v.clone())).collect(),
            // Entries of a list show different keys (`match` or `regex`), so they count together.
            Value::Sequence(s) if s.iter().any(Value::is_mapping) => {
                let mut all = Mapping::new();
                for (k, v) in s.iter().filter_map(Value::as_mapping).flatten() {
                    let better = all.get(k).is_none_or(|old: &Value| !old.is_mapping());
                    if better {
                        all.insert(k.clone(), v.clone());
                    }
                }
                vec![(Step::Index(0), Value::Mapping(all))]
            }
            _ => return,
        };
        let is_weights = matches!(path.last(), Some(Step::Key(Value::String(key))) if key == "weights" || key == "defaults");
        if value.is_mapping() && !is_weights {
            for key in known_keys(path) {
                if value.get(key.as_str()).is_none() {
                    missing.push(format!("{}.{key}", spell(path)));
                }
            }
        }
        for (step, value) in entries {
            path.push(step);
            compare_with_schema(&value, path, missing);
            path.pop();
        }
    }

    #[test]
    fn the_example_has_every_key_and_no_other() {
        let text = EXAMPLE;
        assert_eq!(problems(text), Vec::<String>::new());
        let mut missing = Vec::new();
        compare_with_schema(&serde_yaml::from_str(text).unwrap(), &mut Vec::new(), &mut missing);
        // `ready` has two keys that exclude each other.
        missing.retain(|key| key != "products[0].drop[0].ready.marker");
        assert_eq!(missing, Vec::<String>::new(), "keys that the schema knows and the example does not show");
    }

    #[test]
    fn the_comparison_with_the_schema_can_fail() {
        let mut missing = Vec::new();
        compare_with_schema(&serde_yaml::from_str("database: x\nengine: {device: cpu}").unwrap(), &mut Vec::new(), &mut missing);
        for key in [".intake", ".products", "engine.precision", "engine.weights"] {
            assert!(missing.iter().any(|m| m == key), "{key} in {missing:?}");
        }
    }

    #[test]
    fn every_problem_is_found_in_one_go() {
        let found = problems(
            "databse: /x\nengine: {threads: -1, weights: {resnet5: /w}}\nintake: {rescan: 30}\nproducts:\n- name: 7\n  build: {shorter: big, layers: [layer2, layer9], cofeset: 1}\n- rebuild: {max_wait: 5 min}\n  drop: /srv\n",
        );
        let keys: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "databse",
                "engine.threads",
                "engine.weights.resnet5",
                "intake.rescan",
                "products[0].name",
                "products[0].build.shorter",
                "products[0].build.layers[1]",
                "products[0].build.cofeset",
                "products[1].rebuild.max_wait",
                "products[1].drop"
            ]
        );
    }

    #[test]
    fn a_tag_is_a_problem_with_its_key() {
        let found = problems(
            "database: !secret db\ndefaults: !include defaults.yaml\nproducts:\n- name: a\n  ok: !ENV [OK, /ok]\n  build: {layers: [layer2, !x layer3]}\n  !y bank: /b\n  drop: !!seq [{path: !!str /d}]\n",
        );
        let keys: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["database", "defaults", "products[0].ok", "products[0].build.layers[1]", "products[0].bank"], "{found:?}");
        for (problem, tag) in found.iter().zip(["!secret", "!include", "!ENV", "!x", "!y"]) {
            assert!(problem.contains(&format!("the tag `{tag}` is not known")), "{problem}");
        }
        assert!(problems("!include all.yaml")[0].contains("the tag `!include`"));
    }

    #[test]
    fn defaults_are_merged_section_by_section() {
        let read = read(
            "defaults: {build: {shorter: 256, seed: 7}, decide_by: mask, outputs: {dir: /o}, name: x}\nproducts:\n- build: {shorter: 64}\n- build:\n  decide_by: image\n  outputs: {dir: null, heat: true}\n",
        )
        .unwrap();
        let products = read.raw.products.unwrap();
        let build = |i: usize| products[i].build.as_ref().unwrap();
        assert_eq!((build(0).shorter, build(0).seed), (Some(64), Some(7)));
        assert_eq!((build(1).shorter, build(1).seed), (Some(256), Some(7)));
        assert_eq!(products[0].decide_by, Some(Word(DecideBy::Mask)));
        assert_eq!(products[1].decide_by, Some(Word(DecideBy::Image)));
        assert_eq!(products[1].outputs.as_ref().unwrap().dir, None);
        assert_eq!(products[0].name, None);
        assert_eq!(read.inherited[0], BTreeSet::from(["build.seed", "decide_by", "outputs"].map(String::from)));
    }
}
