//! The source tree, parsed: its files, its modules, and what each name of a module stands for.

use super::reader::{Found, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A module by the names that lead to it; the first is `crate`, or `main` for what `main.rs` holds.
pub type Key = Vec<String>;

/// A file of the program; unit tests are no part of it.
pub struct SourceFile {
    /// Below `src/`.
    pub path: String,
    /// The lines before the unit tests.
    pub lines: Vec<String>,
    pub found: Found,
}

impl SourceFile {
    /// The folder right below `src/`, or the file there.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

/// What a name of a module stands for.
#[derive(Clone)]
pub enum Name {
    Module(Key),
    Item,
    /// A `use`, from here to there.
    Alias(Vec<String>),
}

/// Where a path ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Module(Key),
    /// Something that this file defines.
    Item(usize),
}

struct Module {
    file: usize,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
}

pub struct Tree {
    pub files: Vec<SourceFile>,
    modules: BTreeMap<Key, Module>,
}

impl Tree {
    /// The program.
    pub fn program() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let mut paths = Vec::new();
            sources(&root, &mut paths);
            assert!(paths.len() > 50);
            let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            Self::of(paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())))
        })
    }

    /// Files by their path below `src/`, with their text.
    pub fn of(texts: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let mut read: Vec<_> = texts
            .into_iter()
            .map(|(path, text)| {
                let (path, text) = (path.into(), text.into());
                let key = key(&path);
                let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
                let found = Reader::read(&key, &syntax);
                (key, SourceFile { lines: before_tests(&text), path, found })
            })
            .collect();
        // A file that only the unit tests have.
        let tests: BTreeSet<Key> = read.iter().flat_map(|(_, file)| file.found.test_modules.iter().cloned()).collect();
        read.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
        read.retain(|(key, _)| !(1..=key.len()).any(|length| tests.contains(&key[..length])));

        let mut tree = Self { files: Vec::new(), modules: BTreeMap::new() };
        for (number, (key, file)) in read.into_iter().enumerate() {
            let mut names = file.found.names.clone();
            let mut globs = file.found.globs.clone();
            for key in std::iter::once(key).chain(file.found.inner_modules.iter().cloned()) {
                let (names, globs) = (names.remove(&key).unwrap_or_default(), globs.remove(&key).unwrap_or_default());
                tree.modules.insert(key, Module { file: number, names, globs });
            }
            tree.files.push(file);
        }
        tree
    }

    /// The files that no `mod` of another file names, beside the roots: the compiler does not see them.
    pub fn strays(&self) -> Vec<&str> {
        let declared: BTreeSet<&Key> = self.files.iter().flat_map(|file| &file.found.declared).collect();
        let stray = |file: &&SourceFile| key(&file.path).len() > 1 && !declared.contains(&key(&file.path));
        self.files.iter().filter(stray).map(|file| file.path.as_str()).collect()
    }

    pub fn file_of(&self, module: &Key) -> usize {
        self.modules[module].file
    }

    /// What the path stands for that is written in this module; nothing for what is not ours.
    pub fn resolve(&self, from: &Key, path: &[String]) -> Vec<Target> {
        self.follow(from, path, 0)
    }

    fn follow(&self, from: &Key, path: &[String], depth: usize) -> Vec<Target> {
        // `use rand::rand`: the name leads to itself.
        if depth > 16 {
            return Vec::new();
        }
        let mut rest = path;
        let mut at = from.clone();
        let mut rooted = true;
        match rest[0].as_str() {
            "crate" => at.truncate(1),
            "self" => {}
            "super" => {
                while rest.get(1).is_some_and(|next| next == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
                at.pop();
            }
            "patchcored" => at = vec!["crate".to_owned()],
            _ => rooted = false,
        }
        if rooted {
            rest = &rest[1..];
        }
        self.walk(&at, rest, rooted, depth)
    }

    /// From a module along the names. A name that a rooted path has and the module has not is the module's: a macro may make it.
    fn walk(&self, at: &Key, rest: &[String], rooted: bool, depth: usize) -> Vec<Target> {
        let Some(module) = self.modules.get(at) else { return Vec::new() };
        let Some((name, rest)) = rest.split_first() else { return vec![Target::Module(at.clone())] };
        let mut found = self.lookup(at, name, depth);
        if found.is_empty() {
            return if rooted { vec![Target::Item(module.file)] } else { Vec::new() };
        }
        if rest.is_empty() {
            return found;
        }
        // What follows a module's name is in the module; what follows an item's name belongs to the item.
        if let Some(Target::Module(next)) = found.iter().find(|target| matches!(target, Target::Module(_))) {
            return self.walk(next, rest, true, depth);
        }
        found.truncate(1);
        found
    }

    fn lookup(&self, at: &Key, name: &str, depth: usize) -> Vec<Target> {
        let module = &self.modules[at];
        let mut found = Vec::new();
        for name in module.names.get(name).into_iter().flatten() {
            match name {
                Name::Module(key) if self.modules.contains_key(key) => found.push(Target::Module(key.clone())),
                Name::Module(_) => {}
                Name::Item => found.push(Target::Item(module.file)),
                Name::Alias(path) => found.extend(self.follow(at, path, depth + 1)),
            }
        }
        if found.is_empty() && !module.names.contains_key(name) && depth <= 16 {
            for glob in &module.globs {
                for target in self.follow(at, glob, depth + 1) {
                    if let Target::Module(key) = target {
                        found.extend(self.lookup(&key, name, depth + 1));
                    }
                }
            }
        }
        // A file that no `mod` names, as while files are moved: `strays` tells.
        let child = [&at[..], &[name.to_owned()]].concat();
        if found.is_empty() && self.modules.contains_key(&child) {
            found.push(Target::Module(child));
        }
        found.sort();
        found.dedup();
        found
    }
}

/// `a/b.rs` and `a/b/mod.rs` are both `crate::a::b`.
fn key(path: &str) -> Key {
    let mut key: Key = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    match key.last().map(String::as_str) {
        Some("main") if key.len() == 1 => return key,
        Some("lib") if key.len() == 1 => key.clear(),
        Some("mod") => drop(key.pop()),
        _ => {}
    }
    key.insert(0, "crate".to_owned());
    key
}

fn before_tests(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = |at: &usize| lines[*at] == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|next| !next.starts_with("use "));
    let end = (0..lines.len()).find(tests).unwrap_or(lines.len());
    lines[..end].iter().map(|line| (*line).to_owned()).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}
