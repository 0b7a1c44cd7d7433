//! The changes of a reload, in the words of the file.

use super::document::Config;
use super::example::example;
use super::sections::product::{NOT_IN_DEFAULTS, ProductConfig};
use serde_json::{Map, Value};

/// One difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `products[prod2].build.stride: 2 → 4`, `product prod3 added`
    pub text: String,
    /// Its effect, apart from counting from now on.
    pub effect: Option<&'static str>,
    /// The removed product, if this change removes one.
    pub removed: Option<String>,
}

/// The words for the changes. Those of one section follow each other, and their common effect follows once.
pub fn describe(changes: &[Change]) -> String {
    let mut text = String::new();
    for (i, change) in changes.iter().enumerate() {
        text += if i == 0 { "" } else { "; " };
        text += &change.text;
        let same_follows = changes.get(i + 1).is_some_and(|next| next.effect == change.effect);
        if let Some(effect) = change.effect.filter(|_| !same_follows) {
            text += &format!(" ({effect})");
        }
    }
    text
}

impl Config {
    /// The differences in `new`, key by key. A missing key counts as its default.
    pub fn changes_to(&self, new: &Config) -> Vec<Change> {
        let (before, after) = (complete(self.document()), complete(new.document()));
        let mut changes = Vec::new();
        let mut line_wide = Vec::new();
        compare("", &without_products(&before), &without_products(&after), &mut line_wide);
        changes.extend(line_wide.into_iter().map(|(key, text)| Change { text, effect: effect_on_line(&key), removed: None }));
        for (product, document) in named(&self.products, &before) {
            let Some((kept, new_document)) = named(&new.products, &after).find(|(kept, _)| kept.name == product.name) else {
                let text = format!("product {} removed", product.name);
                changes.push(Change { text, effect: None, removed: Some(product.name.clone()) });
                continue;
            };
            let mut found = Vec::new();
            compare(&format!("products[{}]", product.name), document, new_document, &mut found);
            changes.extend(found.into_iter().map(|(key, text)| Change {
                text,
                effect: effect_on_product(&key, product, kept),
                removed: None,
            }));
        }
        let added = new.products.iter().filter(|product| self.products.iter().all(|known| known.name != product.name));
        changes.extend(added.map(|product| Change { text: format!("product {} added", product.name), effect: None, removed: None }));
        changes
    }
}

fn named<'a>(products: &'a [ProductConfig], document: &'a Value) -> impl Iterator<Item = (&'a ProductConfig, &'a Value)> {
    products.iter().zip(document.get("products").and_then(Value::as_array).into_iter().flatten())
}

fn without_products(document: &Value) -> Value {
    let mut document = document.clone();
    if let Value::Object(keys) = &mut document {
        keys.shift_remove("products");
        // Each product has the values of `defaults` already.
        keys.shift_remove("defaults");
    }
    document
}

/// The document with the defaults of all missing keys.
fn complete(document: &Value) -> Value {
    let mut document = document.clone();
    let Some(mut defaults) = example() else { return document };
    let mut product = defaults.get_mut("products").and_then(|products| products.get_mut(0)).map(Value::take).unwrap_or_default();
    let drop = product.get_mut("drop").and_then(|drop| drop.get_mut(0)).map(Value::take).unwrap_or_default();
    fill(&mut document, &defaults, &["database", "products"]);
    for own in document.get_mut("products").and_then(Value::as_array_mut).into_iter().flatten() {
        fill(own, &product, &NOT_IN_DEFAULTS);
        for own in own.get_mut("drop").and_then(Value::as_array_mut).into_iter().flatten() {
            let by_regex = own.get("regex").is_some_and(Value::is_string);
            fill(own, &drop, if by_regex { &["path", "match"] } else { &["path"] });
        }
    }
    document
}

fn fill(own: &mut Value, defaults: &Value, except: &[&str]) {
    if own.is_null() {
        *own = Value::Object(Map::new());
    }
    let (Value::Object(own), Value::Object(defaults)) = (own, defaults) else { return };
    for (key, default) in defaults.iter().filter(|(key, _)| !except.contains(&key.as_str())) {
        let value = own.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = default.clone();
        } else if default.is_object() {
            fill(value, default, &[]);
        }
    }
}

/// Each key below `path` whose value differs, with the words for it.
fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<(String, String)>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_object) => {
            for i in 0..old.len().max(new.len()) {
                compare(&format!("{path}[{i}]"), before.get(i).unwrap_or(&Value::Null), after.get(i).unwrap_or(&Value::Null), found);
            }
        }
        _ if before == after => {}
        _ => found.push((path.to_owned(), format!("{path}: {} → {}", written(before), written(after)))),
    }
}

/// The value as the file would show it.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(entries) => format!("[{}]", entries.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            format!("{{{}}}", keys.iter().map(|(key, value)| format!("{key}: {}", written(value))).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn effect_on_line(key: &str) -> Option<&'static str> {
    Some(match key {
        "database" => "images that are pending in the old file stay there, and the new one knows only the images that are in it",
        "engine.precision" => "counts from the next build of each bank on: `patchcored rebuild PRODUCT`",
        _ if key.starts_with("engine.weights") => {
            "a bank that was built with other weights cannot be used, and its images wait, until it is built again: `patchcored rebuild PRODUCT`"
        }
        "profile" => "counts at the first start only; `patchcored profile NAME` changes over",
        _ => return None,
    })
}

fn effect_on_product(key: &str, before: &ProductConfig, after: &ProductConfig) -> Option<&'static str> {
    let key = key.split_once("].").map_or("", |(_, key)| key);
    Some(match key {
        "build.min_images" => return None,
        // A difference here means that the bank in use was built with other settings.
        _ if key.starts_with("build.") && before.build != after.build => {
            "a bank is built with it when ok has been still for rebuild.quiet_period; until it is there, the one in use goes on"
        }
        _ if key.starts_with("build.") => "counts from the next build on: `patchcored rebuild PRODUCT`",
        "ok" => "a bank is built from the images there, unless they are the same",
        "bank" => "the bank in the new folder is used, or one is built; what is in the old folder stays there",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "database: /h.db\nproducts:\n- {name: a, drop: [{path: /a}], ok: /a_ok, bank: /a_bank}\n- {name: b, drop: [{path: /b}], ok: /b_ok, bank: /b_bank}\n";

    fn changed(before: &str, after: &str) -> String {
        describe(&Config::parse(before).unwrap().changes_to(&Config::parse(after).unwrap()))
    }

    #[test]
    fn what_means_the_same_is_no_change() {
        let spelled = BASE
            .replace("path: /a}", "path: /a, recursive: true, ready: close_write}")
            .replace("ok: /a_ok", "ok: /a_ok, build: {stride: 2}, mask: null, reference: null");
        assert_eq!(changed(BASE, &format!("engine: {{threads: 0}}\ndefaults: {{decide_by: image}}\n# a comment\n{spelled}")), "");
    }

    #[test]
    fn changes_are_named_by_key_with_what_they_lead_to() {
        let after = |from: &str, to: &str| {
            assert!(BASE.contains(from));
            changed(BASE, &BASE.replace(from, to))
        };
        assert_eq!(after("ok: /a_ok", "ok: /a_ok, decide_by: mask"), "products[a].decide_by: image → mask");
        let built = after("ok: /b_ok", "ok: /b_ok, build: {stride: 4, layers: [layer2]}, outputs: {heat: true}");
        let expected = "products[b].build.stride: 2 → 4; products[b].build.layers: [layer2, layer3, layer4] → [layer2] (a bank is built with it when ok has been still for rebuild.quiet_period; until it is there, the one in use goes on); products[b].outputs.heat: false → true";
        assert_eq!(built, expected);
        assert_eq!(after("ok: /a_ok", "ok: /a_ok, build: {min_images: 20}"), "products[a].build.min_images: 10 → 20");
        assert_eq!(
            after("{path: /a}", "{path: /a, regex: '^x', recursive: false}"),
            "products[a].drop[0].match: *.{jpg,jpeg,png,bmp,tif,tiff} → none; products[a].drop[0].recursive: true → false; products[a].drop[0].regex: none → ^x"
        );
        assert!(after("[{path: /a}]", "[{path: /a}, {path: /c}]").starts_with("products[a].drop[1]: none → {path: /c, match: "));
        assert!(after("ok: /a_ok", "ok: /new").starts_with("products[a].ok: /a_ok → /new (a bank is built"));
        assert!(after("/h.db", "/i.db").starts_with("database: /h.db → /i.db (images that are pending in the old file"));
        assert!(
            changed(BASE, &format!("engine: {{weights: {{resnet50: /w.pth}}}}\n{BASE}"))
                .starts_with("engine.weights.resnet50: none → /w.pth (a bank that")
        );
        assert!(
            changed(BASE, &format!("{BASE}profiles: {{day: [a]}}\nprofile: day\n"))
                .starts_with("profiles.day: none → [a]; profile: none → day (counts")
        );
    }

    #[test]
    fn defaults_are_told_of_where_they_count() {
        let found = changed(BASE, &format!("{BASE}defaults: {{mask: {{open: 3}}}}\n"));
        assert_eq!(found, "products[a].mask.open: 0 → 3; products[b].mask.open: 0 → 3");
    }

    #[test]
    fn products_come_and_go_by_name_wherever_they_stand() {
        let after = "database: /h.db\nproducts:\n- {name: c, drop: [{path: /a}], ok: /a_ok, bank: /a_bank}\n- {name: a, drop: [{path: /x}], ok: /a_ok, bank: /x_bank}\n";
        let changes = Config::parse(BASE).unwrap().changes_to(&Config::parse(after).unwrap());
        assert_eq!(changes.iter().filter_map(|change| change.removed.as_deref()).collect::<Vec<_>>(), ["b"]);
        let text = describe(&changes);
        assert!(
            text.starts_with("products[a].drop[0].path: /a → /x; products[a].bank: /a_bank → /x_bank (the bank in the new folder"),
            "{text}"
        );
        assert!(text.ends_with("; product b removed; product c added"), "{text}");
    }
}
