//! `profiles:` and `profile:`, for lines that make another product tomorrow.

use super::product::{ProductConfig, is_name};
use crate::config::collector::Problems;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// `profiles:`: the products of each profile, by name.
pub type Profiles = BTreeMap<String, Vec<String>>;

/// Checks the profiles, and that the first profile is one of them.
pub(in crate::config) fn check(profiles: &Profiles, first: Option<&str>, products: &[ProductConfig], problems: &mut Problems) {
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

/// True when the daemon takes new images for this product: it belongs to the profile in use, or to none.
pub(in crate::config) fn is_on(profiles: &Profiles, in_use: Option<&String>, product: &str) -> bool {
    let mut of = profiles.iter().filter(|(_, members)| members.iter().any(|member| member == product)).peekable();
    of.peek().is_none() || of.any(|(name, _)| Some(name) == in_use)
}

/// Says for two products (by index) whether some profile, or a line without profiles, has both on.
pub(in crate::config) fn on_together(profiles: &Profiles, products: &[ProductConfig]) -> impl Fn(usize, usize) -> bool + use<> {
    let mut profiles_of: HashMap<&str, BTreeSet<usize>> = HashMap::new();
    for (number, members) in profiles.values().enumerate() {
        for member in members {
            profiles_of.entry(member).or_default().insert(number);
        }
    }
    // None for a product that is always on.
    let of: Vec<_> = products.iter().map(|product| profiles_of.get(product.name.as_str()).cloned()).collect();
    move |a, b| match (of.get(a), of.get(b)) {
        (Some(Some(a)), Some(Some(b))) => !a.is_disjoint(b),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_alone;

    /// The products `a`, `b`, `both` and `always`.
    fn checked(profiles: &str, first: Option<&str>) -> (Profiles, Vec<ProductConfig>, String) {
        let products: Vec<_> = ["a", "b", "both", "always"].map(named).into();
        let check = |profiles: Profiles, problems: &mut Problems| {
            check(&profiles, first, &products, problems);
            profiles
        };
        let (profiles, problems) = check_alone(profiles, check);
        (profiles, products, problems)
    }

    fn named(name: &str) -> ProductConfig {
        let text = format!("{{name: {name}, drop: [{{path: /drop}}], ok: /ok, bank: /bank}}");
        let intake = check_alone("{}", crate::config::sections::intake::check).0;
        crate::config::collector::check_of_product(&text, |raw, scope, problems| {
            crate::config::sections::product::check(raw, scope, &intake, problems)
        })
        .0
    }

    #[test]
    fn the_profile_in_use_decides_what_is_on() {
        let (profiles, products, problems) = checked("{day: [a, both], night: [b, both]}", Some("day"));
        assert_eq!(problems, "");
        let on = |profile: &str| ["a", "b", "both", "always"].map(|product| is_on(&profiles, Some(&profile.to_owned()), product));
        assert_eq!(on("day"), [true, false, true, true]);
        assert_eq!(on("night"), [false, true, true, true]);
        let together = on_together(&profiles, &products);
        assert!(!together(0, 1));
        for (one, other) in [(0, 2), (1, 2), (0, 3), (3, 1)] {
            assert!(together(one, other) && together(other, one), "{one} {other}");
        }
    }

    #[test]
    fn without_profiles_all_are_on() {
        let (profiles, products, problems) = checked("{}", None);
        assert_eq!(problems, "");
        assert!(is_on(&profiles, None, "a") && on_together(&profiles, &products)(0, 1));
    }

    #[test]
    fn members_and_the_first_profile_are_checked() {
        for (profiles, first, words) in [
            ("{day: [a, a]}", Some("day"), "profiles.day[1]: `a` stands here twice"),
            ("{day: [c]}", Some("day"), "profiles.day[0]: `c` is none of the products; name one of: a, b, both, always"),
            ("{day: []}", Some("day"), "profiles.day: is empty"),
            ("{a day: [a]}", Some("a day"), "profiles.a day: is no name"),
            ("{day: [a]}", None, "profile: is required beside `profiles`"),
            ("{day: [a]}", Some("night"), "profile: `night` is none of the profiles; name one of: day"),
            ("{}", Some("day"), "profile: has no meaning without `profiles`"),
        ] {
            let (.., problems) = checked(profiles, first);
            assert!(problems.starts_with(words), "{profiles}: {problems}");
        }
    }
}
