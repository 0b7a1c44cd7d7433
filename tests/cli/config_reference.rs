//! docs/config-reference.md is made from the schema, and so cannot fall behind it.

use crate::helper::run_ok;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

const INTRODUCTION: &str = "# Configuration reference

<!-- Made from the schema by the test cli::config_reference; do not edit it. -->

This page explains `/etc/patchcored/config.yaml`, key by key. `config.yaml.example` is a file with the same keys; start from it. patchcored
refuses keys that it does not know, so that you notice a typing mistake. Check your file before you use it. The command lists every mistake at once:

```sh
sudo -u patchcored patchcored check --config /etc/patchcored/config.yaml
```

A *duration* is a whole number and a unit: `500ms`, `30s`, `10m`, `24h`. Paths may be relative to the folder of the file; `~` and variables are
not expanded. A text that begins with `*`, `{`, `[`, `&`, `@` or `%` must be in quotes, for example `\"*.jpg\"`. You can leave out a section that
has only defaults.

Editors with YAML support complete and explain the keys if the first line of the file is
`# yaml-language-server: $schema=/usr/share/patchcored/config.schema.json`. This command prints the schema:

```sh
patchcored check --schema
```
";

type Section = Map<String, Value>;

#[test]
fn the_reference_is_what_the_schema_says() {
    let schema: Section = serde_json::from_str(&run_ok(&["check", "--schema"])).unwrap();
    let mut text = INTRODUCTION.to_owned();
    write_section(&mut text, "The file", "", &schema);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config-reference.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&page).unwrap_or_default();
    let differs = text.lines().zip(committed.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(
        text == committed,
        "{} is not what the schema says; make it anew with `UPDATE_DOCS=1 make test` (first difference: {differs:?})",
        page.display()
    );
}

/// A heading, a table of the keys, and then the sections among them.
fn write_section(text: &mut String, title: &str, path: &str, section: &Section) {
    writeln!(text, "\n## {title}\n").unwrap();
    if let Some(description) = words(section, "description") {
        writeln!(text, "{description}\n").unwrap();
    }
    writeln!(text, "| key | default | allowed | meaning |\n|---|---|---|---|").unwrap();
    let required = section.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let keys: Vec<(&String, &Section)> =
        section["properties"].as_object().unwrap().iter().map(|(k, v)| (k, v.as_object().unwrap())).collect();
    for (key, schema) in &keys {
        let default = match schema.get("default") {
            _ if required.iter().any(|name| name == *key) => "required".to_owned(),
            None if below(key, schema).is_some() => "see below".to_owned(),
            None | Some(Value::Null) => "none".to_owned(),
            Some(default) => format!("`{}`", yaml(default)),
        };
        let meaning = words(schema, "description").unwrap();
        writeln!(text, "| `{key}` | {default} | {} | {} |", allowed(schema).replace('|', "\\|"), meaning.replace('|', "\\|")).unwrap();
    }
    for (key, schema) in keys {
        let Some((section, many)) = below(key, schema) else { continue };
        // What the section is for stands in the table above.
        let mut own = section.clone();
        own.remove("description");
        let path = format!("{path}{key}{}", if many { "[]" } else { "" });
        write_section(text, &format!("`{path}`"), &format!("{path}."), &own);
    }
}

/// The keys below this one that get a table of their own; true when there is a list of them.
fn below<'a>(key: &str, schema: &'a Section) -> Option<(&'a Section, bool)> {
    // Its keys are those of a product; and a list of files is no section.
    if ["defaults", "weights"].contains(&key) {
        return None;
    }
    let items = schema.get("items").and_then(Value::as_object).filter(|items| items.contains_key("properties"));
    let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    items.map(|items| (items, true)).or_else(|| {
        let mut own = [schema].into_iter().chain(alternatives).filter(|section| section.contains_key("properties"));
        own.next().map(|section| (section, false))
    })
}

/// What the value may be.
fn allowed(schema: &Section) -> String {
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        let each: Vec<String> = alternatives.iter().filter_map(Value::as_object).map(allowed).filter(|text| !text.is_empty()).collect();
        return each.join(", ");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().filter(|word| !word.is_null()).map(|word| format!("`{}`", yaml(word))).collect();
        return words.join(", ");
    }
    if let Some(title) = words(schema, "title") {
        return if title.contains(':') { format!("`{title}`") } else { title.to_owned() };
    }
    let bound = |key: &str| schema.get(key).map(yaml);
    match kind(schema) {
        "boolean" => "`true`, `false`".to_owned(),
        "integer" | "number" => match (bound("minimum"), bound("maximum")) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            (Some(low), None) => format!("{low} or more"),
            _ => "a number".to_owned(),
        },
        "array" => {
            let items = schema["items"].as_object().unwrap();
            if items.contains_key("properties") { "a list".to_owned() } else { format!("a list of {}", allowed(items)) }
        }
        "object" => {
            let Some(keys) = schema.get("properties").and_then(Value::as_object) else {
                return format!("names, each with {}", allowed(schema["additionalProperties"].as_object().unwrap()));
            };
            let explained = keys.values().all(|key| key.get("description").is_some());
            if schema.contains_key("maxProperties") {
                return keys.keys().map(|key| format!("`{{{key}: …}}`")).collect::<Vec<_>>().join(", ");
            }
            let names = keys.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            if explained { "a section".to_owned() } else { format!("any of {names}") }
        }
        "string" if schema.contains_key("pattern") && words(schema, "description").is_none() => String::new(),
        "string" => "text".to_owned(),
        _ => String::new(),
    }
}

/// The type, apart from `null`.
fn kind(schema: &Section) -> &str {
    let all = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap()],
    };
    all.into_iter().find(|kind| *kind != "null").unwrap_or("null")
}

fn words<'a>(schema: &'a Section, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}

/// As it is written in the file.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if text.starts_with(['*', '{', '[', '&', '@', '%']) => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        Value::Array(entries) => format!("[{}]", entries.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0).map_or_else(|| number.to_string(), |n| n.to_string()),
        other => other.to_string(),
    }
}
