//! `profiles:` and `profile:`, for lines on which another product is made tomorrow.

use super::check::Problems;
use super::product::is_name;
use super::{Config, ProductConfig};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// `profiles:`, the products of each by name.
pub type Profiles = BTreeMap<String, Vec<String>>;

pub(super) fn check(profiles: &Profiles, first: Option<&str>, products: &[ProductConfig], problems: &mut Problems) {
    let known: HashSet<&str> = products.iter().map(|product| product.name.as_str()).collect();
    for (name, members) in profiles {
        let key = format!("profiles.{name}");
        problems.need(is_name(name), key.clone(), "is no name; use the letters A-Z a-z, the digits, `.`, `_` and `-`");
        problems.need(!members.is_empty(), key.clone(), "is empty; list at least one product, or remove the profile");
        let mut before = HashSet::new();
        for (i, member) in members.iter().enumerate() {
            let key = format!("{key}[{i}]");
            problems.need(before.insert(member), key.clone(), format!("`{member}` stands here twice; once is enough"));
            if !known.contains(member.as_str()) {
                let all = names(products.iter().map(|product| &product.name));
                problems.add(key, format!("`{member}` is none of the products; name one of: {all}"));
            }
        }
    }
    match first {
        None => problems.need(
            profiles.is_empty(),
            "profile",
            format!("is required beside `profiles`; name the one for the first start, one of: {}", names(profiles.keys())),
        ),
        Some(_) if profiles.is_empty() => problems.add("profile", "has no meaning without `profiles`; remove it, or list the profiles"),
        Some(first) => problems.need(
            profiles.contains_key(first),
            "profile",
            format!("`{first}` is none of the profiles; name one of: {}", names(profiles.keys())),
        ),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Config {
    /// Whether new images are taken for this product: it belongs to the profile in use, or to none.
    pub fn is_on(&self, product: &str) -> bool {
        let mut of = self.profiles.iter().filter(|(_, members)| members.iter().any(|member| member == product)).peekable();
        of.peek().is_none() || of.any(|(name, _)| Some(name) == self.profile.as_ref())
    }

    /// Tells of two products, by their indices, whether there is a profile, or a line without profiles, in which both are on.
    pub fn on_together(&self) -> impl Fn(usize, usize) -> bool {
        let mut profiles_of: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        for (number, members) in self.profiles.values().enumerate() {
            for member in members {
                profiles_of.entry(member).or_default().insert(number);
            }
        }
        // None for a product that is always on.
        let of: Vec<_> = self.products.iter().map(|product| profiles_of.get(product.name.as_str()).cloned()).collect();
        move |a, b| match (of.get(a), of.get(b)) {
            (Some(Some(a)), Some(Some(b))) => !a.is_disjoint(b),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(profiles: &str) -> Result<Config, String> {
        let product = |name: &str| format!("- {{name: {name}, drop: [{{path: /d/{name}}}], ok: /{name}/ok, bank: /{name}/bank}}\n");
        let products: String = ["a", "b", "both", "always"].map(product).concat();
        Config::parse(&format!("database: /h\nproducts:\n{products}{profiles}")).map_err(|problems| problems.to_string())
    }

    fn together(config: &Config, a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(|name| config.products.iter().position(|product| product.name == name).unwrap());
        config.on_together()(a, b)
    }

    #[test]
    fn the_profile_in_use_decides_what_is_on() {
        let mut config = config("profiles: {day: [a, both], night: [b, both]}\nprofile: day\n").unwrap();
        let on = |config: &Config| ["a", "b", "both", "always"].map(|product| config.is_on(product));
        assert_eq!(on(&config), [true, false, true, true]);
        config.profile = Some("night".into());
        assert_eq!(on(&config), [false, true, true, true]);
        assert!(!together(&config, "a", "b"));
        for (one, other) in [("a", "both"), ("b", "both"), ("a", "always"), ("always", "b")] {
            assert!(together(&config, one, other) && together(&config, other, one), "{one} {other}");
        }
    }

    #[test]
    fn without_profiles_all_are_on() {
        let config = config("profiles:\nprofile:\n").unwrap();
        assert!(config.is_on("a") && together(&config, "a", "b"));
    }
}
