//! The configurations and queries that the pages show.
//!
//! A `yaml` block is a whole configuration if it has a `database:`. Anything else is a part: its keys are looked for in
//! `config.yaml.example`, and it is put where they stand there, at the top, in a product, or in a section of one.

use super::page::{pages, repository};
use patchcored::config::Config;
use serde_yaml::{Mapping, Value};

const WHOLE: &str = "database: history.db\nproducts:\n  - {name: prod1-front, drop: [{path: /srv/camera/line1/front}], \
                     ok: /srv/banks/prod1-front/ok, bank: /srv/banks/prod1-front, reference: /srv/banks/prod1-front/golden.jpg}\n  \
                     - {name: prod1-back, drop: [{path: /srv/camera/line1/back}], ok: /srv/banks/prod1-back/ok, bank: /srv/banks/prod1-back}\n  \
                     - {name: prod2-front, drop: [{path: /srv/camera/line2/front}], ok: /srv/banks/prod2-front/ok, bank: /srv/banks/prod2-front}\n";

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

fn put(whole: &mut Value, way: &[Value], part: Value) {
    let Some((step, rest)) = way.split_first() else { return merge(whole, part) };
    let below = whole.as_mapping_mut().unwrap().entry(step.clone()).or_insert(Value::Mapping(Mapping::new()));
    let below = if below.is_sequence() { &mut below[0] } else { below };
    put(below, rest, part);
}

/// What the part says wins, section by section and product by product.
fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Mapping(whole), Value::Mapping(part)) => {
            for (key, value) in part {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Sequence(whole), Value::Sequence(part)) if part.iter().all(Value::is_mapping) => {
            for (i, value) in part.into_iter().enumerate() {
                if i == whole.len() {
                    whole.push(Value::Null);
                }
                merge(&mut whole[i], value);
            }
        }
        (whole, part) => *whole = part,
    }
}

/// The block as a whole configuration.
fn complete(block: &str) -> Result<String, String> {
    let example = std::fs::read_to_string(repository().join("config.yaml.example")).unwrap();
    let example: Value = serde_yaml::from_str(&example).unwrap();
    let mut whole: Value = serde_yaml::from_str(WHOLE).unwrap();
    let part: Value = serde_yaml::from_str(block).map_err(|e| e.to_string())?;
    let keys = part.as_mapping().ok_or("not a configuration, nor part of one")?;
    if keys.contains_key("database") {
        return Ok(block.to_owned());
    }
    let way = place_of(keys, &example).ok_or("no section of config.yaml.example has all of these keys")?;
    put(&mut whole, &way, part);
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
    let two = at("defaults: {decide_by: mask}\nproducts:\n- {name: prod1-front, reference: null}");
    assert_eq!((&two["defaults"]["decide_by"], &two["products"][0]["reference"]), (&Value::from("mask"), &Value::Null));
    assert_eq!(two["products"][0]["ok"], Value::from("/srv/banks/prod1-front/ok"));
    assert!(complete("stride: 1\ndecide_by: mask").is_err());
}
