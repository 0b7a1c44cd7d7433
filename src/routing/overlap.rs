//! Rules of different products that would take the same file.

use super::exclude::{Exclude, is_way};
use super::names::{Common, NameSet, common};
use super::{Pattern, Rule, depth_below, glob_as_regex};
use crate::domain::{has_image_extension, is_own_output};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

/// How many pairs of patterns are compared exactly. Real lines have some hundreds, and each takes a millisecond.
const COMPARED: usize = 10_000;
/// How many overlaps are reported.
const TOLD: usize = 100;
/// How many automata are kept; each has some ten kilobytes.
const KEPT: usize = 500;

/// Two rules that both take some file, or may take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the earlier rule.
    pub first: usize,
    /// Index of the later rule.
    pub second: usize,
    /// The products, folders and file name, and the remedy.
    pub message: String,
}

/// The pairs of rules of different products that would take the same image, for products that `matter` together; a hundred at most.
/// `names[rule.product]` is the product's name in messages.
///
/// The comparison is exact: the patterns become automata, and a search through their product looks for an image name that both accept. A
/// pair whose automata grow too large is reported too, as one that nobody can tell apart. Rules that share no folder, or whose names begin
/// differently, are not compared, so ten thousand products take seconds. For patterns that differ only in the middle, the number of
/// comparisons is limited. Of `exclude`, only patterns for file names and for folders that hold the other rule's folder count. File
/// patterns with a `/` do not, so a reported pair may never meet.
pub fn overlaps(rules: &[Rule], names: &[String], matter: impl Fn(usize, usize) -> bool) -> Vec<Overlap> {
    overlaps_among(rules, names, matter, COMPARED)
}

fn overlaps_among(rules: &[Rule], names: &[String], matter: impl Fn(usize, usize) -> bool, compared: usize) -> Vec<Overlap> {
    let mut comparison = Comparison { compared, ..Comparison::default() };
    let mut found = Vec::new();
    let name_of = |rule: &Rule| names.get(rule.product).cloned().unwrap_or_else(|| format!("number {}", rule.product));
    for_each_meeting(rules, |first, second| {
        let (a, b) = (&rules[first], &rules[second]);
        if a.product == b.product || !matter(a.product, b.product) {
            return true;
        }
        let what = match comparison.of(a, b) {
            None => {
                let message = format!(
                    "more than {compared} pairs of patterns in this folder have no different beginnings and would have to be compared; give them some (e.g. `front_*` and `back_*`), or give each product a drop folder of its own"
                );
                found.push(Overlap { first, second, message });
                return false;
            }
            Some(Common::Nothing) => return true,
            Some(Common::Name(name)) => format!("would both take the file `{name}`"),
            Some(Common::Unknown) => "cannot be told apart by their patterns".to_owned(),
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
        found.len() < TOLD
    });
    found.sort_by_key(|overlap| (overlap.first, overlap.second));
    found
}

/// Calls `pair` with the indices of every two rules that share a folder and whose names may begin alike, until it returns false.
fn for_each_meeting(rules: &[Rule], mut pair: impl FnMut(usize, usize) -> bool) {
    let mut by_root: HashMap<&Path, BTreeMap<String, Vec<usize>>> = HashMap::new();
    for (i, rule) in rules.iter().enumerate() {
        by_root.entry(&rule.root).or_default().entry(beginning(&rule.pattern)).or_default().push(i);
    }
    for (i, rule) in rules.iter().enumerate() {
        let own = beginning(&rule.pattern);
        for outer in rule.root.ancestors() {
            let Some(group) = by_root.get(outer).filter(|_| depth_below(outer, &rule.root).is_some()) else { continue };
            let same = outer == rule.root;
            let longer = group.range(own.clone()..).take_while(|(beginning, _)| beginning.starts_with(&own)).map(|(_, rules)| rules);
            let shorter = (0..own.len()).filter_map(|length| group.get(&own[..length]));
            for &other in longer.chain(shorter).flatten() {
                // For two rules with one folder, the later one finds the pair.
                let meets = if same { other < i } else { rules[other].recursive && !leaves_out(&rules[other], rule) };
                if meets && !pair(other.min(i), other.max(i)) {
                    return;
                }
            }
        }
    }
}

/// True when the outer rule excludes the folder of the inner one.
fn leaves_out(outer: &Rule, inner: &Rule) -> bool {
    let below = inner.root.strip_prefix(&outer.root).unwrap_or(&inner.root);
    Exclude::new(&outer.exclude).is_ok_and(|exclude| exclude.leaves_out(below))
}

/// The lower-case beginning of every name that the pattern takes; empty when it is not easy to find.
fn beginning(pattern: &Pattern) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-, =@#%~".contains(c);
    let (text, is_glob) = match pattern {
        Pattern::Glob(glob) => (glob.as_str(), true),
        Pattern::Regex(regex) => match regex.strip_prefix('^') {
            Some(rest) if !rest.contains(['|']) && !rest.contains("(?") => (rest, false),
            _ => return String::new(),
        },
    };
    let length = text.find(|c| !plain(c)).unwrap_or(text.len());
    // A repeated or optional character may be missing.
    let repeated = !is_glob && text[length..].starts_with(['*', '?', '+', '{']);
    text[..length.saturating_sub(usize::from(repeated))].to_ascii_lowercase()
}

/// A pattern, and the names of files that its rule excludes.
type Names = (Pattern, Vec<String>);

fn names_of(rule: &Rule) -> Names {
    (rule.pattern.clone(), rule.exclude.iter().filter(|pattern| !is_way(pattern)).cloned().collect())
}

/// Compares patterns and remembers the answers.
#[derive(Default)]
struct Comparison {
    sets: HashMap<Pattern, Option<Rc<NameSet>>>,
    images: Option<Option<Rc<NameSet>>>,
    never: HashMap<Vec<String>, Option<Rc<NameSet>>>,
    known: HashMap<(Names, Names), Common>,
    /// The most pairs that are compared.
    compared: usize,
}

impl Comparison {
    /// `None` when too many pairs have been compared.
    fn of(&mut self, a: &Rule, b: &Rule) -> Option<Common> {
        let pair = (names_of(a), names_of(b));
        if let Some(known) = self.known.get(&pair) {
            return Some(known.clone());
        }
        if self.known.len() >= self.compared {
            return None;
        }
        let (a, b) = (self.set(&a.pattern), self.set(&b.pattern));
        let common = match (&a, &b, self.images(), self.never_taken(&[&pair.0, &pair.1])) {
            (Some(a), Some(b), Some(images), Some(never)) => common(&[a, b, &images], &never),
            _ => Common::Unknown,
        };
        self.known.insert(pair, common.clone());
        Some(common)
    }

    fn set(&mut self, pattern: &Pattern) -> Option<Rc<NameSet>> {
        if self.sets.len() >= KEPT {
            self.sets.clear();
        }
        self.sets.entry(pattern.clone()).or_insert_with(|| set_of(pattern).map(Rc::new)).clone()
    }

    fn images(&mut self) -> Option<Rc<NameSet>> {
        self.images.get_or_insert_with(|| NameSet::images().map(Rc::new)).clone()
    }

    /// The names of files that one of the rules excludes in every folder, and the names that no rule ever takes.
    fn never_taken(&mut self, rules: &[&Names]) -> Option<Rc<NameSet>> {
        let mut excluded: Vec<String> = rules.iter().flat_map(|(_, excluded)| excluded).cloned().collect();
        excluded.sort_unstable();
        excluded.dedup();
        if self.never.len() >= KEPT {
            self.never.clear();
        }
        let of = |excluded: &Vec<String>| {
            let patterns: Vec<String> = excluded.iter().filter_map(|pattern| glob_as_regex(pattern).ok()).collect();
            NameSet::never_taken(&patterns).map(Rc::new)
        };
        self.never.entry(excluded).or_insert_with_key(of).clone()
    }
}

/// The indices of the rules that certainly take no image: their pattern matches no image name, as `*.jpgg` or `*.txt`, or all matches are
/// excluded.
pub fn take_no_image(rules: &[Rule]) -> Vec<usize> {
    let mut comparison = Comparison::default();
    let mut known: HashMap<Names, bool> = HashMap::new();
    let mut takes_none = |rule| {
        *known.entry(names_of(rule)).or_insert_with_key(|names| {
            let is_easy = names.1.is_empty() && takes_an_easy_name(&names.0);
            !is_easy
                && match (comparison.set(&names.0), comparison.images(), comparison.never_taken(&[names])) {
                    (Some(set), Some(images), Some(never)) => common(&[&set, &images], &never) == Common::Nothing,
                    _ => false,
                }
        })
    };
    (0..rules.len()).filter(|&i| takes_none(&rules[i])).collect()
}

/// True when the pattern takes a simple image name that is made from the pattern.
fn takes_an_easy_name(pattern: &Pattern) -> bool {
    let Ok(regex) = pattern.compile() else { return false };
    let stem = match pattern {
        Pattern::Glob(glob) => glob.replace(['*', '?'], "x").replace("{jpg,jpeg,png,bmp,tif,tiff}", "png"),
        Pattern::Regex(regex) => {
            regex.trim_start_matches('^').chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
        }
    };
    let is_image = |name: &str| has_image_extension(Path::new(name)) && !is_own_output(Path::new(name)) && !name.starts_with('.');
    ["", ".png", "1.png", "x.jpg"].iter().map(|end| format!("{stem}{end}")).any(|name| is_image(&name) && regex.is_match(name.as_bytes()))
}

fn set_of(pattern: &Pattern) -> Option<NameSet> {
    pattern.as_regex().ok().and_then(|(regex, dot_all)| NameSet::new(&regex, dot_all))
}

#[cfg(test)]
mod tests {
    use super::super::{Route, Router};
    use super::*;
    use crate::domain::Readiness;
    use proptest::prelude::*;

    fn glob(product: usize, root: &str, recursive: bool, glob: &str) -> Rule {
        Rule {
            product,
            root: root.into(),
            recursive,
            pattern: Pattern::Glob(glob.into()),
            exclude: Vec::new(),
            readiness: Readiness::CloseWrite,
        }
    }

    fn regex(product: usize, root: &str, regex: &str) -> Rule {
        Rule {
            product,
            root: root.into(),
            recursive: true,
            pattern: Pattern::Regex(regex.into()),
            exclude: Vec::new(),
            readiness: Readiness::CloseWrite,
        }
    }

    fn takes_no_image(rule: &Rule) -> bool {
        take_no_image(std::slice::from_ref(rule)) == [0]
    }

    fn messages(rules: &[Rule]) -> Vec<String> {
        overlaps(rules, &["p0".into(), "p1".into(), "p2".into()], |_, _| true).into_iter().map(|o| o.message).collect()
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
    fn what_is_excluded_does_not_meet() {
        let excluding = |rule: Rule, exclude: &[&str]| Rule { exclude: exclude.iter().map(|text| (*text).to_owned()).collect(), ..rule };
        let all = |product, root: &str| glob(product, root, true, "*");
        assert_eq!(messages(&[excluding(all(0, "/a"), &["B_*"]), glob(1, "/a", true, "b_*")]).len(), 0);
        assert_eq!(messages(&[all(0, "/a"), excluding(glob(1, "/a", true, "b_*"), &["c_*"])]).len(), 1);
        assert_eq!(messages(&[excluding(all(0, "/a"), &["line2"]), all(1, "/a/line2/x")]).len(), 0);
        assert_eq!(messages(&[excluding(all(0, "/a"), &["line2/x"]), all(1, "/a/line2/x")]).len(), 0);
        assert_eq!(messages(&[excluding(all(0, "/a"), &["line3"]), all(1, "/a/line2")]).len(), 1);
        assert_eq!(messages(&[all(0, "/a"), all(1, "/a/#recycle")]).len(), 0, "folders of the system are not entered");
        assert!(takes_no_image(&excluding(glob(0, "/a", true, "b_*"), &["*.*"])));
    }

    #[test]
    fn two_ways_to_write_a_letter_are_one_name() {
        let pieces = "\u{1107}\u{116e}_*";
        assert_eq!(messages(&[glob(0, "/a", true, "부_*"), glob(1, "/a", true, pieces)]).len(), 1);
        assert_eq!(messages(&[glob(0, "/a", true, "부_*"), regex(1, "/a", "^[^부]")]).len(), 0);
    }

    #[test]
    fn ten_thousand_products_cost_no_more_comparisons_than_a_few() {
        let matching = |pattern: &dyn Fn(usize) -> String| -> Vec<Rule> {
            (0..10_000).map(|i| glob(i, if i % 2 == 0 { "/a" } else { "/a/b" }, true, &pattern(i))).collect()
        };
        let found = |rules: &[Rule]| overlaps_among(rules, &[], |_, _| true, 100);
        assert_eq!(found(&matching(&|i| format!("x{i}_*.png"))), []);
        let own: Vec<Rule> = (0..10_000).map(|i| glob(i, &format!("/a/{i}"), true, "*")).collect();
        assert_eq!(found(&own), []);
        let all = found(&matching(&|_| "*".into()));
        assert_eq!((all.len(), all[0].first, all[0].second), (TOLD, 0, 1), "these take the same files, and some say so");
        let long = found(&matching(&|i| format!("*_{i}.png")));
        assert!(long.len() == 1 && long[0].message.contains("more than 100 pairs"), "{long:?}");
    }

    #[test]
    fn a_beginning_is_what_every_name_has() {
        for (pattern, expected) in
            [("front_*", "front_"), ("X?", "x"), ("{a,b}*", ""), ("[ab]", ""), ("é*", ""), ("a.png", "a"), ("abc", "abc")]
        {
            assert_eq!(beginning(&Pattern::Glob(pattern.into())), expected, "{pattern}");
        }
        for (pattern, expected) in [
            ("^front_", "front_"),
            ("front", ""),
            ("^ab*", "a"),
            ("^ab?c", "a"),
            ("^ab{0,1}", "a"),
            ("^ab+", "a"),
            ("^a|b", ""),
            ("^(?i)a", ""),
            ("^A1.x", "a1"),
            ("^", ""),
            (r"^a\.b", "a"),
        ] {
            assert_eq!(beginning(&Pattern::Regex(pattern.into())), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_too_large_to_decide_is_reported() {
        let found = messages(&[regex(0, "/a", "x.{60}$"), regex(1, "/a", "y.{60}$")]);
        assert!(found[0].contains("cannot be told apart"), "{found:?}");
    }

    #[test]
    fn a_pattern_that_takes_no_image_is_known() {
        let any = |text| glob(0, "/a", true, text);
        let rules = [any("*.jpgg"), regex(0, "/a", r"\.txt$"), any(".*"), any("*.{jpg,txt}"), any("a*"), regex(0, "/a", "^a[0-9]$")];
        assert_eq!(take_no_image(&rules), [0, 1, 2, 5]);
    }

    proptest! {
        /// Without a reported overlap, no name fits both rules. With one, the name in the message fits both.
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
