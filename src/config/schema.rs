//! The JSON Schema of the configuration. With it, editors complete and explain keys, and refuse the values that `check` would refuse.
//!
//! Keys, descriptions and allowed values come from the shapes of the sections. The doc comment of a field is its description here and in
//! `docs/config-reference.md`. The defaults come from config.yaml.example; a test compares them with those of the program.

use super::document::RawConfig;
use super::example::example;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema as pretty-printed JSON. Draft 7 without references, because today's editors understand that best.
pub fn schema() -> String {
    let generator = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<RawConfig>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), json!("patchcored configuration"));
        add_defaults(schema, example().as_ref());
        if let Some(defaults) = property(schema, "defaults") {
            let product = example().and_then(|example| example.get("products")?.get(0).cloned());
            add_defaults(defaults, product.as_ref());
        }
        join_lines(schema);
    }
    format!("{schema:#}\n")
}

/// Adds to each optional key its default: the value in `example`.
fn add_defaults(section: &mut Map<String, Value>, example: Option<&Value>) {
    let Some(example) = example else { return };
    let required = section.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = section.get_mut("properties") else { return };
    for (key, schema) in properties {
        let Some(schema) = schema.as_object_mut() else { continue };
        let shown = example.get(key);
        if schema.contains_key("properties") && shown.is_some_and(|shown| shown.as_object().is_some_and(|keys| !keys.is_empty())) {
            add_defaults(schema, shown);
        } else if let Some(Value::Object(items)) = schema.get_mut("items").filter(|items| items.get("properties").is_some()) {
            add_defaults(items, shown.and_then(|entries| entries.get(0)));
        } else if let Some(shown) = shown.filter(|_| !required.iter().any(|name| name == key)) {
            schema.insert("default".to_owned(), shown.clone());
        }
    }
}

fn property<'a>(section: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    section.get_mut("properties")?.get_mut(key)?.as_object_mut()
}

/// Joins the lines of a doc comment: they end at the width of the source, not at the end of the text.
fn join_lines(section: &mut Map<String, Value>) {
    for (key, value) in section {
        match value {
            Value::String(text) if key == "description" => *text = text.replace('\n', " "),
            Value::Object(inner) => join_lines(inner),
            Value::Array(entries) => entries.iter_mut().filter_map(Value::as_object_mut).for_each(join_lines),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Config;
    use crate::config::example::json;
    use crate::config::key_path::{Step, last_key, spell};
    use crate::config::sections::product::NOT_IN_DEFAULTS;
    use crate::config::shaped::known_keys;
    use std::path::Path;

    fn validator() -> jsonschema::Validator {
        jsonschema::draft7::new(&serde_json::from_str(&schema()).unwrap()).unwrap()
    }

    /// The errors of the schema, as `products/0/name: …`.
    fn refused(validator: &jsonschema::Validator, text: &str) -> Vec<String> {
        let config: Value = json(text).unwrap();
        validator.iter_errors(&config).map(|e| format!("{}: {e}", e.instance_path().as_str().trim_start_matches('/'))).collect()
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn what_check_accepts_the_schema_accepts() {
        let validator = validator();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
        let mut accepted = vec![read("config.yaml.example")];
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if Config::load(&path).is_ok() {
                accepted.push(std::fs::read_to_string(path).unwrap());
            }
        }
        assert!(accepted.len() >= 4, "the good fixtures are gone");
        for ready in ["close_write", "rename", "{quiet: 500ms}", "'quiet: 2s'", "{marker: .done}", "'marker: .done'", "null"] {
            accepted.push(format!("{{database: h, products: [{{name: a, drop: [{{path: d, ready: {ready}}}], ok: o, bank: b}}]}}"));
        }
        for text in accepted {
            assert_eq!(refused(&validator, &text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_check_refuses_key_by_key_the_schema_refuses_at_the_same_place() {
        let validator = validator();
        let product = |keys: &str| format!("{{database: /h, products: [{{name: a, drop: [{{path: /d}}], ok: /o, bank: /b, {keys}}}]}}");
        let drop = |keys: &str| format!("{{database: /h, products: [{{name: a, drop: [{{path: /d, {keys}}}], ok: /o, bank: /b}}]}}");
        let top = |keys: &str| format!("{{database: /h, products: [{{name: a, drop: [{{path: /d}}], ok: /o, bank: /b}}], {keys}}}");
        let cases = [
            (top("extra: 1"), ""),
            (top("engine: cpu"), "engine"),
            (top("engine: {device: gpu}"), "engine/device"),
            (top("engine: {device: 'cuda:'}"), "engine/device"),
            (top("engine: {precision: float16}"), "engine/precision"),
            (top("engine: {threads: 1025}"), "engine/threads"),
            (top("engine: {threads: -1}"), "engine/threads"),
            (top("engine: {bank_cache: 0}"), "engine/bank_cache"),
            (top("engine: {weights: {resnet51: /w}}"), "engine/weights"),
            (top("intake: {rescan: 30}"), "intake/rescan"),
            (top("intake: {rescan: 30 s}"), "intake/rescan"),
            (top("intake: {rescan: 1w}"), "intake/rescan"),
            (top("intake: {max_megapixels: 1001}"), "intake/max_megapixels"),
            (top("mqtt: {broker: 'tcp://b'}"), "mqtt/broker"),
            (top("mqtt: {broker: 'mqtt://me:secret@b'}"), "mqtt/broker"),
            (top("mqtt: {client_id: line 1}"), "mqtt/client_id"),
            (top("mqtt: {topic: 'line/#'}"), "mqtt/topic"),
            (top("mqtt: {publish: some}"), "mqtt/publish"),
            (top("mqtt: {keep: 999}"), "mqtt/keep"),
            (top("defaults: {name: a}"), "defaults"),
            (top("defaults: {build: {stride: 0}}"), "defaults/build/stride"),
            ("{products: [{name: a, drop: [{path: /d}], ok: /o, bank: /b}]}".to_owned(), ""),
            ("{database: /h, products: []}".to_owned(), "products"),
            ("{database: null, products: [{name: a, drop: [{path: /d}], ok: /o, bank: /b}]}".to_owned(), "database"),
            ("{database: /h, products: [{name: a b, drop: [{path: /d}], ok: /o, bank: /b}]}".to_owned(), "products/0/name"),
            ("{database: /h, products: [{name: .., drop: [{path: /d}], ok: /o, bank: /b}]}".to_owned(), "products/0/name"),
            ("{database: /h, products: [{name: a, drop: [], ok: /o, bank: /b}]}".to_owned(), "products/0/drop"),
            ("{database: /h, products: [{name: a, drop: [{recursive: true}], ok: /o, bank: /b}]}".to_owned(), "products/0/drop/0"),
            ("{database: /h, products: [{name: a, drop: [{path: /d}], bank: /b}]}".to_owned(), "products/0"),
            (drop("match: a/b"), "products/0/drop/0/match"),
            (drop("match: '*', regex: a"), "products/0/drop/0"),
            (drop("recursive: 'yes'"), "products/0/drop/0/recursive"),
            (drop("exclude: archive"), "products/0/drop/0/exclude"),
            (drop("exclude: ['']"), "products/0/drop/0/exclude/0"),
            (drop("ready: closed"), "products/0/drop/0/ready"),
            (drop("ready: {}"), "products/0/drop/0/ready"),
            (drop("ready: {quiet: 5}"), "products/0/drop/0/ready"),
            (drop("ready: {quiet: 5s, marker: .done}"), "products/0/drop/0/ready"),
            (drop("ready: {marker: ''}"), "products/0/drop/0/ready"),
            (product("build: {preset: guid}"), "products/0/build/preset"),
            (product("build: {shoter: 512}"), "products/0/build"),
            (product("build: {backbone: resnet51}"), "products/0/build/backbone"),
            (product("build: {shorter: 31}"), "products/0/build/shorter"),
            (product("build: {shorter: 8193}"), "products/0/build/shorter"),
            (product("build: {shorter: 5.5}"), "products/0/build/shorter"),
            (product("build: {stride: 65}"), "products/0/build/stride"),
            (product("build: {layers: []}"), "products/0/build/layers"),
            (product("build: {layers: [layer2, layer2]}"), "products/0/build/layers"),
            (product("build: {layers: [layer5]}"), "products/0/build/layers/0"),
            (product("build: {coreset: 1.5}"), "products/0/build/coreset"),
            (product("build: {coreset: 2%}"), "products/0/build/coreset"),
            (product("build: {coreset_method: best}"), "products/0/build/coreset_method"),
            (product("build: {reservoir_max: 0}"), "products/0/build/reservoir_max"),
            (product("build: {image_pct: 99.5}"), "products/0/build/image_pct"),
            (product("build: {calibration: none}"), "products/0/build/calibration"),
            (product("build: {neighbourhood: 2}"), "products/0/build/neighbourhood"),
            (product("build: {smoothing: 17}"), "products/0/build/smoothing"),
            (product("build: {seed: -1}"), "products/0/build/seed"),
            (product("build: {min_images: 0}"), "products/0/build/min_images"),
            (product("rebuild: {quiet_period: ''}"), "products/0/rebuild/quiet_period"),
            (product("rebuild: {keep_versions: 0}"), "products/0/rebuild/keep_versions"),
            (product("input: {width: 0}"), "products/0/input/width"),
            (product("input: {channels: 2}"), "products/0/input/channels"),
            (product("input: {bit_depth: 7}"), "products/0/input/bit_depth"),
            (product("health: {black: 100}"), "products/0/health/black"),
            (product("health: {frozen: 1}"), "products/0/health/frozen"),
            (product("mask: {open: 201}"), "products/0/mask/open"),
            (product("decide_by: score"), "products/0/decide_by"),
            (product("outputs: {heat: 1}"), "products/0/outputs/heat"),
            (product("on_ng: {command: /bin/true}"), "products/0/on_ng/command"),
            (product("on_ng: {command: []}"), "products/0/on_ng/command"),
            (product("on_ng: {command: [/bin/true, 3]}"), "products/0/on_ng/command/1"),
            (product("on_ng: {timeout: 5}"), "products/0/on_ng/timeout"),
            (product("on_ng: {concurrent: 17}"), "products/0/on_ng/concurrent"),
        ];
        for (text, place) in cases {
            let found = refused(&validator, &text);
            assert!(!found.is_empty(), "the schema accepts {text}");
            assert!(found.iter().all(|problem| problem.split(": ").next() == Some(place)), "not at {place}: {found:?}");
            assert!(Config::parse(&text).is_err(), "check accepts {text}");
        }
    }

    /// Every key of the schema, as `products[0].build.shorter`, with its schema.
    fn keys(schema: &Value, path: &[Step], found: &mut Vec<(Vec<Step>, Value)>) {
        for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = [path, &[Step::Key(key.as_str().into())]].concat();
            found.push((path.clone(), schema.clone()));
            keys(schema, &path, found);
            keys(&schema["items"], &[&path[..], &[Step::Index(0)]].concat(), found);
            for alternative in schema["anyOf"].as_array().into_iter().flatten() {
                keys(alternative, &path, found);
            }
        }
    }

    #[test]
    fn the_schema_has_every_key_that_serde_knows_and_no_other() {
        let mut found = Vec::new();
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        keys(&schema, &[], &mut found);
        assert!(found.len() > 90, "{}", found.len());
        let mut sections = vec![(Vec::new(), schema)];
        sections.extend(found.iter().filter(|(path, _)| !["engine.weights", "profiles"].contains(&&*spell(path))).cloned().map(
            |(mut path, schema)| {
                if schema.get("items").is_some() {
                    path.push(Step::Index(0));
                }
                (path, schema)
            },
        ));
        let mut compared = 0;
        for (path, _) in &sections {
            let place = spell(path);
            let mut known = known_keys::<RawConfig>(path).to_vec();
            if place == "defaults" {
                known.retain(|key| !NOT_IN_DEFAULTS.contains(key));
            }
            let mut here: Vec<String> = found
                .iter()
                .filter(|(key, _)| key.len() == path.len() + 1 && key.starts_with(path))
                .map(|(key, _)| last_key(key))
                .collect();
            known.sort();
            here.sort();
            assert_eq!(here, known, "the keys at `{place}`");
            compared += known.len();
        }
        assert!(compared > 90, "{compared}");
    }

    #[test]
    fn every_key_is_explained_and_has_a_default_unless_it_is_required() {
        let mut found = Vec::new();
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        keys(&schema, &[], &mut found);
        for (path, schema) in found {
            let place = spell(&path);
            if place.starts_with("engine.weights.") {
                continue;
            }
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.') && !description.contains("  "), "{place} is not explained: `{description}`");
            let own_keys = schema.get("properties").is_some() || schema["items"].get("properties").is_some();
            let no_default = ["database", "name", "ok", "bank", "path", "regex", "quiet", "marker"].contains(&&*last_key(&path));
            let expected = !no_default && (!own_keys || ["engine.weights", "defaults"].contains(&&*place));
            assert_eq!(schema.get("default").is_some(), expected, "{place}: {:?}", schema.get("default"));
        }
        let shorter = &schema["properties"]["products"]["items"]["properties"]["build"]["properties"]["shorter"];
        assert_eq!(shorter["default"], 512);
    }
}
