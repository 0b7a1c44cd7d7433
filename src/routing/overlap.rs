//! Rules of different products that would take the same file.

use super::names::{Common, NameSet, common};
use super::{Rule, depth_below};

/// Two rules that both take some file, or may do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the earlier rule.
    pub first: usize,
    /// Index of the later rule.
    pub second: usize,
    /// Which products, folders and file name, and what to do.
    pub message: String,
}

/// Every pair of rules of different products that both take some image. `names[rule.product]` is what messages call the product.
///
/// Decided exactly: the patterns become automata, and their product is searched for the name of an image that both accept. When the
/// automata grow too large the pair is reported too, as one that cannot be told apart.
pub fn overlaps(rules: &[Rule], names: &[String]) -> Vec<Overlap> {
    let sets: Vec<Option<NameSet>> = rules.iter().map(set_of).collect();
    let (images, own) = (NameSet::images(), NameSet::own_outputs());
    let common_name = |i: usize, j: usize| match (&sets[i], &sets[j], &images, &own) {
        (Some(a), Some(b), Some(images), Some(own)) => common(&[a, b, images], own),
        _ => Common::Unknown,
    };
    let name_of = |rule: &Rule| names.get(rule.product).cloned().unwrap_or_else(|| format!("number {}", rule.product));
    let mut found = Vec::new();
    for (first, a) in rules.iter().enumerate() {
        for (second, b) in rules.iter().enumerate().skip(first + 1) {
            if a.product == b.product || !share_a_folder(a, b) {
                continue;
            }
            let what = match common_name(first, second) {
                Common::Nothing => continue,
                Common::Name(name) => format!("would both take the file `{name}`"),
                Common::Unknown => "cannot be told apart by their patterns".to_owned(),
            };
            let place = if a.root == b.root {
                format!("in {}", a.root.display())
            } else {
                format!("where {} and {} meet", a.root.display(), b.root.display())
            };
            let message = format!(
                "products `{}` and `{}` {what} {place}; make their `match` or `regex` exclude each other (e.g. `front_*` and `back_*`), or give each product a drop folder of its own",
                name_of(a),
                name_of(b)
            );
            found.push(Overlap { first, second, message });
        }
    }
    found
}

/// True when the rule's pattern is certain to match no image name at all, as `*.jpgg` or `*.txt`.
pub fn takes_no_image(rule: &Rule) -> bool {
    match (set_of(rule), NameSet::images(), NameSet::own_outputs()) {
        (Some(names), Some(images), Some(own)) => common(&[&names, &images], &own) == Common::Nothing,
        _ => false,
    }
}

fn set_of(rule: &Rule) -> Option<NameSet> {
    rule.pattern.as_regex().ok().and_then(|(regex, dot_all)| NameSet::new(&regex, dot_all))
}

/// True when some file can be within reach of both.
fn share_a_folder(a: &Rule, b: &Rule) -> bool {
    let holds = |outer: &Rule, inner: &Rule| depth_below(&outer.root, &inner.root).is_some_and(|depth| depth == 0 || outer.recursive);
    holds(a, b) || holds(b, a)
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, Route, Router};
    use super::*;
    use crate::inspection::Readiness;
    use proptest::prelude::*;

    fn glob(product: usize, root: &str, recursive: bool, glob: &str) -> Rule {
        Rule { product, root: root.into(), recursive, pattern: Pattern::Glob(glob.into()), readiness: Readiness::CloseWrite }
    }

    fn regex(product: usize, root: &str, regex: &str) -> Rule {
        Rule { product, root: root.into(), recursive: true, pattern: Pattern::Regex(regex.into()), readiness: Readiness::CloseWrite }
    }

    fn messages(rules: &[Rule]) -> Vec<String> {
        overlaps(rules, &["p0".into(), "p1".into(), "p2".into()]).into_iter().map(|o| o.message).collect()
    }

    #[test]
    fn the_same_folder_needs_patterns_that_exclude_each_other() {
        assert_eq!(messages(&[glob(0, "/a", true, "front_*"), glob(1, "/a", true, "back_*")]), Vec::<String>::new());
        let found = messages(&[glob(0, "/a", true, "front_*"), glob(1, "/a", true, "*_top.jpg")]);
        assert!(found[0].contains("`p0` and `p1`") && found[0].contains("`front_top.jpg`"), "{found:?}");
        assert_eq!(messages(&[glob(0, "/a", true, "FRONT_*"), regex(1, "/a", "^front_")]).len(), 1, "globs ignore case");
        assert_eq!(messages(&[glob(0, "/a", true, "front_*"), regex(1, "/a", "^[^f]")]).len(), 1, "F is not f");
        assert_eq!(messages(&[glob(0, "/a", true, "front_*"), regex(1, "/a", "^[^fF]")]).len(), 0);
        assert_eq!(messages(&[glob(0, "/a", true, "*.jpg"), glob(1, "/a", true, "*.png")]).len(), 0);
        let same = messages(&[glob(0, "/a", true, "*"), glob(1, "/a", true, "*")]);
        assert!(same[0].contains("the file `a.bmp`"), "{same:?}");
    }

    #[test]
    fn only_folders_that_meet_count() {
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(1, "/b", true, "*")]).len(), 0);
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(1, "/ab", true, "*")]).len(), 0);
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(1, "/a/b", false, "*")]).len(), 1);
        assert_eq!(messages(&[glob(0, "/a/b", false, "*"), glob(1, "/a", true, "*")]).len(), 1);
        assert_eq!(messages(&[glob(0, "/a", false, "*"), glob(1, "/a/b", true, "*")]).len(), 0);
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(1, "/a/.b", true, "*")]).len(), 0, "hidden folders are not entered");
    }

    #[test]
    fn rules_of_one_product_may_overlap_and_every_pair_is_listed() {
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(0, "/a", true, "a*")]).len(), 0);
        assert_eq!(messages(&[glob(0, "/a", true, "*"), glob(1, "/a", true, "a*"), glob(2, "/a", true, "*.jpg")]).len(), 3);
    }

    #[test]
    fn what_is_too_large_to_decide_is_reported() {
        let found = messages(&[regex(0, "/a", "x.{60}$"), regex(1, "/a", "y.{60}$")]);
        assert!(found[0].contains("cannot be told apart"), "{found:?}");
    }

    #[test]
    fn a_pattern_that_takes_no_image_is_known() {
        assert!(takes_no_image(&glob(0, "/a", true, "*.jpgg")));
        assert!(takes_no_image(&regex(0, "/a", r"\.txt$")));
        assert!(takes_no_image(&glob(0, "/a", true, ".*")));
        assert!(!takes_no_image(&glob(0, "/a", true, "*.{jpg,txt}")));
    }

    proptest! {
        /// When no overlap is reported, no name is taken by both; when one is, the name in the message is.
        #[test]
        fn agrees_with_matching_names(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}", name in "[ab]{0,4}") {
            let (a, b) = (glob(0, "/r", true, &format!("{a}.jpg")), glob(1, "/r", true, &format!("{b}.jpg")));
            let path = std::path::PathBuf::from(format!("/r/{name}.jpg"));
            let takes = |rule: &Rule, path: &std::path::Path| matches!(Router::new(vec![rule.clone()]).unwrap().route(path), Route::Product(_));
            let found = messages(&[a.clone(), b.clone()]);
            if takes(&a, &path) && takes(&b, &path) {
                prop_assert_eq!(found.len(), 1);
            }
            if let Some(example) = found.first().and_then(|m| m.split("the file `").nth(1)).and_then(|m| m.split('`').next()) {
                let path = std::path::Path::new("/r").join(example);
                prop_assert!(takes(&a, &path) && takes(&b, &path), "{} is not in both {:?} {:?}", example, a, b);
            }
        }
    }
}
