//! Collects the problems of the sections, each with its key path and remedy.

use super::paths;
use super::values::FilePath;
use crate::domain::duration::show;
use crate::yaml::problems::ConfigProblem;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The key paths of one product.
pub(super) struct Scope<'a> {
    base: String,
    inherited: &'a BTreeSet<String>,
}

impl<'a> Scope<'a> {
    /// For the product with this number. `inherited` holds its keys that came from `defaults`.
    pub(super) fn new(product: usize, inherited: &'a BTreeSet<String>) -> Self {
        Self { base: format!("products[{product}]"), inherited }
    }

    /// Where the engineer finds `key` (relative to the product): in the product, or in `defaults` when it came from there.
    pub(super) fn key(&self, key: &str) -> String {
        let from_defaults =
            self.inherited.iter().any(|i| key.strip_prefix(i.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        format!("{}.{key}", if from_defaults { "defaults" } else { &self.base })
    }
}

/// The problems found so far.
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    /// Keys that could not be read: a missing value is then no news.
    unread: Vec<String>,
    folder: Option<PathBuf>,
}

impl Problems {
    /// Starts with the problems of reading. Relative paths are resolved against `folder`; without a folder they are refused.
    pub(super) fn new(found: Vec<ConfigProblem>, folder: Option<&Path>) -> Self {
        let unread = found.iter().map(|p| p.key.clone()).collect();
        Self { found, unread, folder: folder.map(Path::to_owned) }
    }

    /// Notes a problem, unless it is known or the key (or something below it) could not even be read.
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let problem = ConfigProblem::of_key(key, message);
        let below = |unread: &String| unread.strip_prefix(&problem.key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        if !self.unread.iter().any(below) && !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// Notes a problem unless `ok`.
    pub(super) fn need(&mut self, ok: bool, key: impl Into<String>, message: impl Into<String>) {
        if !ok {
            self.add(key, message);
        }
    }

    /// Notes a number outside `low..=high`.
    pub(super) fn need_range(&mut self, key: impl Into<String>, value: u32, (low, high): (u32, u32), unit: &str) {
        self.need((low..=high).contains(&value), key, format!("{value} is out of range; use {low} to {high}{unit}"));
    }

    /// Notes a duration outside `low..=high`.
    pub(super) fn need_span(&mut self, key: impl Into<String>, value: Duration, (low, high): (Duration, Duration)) {
        let message = format!("{} is out of range; use {} to {}", show(value), show(low), show(high));
        self.need((low..=high).contains(&value), key, message);
    }

    /// The path under `key`. When it is missing, this notes a problem and returns an empty path.
    pub(super) fn required_path(&mut self, key: &str, path: Option<FilePath>, example: &str) -> PathBuf {
        match path {
            Some(FilePath(path)) => self.path(key, &path),
            None => {
                let name = key.rsplit('.').next().unwrap_or(key);
                self.add(key, format!("is required; write for example `{name}: {example}`"));
                PathBuf::new()
            }
        }
    }

    /// The absolute path against the folder of the file, with `.` and `..` resolved by name; an empty path after a problem.
    pub(super) fn path(&mut self, key: &str, path: &Path) -> PathBuf {
        let fault = if path.as_os_str().is_empty() {
            "is empty; write a path".to_owned()
        } else if let Some(fault) = paths::foreign(&path.to_string_lossy()) {
            fault
        } else if path.is_relative() && self.folder.is_none() {
            "is relative, and there is no file to start from; write the whole path".to_owned()
        } else {
            let whole = self.folder.as_deref().unwrap_or(Path::new("/")).join(path);
            return paths::without_dots(&whole);
        };
        self.add(key, fault);
        PathBuf::new()
    }

    /// All problems that were found.
    pub(super) fn into_found(self) -> Vec<ConfigProblem> {
        self.found
    }
}

/// Checks one section alone, for its unit tests. Returns the result, and the problems, one per line.
#[cfg(test)]
pub(super) fn check_alone<R: serde::de::DeserializeOwned, C>(text: &str, check: impl FnOnce(R, &mut Problems) -> C) -> (C, String) {
    let raw = crate::yaml::reader::read_value(&serde_yaml::from_str(text).unwrap()).unwrap();
    let mut problems = Problems::new(Vec::new(), None);
    let checked = check(raw, &mut problems);
    (checked, problems.into_found().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// The same for a section of the first product.
#[cfg(test)]
pub(super) fn check_of_product<R: serde::de::DeserializeOwned, C>(
    text: &str,
    check: impl FnOnce(R, &Scope<'_>, &mut Problems) -> C,
) -> (C, String) {
    let inherited = BTreeSet::new();
    check_alone(text, |raw, problems| check(raw, &Scope::new(0, &inherited), problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(problems: Problems) -> Vec<String> {
        problems.into_found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_known_or_follows_from_a_key_that_could_not_be_read_is_not_told() {
        let mut problems = Problems::new(vec![ConfigProblem::of_key("products[0].drop[1].path", "is a list")], None);
        problems.add("products[0].drop", "is required");
        problems.need(false, "database", "is required");
        problems.need(false, "database", "is required");
        problems.need(true, "engine", "is fine");
        assert_eq!(found(problems), ["products[0].drop[1].path: is a list", "database: is required"]);
    }

    #[test]
    fn bounds_and_paths_are_checked() {
        let mut problems = Problems::new(Vec::new(), Some(Path::new("/etc/line")));
        problems.need_range("a", 0, (1, 2), " banks");
        problems.need_range("a", 2, (1, 2), " banks");
        problems.need_span("b", Duration::from_secs(90), (Duration::ZERO, Duration::from_secs(60)));
        assert_eq!(problems.path("c", Path::new("./x/../y")), Path::new("/etc/line/y"));
        assert_eq!(problems.path("d", Path::new("")), Path::new(""));
        assert_eq!(problems.required_path("e.f", None, "/srv"), Path::new(""));
        let expected = [
            "a: 0 is out of range; use 1 to 2 banks",
            "b: 90s is out of range; use 0s to 1m",
            "d: is empty; write a path",
            "e.f: is required; write for example `f: /srv`",
        ];
        assert_eq!(found(problems), expected);
    }

    #[test]
    fn keys_from_defaults_are_named_there() {
        let inherited = BTreeSet::from(["build.shorter".to_owned(), "mask".to_owned()]);
        let scope = Scope::new(2, &inherited);
        assert_eq!(scope.key("build.shorter"), "defaults.build.shorter");
        assert_eq!(scope.key("build.shorter_side"), "products[2].build.shorter_side");
        assert_eq!(scope.key("mask.open"), "defaults.mask.open");
    }
}
