//! The configurations and queries that the pages show.
//!
//! A `yaml` block is a whole configuration if it has a `database:`. Anything else is a part: its keys are looked for in
//! `config.yaml.example`, and it is put where they stand there, at the top, in a product, or in a section of one.

use super::page::{pages, repository};
use patchcored::config::Config;
use serde_yaml::{Mapping, Value};

const WHOLE: &str = "database: history.db\nproducts:\n  - {name: prod1-front, drop: [{path: /srv/camera/line1/front}], \
                     ok: /srv/banks/prod1-front/ok, bank: /srv/banks/prod1-front, reference: /srv/banks/prod1-front/golden.jpg}\n";

/// One step from the top of a configuration.
type Way = Vec<Value>;

/// The way to the section of the example that has all keys of the part, the outermost first.
fn place_of(part: &Mapping, example: &Value) -> Option<Way> {
    let mut sections: Vec<(Way, &Value)> = vec![(vec![], example)];
    for depth in 0..4 {
        let here: Vec<(Way, &Value)> = sections.iter().filter(|(way, _)| way.len() == depth).cloned().collect();
        for (way, section) in here {
            let Some(section) = section.as_mapping() else { continue };
            if part.keys().all(|key| section.contains_key(key)) {
                return Some(way);
            }
            for (key, below) in section {
                // Only the first product shows every key.
                let below = below.as_sequence().and_then(|list| list.first()).filter(|first| first.is_mapping()).unwrap_or(below);
                sections.push(([way.as_slice(), std::slice::from_ref(key)].concat(), below));
            }
        }
    }
    None
}

fn put(whole: &mut Value, way: &[Value], part: Mapping) {
    let Some((step, rest)) = way.split_first() else {
        let whole = whole.as_mapping_mut().unwrap();
        return part.into_iter().for_each(|(key, value)| drop(whole.insert(key, value)));
    };
    let below = whole.as_mapping_mut().unwrap().entry(step.clone()).or_insert(Value::Mapping(Mapping::new()));
    let below = if below.is_sequence() { &mut below[0] } else { below };
    put(below, rest, part);
}

/// The block as a whole configuration.
fn complete(block: &str) -> Result<String, String> {
    let example = std::fs::read_to_string(repository().join("config.yaml.example")).unwrap();
    let example: Value = serde_yaml::from_str(&example).unwrap();
    let mut whole: Value = serde_yaml::from_str(WHOLE).unwrap();
    match serde_yaml::from_str(block).map_err(|e| e.to_string())? {
        Value::Mapping(part) if part.contains_key("database") => return Ok(block.to_owned()),
        Value::Mapping(part) => {
            let way = place_of(&part, &example).ok_or("no section of config.yaml.example has all of these keys")?;
            put(&mut whole, &way, part);
        }
        // Products, or other entries of a list of theirs.
        list @ Value::Sequence(_) => {
            let key = if list[0].get("name").is_some() { "products" } else { "drop" };
            let at = if key == "products" { &mut whole } else { &mut whole["products"][0] };
            at[key] = list;
        }
        other => return Err(format!("{other:?} is no configuration")),
    }
    Ok(serde_yaml::to_string(&whole).unwrap())
}

#[test]
fn every_configuration_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.language.starts_with("yaml")) {
            seen += 1;
            let outcome = if block.language == "yaml" {
                complete(&block.text).and_then(|text| {
                    std::fs::write(&file, text).unwrap();
                    Config::load(&file).map(drop).map_err(|e| e.to_string())
                })
            } else {
                serde_yaml::from_str::<Value>(&block.text).map(drop).map_err(|e| e.to_string())
            };
            wrong.extend(outcome.err().map(|error| format!("{}:{}: {error}", page.name, block.line)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_part_is_put_where_it_belongs() {
    let at = |block: &str| -> Value { serde_yaml::from_str(&complete(block).unwrap()).unwrap() };
    assert_eq!(at("engine: {threads: 3}")["engine"]["threads"], Value::from(3));
    assert_eq!(at("decide_by: mask")["products"][0]["decide_by"], Value::from("mask"));
    assert_eq!(at("stride: 1\nlayers: [layer1]")["products"][0]["build"]["stride"], Value::from(1));
    assert_eq!(at("- {name: a}\n- {name: b}")["products"][1]["name"], Value::from("b"));
    assert!(complete("stride: 1\ndecide_by: mask").is_err());
}
