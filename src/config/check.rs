//! Raw → Config: collects every problem with its key path and remedy.

use super::duration::show;
use super::raw::{RawConfig, RawProduct};
use super::yaml::Read;
use super::{Config, ProductConfig, engine, metrics, mqtt, paths, places, product, profiles};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: `products[0].build.shorter`; for a text that is no YAML, `line 3, column 5`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every problem of a configuration file; never empty. Displayed with one line per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}  {}: {}", problem.key, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// Checks what was read. Relative paths are resolved against `folder`; without one they are refused.
pub(super) fn check(read: Read, folder: Option<&Path>) -> Result<Config, ConfigProblems> {
    let Read { raw, document, inherited, problems } = read;
    let mut problems = Problems::new(problems, folder);
    let RawConfig { database, engine, intake, metrics, mqtt, defaults, products, profiles, profile } = raw;
    let database = problems.required_path("database", database, "/var/lib/patchcored/history.db");
    let engine = engine::check_engine(engine.unwrap_or_default(), &mut problems);
    let intake = engine::check_intake(intake.unwrap_or_default(), &mut problems);
    let metrics = metrics::check(metrics.unwrap_or_default(), &mut problems);
    let mqtt = mqtt::check(mqtt.unwrap_or_default(), &mut problems);
    if let Some(defaults) = defaults {
        refuse_in_defaults(&defaults, &mut problems);
    }
    let products = products.unwrap_or_default();
    problems.need(!products.is_empty(), "products", "is required; list at least one product with `name`, `drop`, `ok` and `bank`");
    let products: Vec<_> = products
        .into_iter()
        .zip(&inherited)
        .enumerate()
        .map(|(i, (raw, inherited))| product::check(raw, &Scope::new(i, inherited), &intake, &mut problems))
        .collect();
    let mut names = HashMap::new();
    for (i, product) in products.iter().enumerate().filter(|(_, product)| !product.name.is_empty()) {
        let first = *names.entry(product.name.as_str()).or_insert(i);
        let message = format!("`{}` is also the name of products[{first}]; give each its own", product.name);
        problems.need(first == i, format!("products[{i}].name"), message);
    }
    places::check(&products, &mut problems);
    let profiles = profiles.unwrap_or_default();
    profiles::check(&profiles, profile.as_deref(), &products, &mut problems);
    if problems.found.is_empty() {
        Ok(Config { database, engine, intake, metrics, mqtt, products, profiles, profile, document })
    } else {
        Err(ConfigProblems(problems.found))
    }
}

/// The problems of the folders alone.
pub(super) fn place_problems(products: &[ProductConfig]) -> Vec<ConfigProblem> {
    let mut problems = Problems::new(Vec::new(), None);
    places::check(products, &mut problems);
    problems.found
}

fn refuse_in_defaults(defaults: &RawProduct, problems: &mut Problems) {
    let given = [defaults.name.is_some(), defaults.drop.is_some(), defaults.ok.is_some(), defaults.bank.is_some()];
    for (key, given) in super::yaml::NOT_IN_DEFAULTS.iter().zip(given) {
        problems.need(!given, format!("defaults.{key}"), format!("`{key}` differs from product to product; move it under each product"));
    }
}

/// The key paths of one product.
pub(super) struct Scope<'a> {
    base: String,
    inherited: &'a BTreeSet<String>,
}

impl<'a> Scope<'a> {
    fn new(product: usize, inherited: &'a BTreeSet<String>) -> Self {
        Self { base: format!("products[{product}]"), inherited }
    }

    /// Where the engineer finds `key` (relative to the product): in the product, or in `defaults` when it came from there.
    pub(super) fn key(&self, key: &str) -> String {
        let from_defaults =
            self.inherited.iter().any(|i| key.strip_prefix(i.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        format!("{}.{key}", if from_defaults { "defaults" } else { &self.base })
    }
}

/// Problems as they are found.
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    /// Keys that could not be read: what follows from their absence is no news.
    unread: Vec<String>,
    folder: Option<PathBuf>,
}

impl Problems {
    fn new(found: Vec<ConfigProblem>, folder: Option<&Path>) -> Self {
        let unread = found.iter().map(|p| p.key.clone()).collect();
        Self { found, unread, folder: folder.map(Path::to_owned) }
    }

    /// Notes a problem, unless it is known or the key (or something below it) could not even be read.
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let problem = ConfigProblem { key: key.into(), message: message.into() };
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

    /// The path under `key`; an empty one when it is missing, which is noted.
    pub(super) fn required_path(&mut self, key: &str, path: Option<PathBuf>, example: &str) -> PathBuf {
        match path {
            Some(path) => self.path(key, &path),
            None => {
                let name = key.rsplit('.').next().unwrap_or(key);
                self.add(key, format!("is required; write for example `{name}: {example}`"));
                PathBuf::new()
            }
        }
    }

    /// The path made absolute against the folder of the file, with `.` and `..` resolved by name; an empty one after a problem.
    pub(super) fn path(&mut self, key: &str, path: &Path) -> PathBuf {
        let fault = if path.as_os_str().is_empty() {
            "is empty; write a path".to_owned()
        } else if let Some(fault) = paths::foreign(&path.to_string_lossy()) {
            fault
        } else if path.is_relative() && self.folder.is_none() {
            "is relative, and there is no file to start from; write the whole path".to_owned()
        } else {
            let whole = self.folder.as_deref().unwrap_or(Path::new("/")).join(path);
            return without_dots(&whole);
        };
        self.add(key, fault);
        PathBuf::new()
    }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
