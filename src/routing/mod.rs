//! Path → product. Pure: no I/O.
//!
//! A [`Rule`] is a drop folder and a pattern for file names. [`Router::route`] tries the rules in file order, and the first match wins.
//! [`overlaps`] finds the pairs of rules for which that order would matter, so that the configuration check can refuse them.
//!
//! File names are compared in their UTF-8 form. Bytes that are not UTF-8 count as U+FFFD, so a name in a foreign encoding still matches `*`
//! or `.`. Names and patterns are composed first (Unicode NFC): macOS and some shares deliver `é` or `부` in pieces (NFD), but a person who
//! types the pattern sees no difference.

mod composed;
mod error;
mod exclude;
mod names;
mod overlap;
pub mod rules;

pub use error::RoutingError;
pub use overlap::{Overlap, overlaps, take_no_image};

use crate::domain::{Readiness, has_image_extension, is_left_out, is_own_output};
use composed::composed;
use exclude::Exclude;
use regex::bytes::{Regex, RegexBuilder};
use std::path::{Component, Path, PathBuf};

/// One drop folder of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The number of the product, as the caller counts.
    pub product: usize,
    /// The drop folder, absolute.
    pub root: PathBuf,
    /// Whether sub-folders count.
    pub recursive: bool,
    /// The file names that the rule takes.
    pub pattern: Pattern,
    /// Globs of excluded names, or with a `/` of excluded paths below the folder.
    pub exclude: Vec<String>,
    /// How the daemon knows that a file is complete.
    pub readiness: Readiness,
}

/// A pattern for the file name, not the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// A glob, whole name, case-insensitive in ASCII: `*`, `?` (one byte), `{a,b}`, `[a-z]`.
    Glob(String),
    /// A regular expression, case-sensitive, searched anywhere in the name.
    Regex(String),
}

/// The product of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<'a> {
    /// To the product of this rule.
    Product(&'a Rule),
    /// An image in a drop folder that no rule takes.
    Unrouted,
    /// Not for inspection: not an image, the daemon's own output, hidden (its name, or the name of a folder below the root, begins with
    /// `.`), in a system folder, or outside the reach of every rule.
    Ignored,
}

/// A folder to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The absolute path.
    pub path: PathBuf,
    /// Whether its sub-folders are watched too.
    pub recursive: bool,
}

/// The rules, ready for use.
///
/// ```
/// use patchcored::domain::Readiness;
/// use patchcored::routing::{Pattern, Route, Router, Rule};
/// use std::path::Path;
///
/// let rule = Rule {
///     product: 0,
///     root: "/srv/camera".into(),
///     recursive: false,
///     pattern: Pattern::Glob("front_*.png".to_owned()),
///     exclude: vec![],
///     readiness: Readiness::CloseWrite,
/// };
/// let router = Router::new(vec![rule])?;
/// assert!(matches!(router.route(Path::new("/srv/camera/front_1.png")), Route::Product(rule) if rule.product == 0));
/// assert_eq!(router.route(Path::new("/srv/camera/back_1.png")), Route::Unrouted);
/// assert_eq!(router.route(Path::new("/srv/camera/front_1.txt")), Route::Ignored);
/// # Ok::<(), patchcored::routing::RoutingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<Compiled>,
}

#[derive(Debug, Clone)]
struct Compiled {
    rule: Rule,
    regex: Regex,
    exclude: Exclude,
}

impl Pattern {
    /// The same pattern as a regular expression, and whether `.` matches a line feed in it.
    fn as_regex(&self) -> Result<(String, bool), RoutingError> {
        match self {
            Pattern::Regex(regex) => Ok((composed(regex).into_owned(), false)),
            Pattern::Glob(glob) => glob_as_regex(glob).map(|regex| (regex, true)),
        }
    }

    fn compile(&self) -> Result<Regex, RoutingError> {
        let (regex, dot_all) = self.as_regex()?;
        RegexBuilder::new(&regex)
            .dot_matches_new_line(dot_all)
            .build()
            .map_err(|e| RoutingError { pattern: regex.clone(), reason: e.to_string() })
    }
}

/// A glob for whole names as a regular expression in which `.` matches a line feed.
fn glob_as_regex(glob: &str) -> Result<String, RoutingError> {
    globset::GlobBuilder::new(&composed(glob))
        .case_insensitive(true)
        .empty_alternates(true)
        .build()
        .map(|g| g.regex().to_owned())
        .map_err(|e| RoutingError { pattern: glob.to_owned(), reason: e.kind().to_string() })
}

impl Compiled {
    fn new(rule: Rule) -> Result<Self, RoutingError> {
        Ok(Self { regex: rule.pattern.compile()?, exclude: Exclude::new(&rule.exclude)?, rule })
    }

    /// True when the file is in the folder, not too deep, and no name below the root is hidden, of the system or excluded.
    fn reaches(&self, path: &Path) -> bool {
        depth_below(&self.rule.root, path).is_some_and(|depth| depth == 1 || (depth > 1 && self.rule.recursive)) && !self.leaves_out(path)
    }

    fn leaves_out(&self, path: &Path) -> bool {
        path.strip_prefix(&self.rule.root).is_ok_and(|below| self.exclude.leaves_out(below))
    }

    /// True when files in this folder, or below it, are within reach.
    fn reaches_into(&self, folder: &Path) -> bool {
        self.rule.recursive && depth_below(&self.rule.root, folder).is_some() && !self.leaves_out(folder)
    }
}

impl Router {
    /// Compiles the patterns. Fails on the first one that is not a glob or not a regular expression.
    pub fn new(rules: Vec<Rule>) -> Result<Self, RoutingError> {
        Ok(Self { rules: rules.into_iter().map(Compiled::new).collect::<Result<_, _>>()? })
    }

    /// The product of the file with this absolute path. The first rule that matches wins.
    pub fn route(&self, path: &Path) -> Route<'_> {
        let Some(name) = path.file_name() else { return Route::Ignored };
        if !has_image_extension(path) || is_own_output(path) {
            return Route::Ignored;
        }
        let name = name.to_string_lossy();
        let name = composed(&name);
        let mut in_reach = false;
        for Compiled { rule, regex, .. } in self.rules.iter().filter(|rule| rule.reaches(path)) {
            if regex.is_match(name.as_bytes()) {
                return Route::Product(rule);
            }
            in_reach = true;
        }
        if in_reach { Route::Unrouted } else { Route::Ignored }
    }

    /// True when a file in this sub-folder of a drop folder, or below it, can be an image of a product. If not, the daemon neither watches
    /// nor scans it.
    pub fn enters(&self, folder: &Path) -> bool {
        self.rules.iter().any(|rule| rule.reaches_into(folder))
    }

    /// The folders to watch, in the order of the rules. Every file within reach of a rule is below exactly one of them.
    ///
    /// Equal folders become one, which is recursive if any of them was. A folder below a recursive one is left out, because its files are
    /// reported there. It stays below a folder that is not recursive, or under a folder that is hidden, of the system or excluded.
    pub fn roots(&self) -> Vec<Root> {
        let mut roots: Vec<Root> = Vec::new();
        for Compiled { rule, .. } in &self.rules {
            match roots.iter_mut().find(|r| r.path == rule.root) {
                Some(root) => root.recursive |= rule.recursive,
                None => roots.push(Root { path: rule.root.clone(), recursive: rule.recursive }),
            }
        }
        let enters = |outer: &Root, root: &Root| {
            let mut rules = self.rules.iter().filter(|rule| rule.rule.root == outer.path);
            rules.any(|rule| rule.rule.recursive && !rule.leaves_out(&root.path))
        };
        let covered = |root: &Root| roots.iter().any(|outer| depth_below(&outer.path, &root.path) >= Some(1) && enters(outer, root));
        roots.iter().filter(|root| !covered(root)).cloned().collect()
    }
}

/// How many names `path` has below `root` (0: the same). `None` when it is outside, or one of these names is hidden or of the system.
fn depth_below(root: &Path, path: &Path) -> Option<usize> {
    let rest = path.strip_prefix(root).ok()?;
    let visible = |c: Component<'_>| matches!(c, Component::Normal(name) if !is_left_out(name));
    rest.components().all(visible).then(|| rest.components().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn rule(product: usize, root: &str, recursive: bool, pattern: Pattern) -> Rule {
        Rule { product, root: root.into(), recursive, pattern, exclude: Vec::new(), readiness: Readiness::CloseWrite }
    }

    fn glob(text: &str) -> Pattern {
        Pattern::Glob(text.into())
    }

    fn product_of(router: &Router, path: impl AsRef<Path>) -> Option<usize> {
        match router.route(path.as_ref()) {
            Route::Product(rule) => Some(rule.product),
            _ => None,
        }
    }

    #[test]
    fn globs_ignore_case_and_regexes_do_not() {
        let router = Router::new(vec![
            rule(0, "/cam", true, glob("front_*.{jpg,jpe{,g}}")),
            rule(1, "/cam", true, Pattern::Regex("^BACK_[0-9]+".into())),
        ])
        .unwrap();
        assert_eq!(product_of(&router, "/cam/FRONT_1.JPG"), Some(0));
        assert_eq!(product_of(&router, "/cam/a/b/front_1.jpeg"), Some(0));
        assert_eq!(product_of(&router, "/cam/BACK_7.png"), Some(1));
        assert_eq!(router.route(Path::new("/cam/back_7.png")), Route::Unrouted);
        assert_eq!(router.route(Path::new("/cam/BACK_7.txt")), Route::Ignored);
    }

    #[test]
    fn depth_hidden_names_and_own_outputs() {
        let router = Router::new(vec![rule(0, "/cam", false, glob("*")), rule(1, "/deep", true, glob("*"))]).unwrap();
        assert_eq!(product_of(&router, "/cam/a.jpg"), Some(0));
        assert_eq!(product_of(&router, "/deep/x/y/a.jpg"), Some(1));
        for ignored in [
            "/cam/sub/a.jpg",
            "/camera/a.jpg",
            "/elsewhere/a.jpg",
            "/cam/.a.jpg",
            "/deep/.recycle/a.jpg",
            "/deep/x/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
            "/deep/$Recycle.Bin/S-1-5-21/a.jpg",
            "/cam/lost+found/a.jpg",
            "/deep/a.jpg.mask.png",
            "/deep/.patchcored-1.png",
            "/deep/a.jpg.done",
            "/",
        ] {
            assert_eq!(router.route(Path::new(ignored)), Route::Ignored, "{ignored}");
        }
        assert_eq!(product_of(&router, "/deep/part.mask.png"), Some(1), "a camera's own name");
    }

    #[test]
    fn names_that_are_not_utf8_are_routed() {
        let router =
            Router::new(vec![rule(0, "/cam", true, glob("a*.jpg")), rule(1, "/cam", true, Pattern::Regex(r"^b.*\.jpg$".into()))]).unwrap();
        assert_eq!(product_of(&router, Path::new(OsStr::from_bytes(b"/cam/a\xff\xfe.jpg"))), Some(0));
        assert_eq!(product_of(&router, Path::new(OsStr::from_bytes(b"/cam/b\xff.jpg"))), Some(1));
        assert_eq!(router.route(Path::new(OsStr::from_bytes(b"/cam/c\xff.jpg"))), Route::Unrouted);
    }

    #[test]
    fn names_in_pieces_match_as_those_in_whole_letters() {
        let (whole, pieces) = ("부품é", "\u{1107}\u{116e}\u{1111}\u{116e}\u{11b7}e\u{301}");
        for (pattern, name) in [(whole, pieces), (pieces, whole), (pieces, pieces)] {
            for pattern in [glob(&format!("{pattern}_?.png")), Pattern::Regex(format!("^{pattern}_[0-9]")), Pattern::Regex("^부.é_".into())]
            {
                let router = Router::new(vec![rule(0, "/cam", true, pattern.clone())]).unwrap();
                assert_eq!(product_of(&router, format!("/cam/{name}_1.png")), Some(0), "{pattern:?} {name}");
            }
        }
        let class = Router::new(vec![rule(0, "/cam", true, Pattern::Regex("^[\u{1107}\u{116e}a]_".into()))]).unwrap();
        assert_eq!(product_of(&class, "/cam/부_1.png"), Some(0));
        assert_eq!(product_of(&class, "/cam/\u{1107}_1.png"), None, "half a letter");
    }

    #[test]
    fn what_a_rule_excludes_is_not_within_its_reach() {
        let excluding = |product, root: &str, exclude: &[&str]| Rule {
            exclude: exclude.iter().map(|text| (*text).to_owned()).collect(),
            ..rule(product, root, true, glob("*"))
        };
        let router = Router::new(vec![excluding(0, "/cam", &["archive", "line2", "*_thumb.*"]), excluding(1, "/cam/line2", &[])]).unwrap();
        assert_eq!(product_of(&router, "/cam/x/a.jpg"), Some(0));
        assert_eq!(product_of(&router, "/cam/line2/a.jpg"), Some(1));
        for ignored in ["/cam/archive/a.jpg", "/cam/x/Archive/y/a.jpg", "/cam/a_thumb.jpg"] {
            assert_eq!(router.route(Path::new(ignored)), Route::Ignored, "{ignored}");
        }
        let entered = ["/cam", "/cam/x", "/cam/line2", "/cam/line2/y"];
        assert!(entered.iter().all(|folder| router.enters(Path::new(folder))));
        let left_out = ["/cam/archive", "/cam/x/archive", "/cam/x/#recycle", "/cam/.h", "/else"];
        assert!(!left_out.iter().any(|folder| router.enters(Path::new(folder))));
        // A walk through the outer folder does not reach the inner one.
        assert_eq!(router.roots().iter().map(|root| root.path.as_path()).collect::<Vec<_>>(), [Path::new("/cam"), Path::new("/cam/line2")]);
    }

    #[test]
    fn the_first_match_wins() {
        let router = Router::new(vec![rule(0, "/cam", true, glob("a*")), rule(1, "/cam", true, glob("*"))]).unwrap();
        assert_eq!(product_of(&router, "/cam/a.jpg"), Some(0));
        assert_eq!(product_of(&router, "/cam/b.jpg"), Some(1));
    }

    #[test]
    fn every_file_lies_under_one_root() {
        let rules = vec![
            rule(0, "/a/b", false, glob("*")),
            rule(0, "/a", true, glob("*")),
            rule(1, "/a/.h", true, glob("*")),
            rule(1, "/c", false, glob("x*")),
            rule(1, "/c/d", false, glob("x*")),
            rule(2, "/c/d", true, glob("y*")),
            rule(2, "/c/d/e", true, glob("y*")),
        ];
        let roots = Router::new(rules).unwrap().roots();
        let root = |path: &str, recursive| Root { path: path.into(), recursive };
        assert_eq!(roots, [root("/a", true), root("/a/.h", true), root("/c", false), root("/c/d", true)]);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Router::new(vec![rule(0, "/a", true, glob("[a"))]).unwrap_err();
        assert!(error.to_string().contains("`[a`"), "{error}");
        assert!(Router::new(vec![rule(0, "/a", true, Pattern::Regex("(".into()))]).is_err());
    }
}
