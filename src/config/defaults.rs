//! `defaults:` merged into the products.

use super::key_path::scalar;
use super::sections::product::NOT_IN_DEFAULTS;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeSet;

/// Copies the values of `defaults` into each product that does not set them itself, section by section. Returns for each product the keys,
/// relative to it, that came from there.
pub(super) fn merge_defaults(document: &mut Value) -> Vec<BTreeSet<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_merged_section_by_section() {
        let text = "defaults: {build: {shorter: 256, seed: 7}, decide_by: mask, outputs: {dir: /o}, name: x}\nproducts:\n\
                    - build: {shorter: 64}\n- build:\n  decide_by: image\n  outputs: {dir: null, heat: true}\n";
        let mut document: Value = serde_yaml::from_str(text).unwrap();
        let inherited = merge_defaults(&mut document);
        let expected: Value = serde_yaml::from_str(
            "- {build: {shorter: 64, seed: 7}, decide_by: mask, outputs: {dir: /o}}\n\
             - {build: {shorter: 256, seed: 7}, decide_by: image, outputs: {dir: null, heat: true}}\n",
        )
        .unwrap();
        assert_eq!(document.get("products"), Some(&expected));
        assert_eq!(inherited[0], BTreeSet::from(["build.seed", "decide_by", "outputs"].map(String::from)));
        assert_eq!(inherited[1], BTreeSet::from(["build".to_owned()]));
    }
}
