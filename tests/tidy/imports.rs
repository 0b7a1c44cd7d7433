//! Who imports whom.

use super::tree::{Key, Target, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// One file names something of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: usize,
    /// The file that has the definition, however many `pub use` lead there.
    pub to: usize,
    /// As it is written.
    pub path: String,
    /// Hands on what it names, or names a module only: no code of `from` needs `to` for that.
    pub in_passing: bool,
}

impl Tree {
    /// All imports between two files.
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (from, file) in self.files.iter().enumerate() {
            let mut add = |module: &Key, path: &[String], handed_on: bool| {
                let targets = self.resolve(module, path);
                let items: Vec<usize> =
                    targets.iter().filter_map(|t| if let Target::Item(file) = t { Some(*file) } else { None }).collect();
                let modules = targets.iter().filter_map(|t| if let Target::Module(key) = t { Some(self.file_of(key)) } else { None });
                let to: Vec<usize> = if items.is_empty() { modules.collect() } else { items.clone() };
                for to in to.into_iter().filter(|to| *to != from) {
                    let in_passing = items.is_empty() || (handed_on && self.is_below(from, to));
                    imports.insert(Import { from, to, path: path.join("::"), in_passing });
                }
            };
            for import in &file.found.uses {
                add(&import.module, &import.path, import.public);
            }
            for (module, path) in &file.found.paths {
                add(module, path, false);
            }
        }
        imports
    }

    /// A line for each two files.
    pub fn told<'a>(&self, imports: impl Iterator<Item = &'a Import>) -> Vec<String> {
        let mut pairs: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
        for import in imports {
            pairs.entry((import.from, import.to)).or_default().push(&import.path);
        }
        let path = |file: usize| &self.files[file].path;
        let line = |((from, to), written): (_, Vec<&str>)| {
            // The longest says most: names of one word follow from a `use`.
            let written = written.into_iter().max_by_key(|written| written.len()).unwrap_or_default();
            format!("{} imports {written} ({})", path(from), path(to))
        };
        pairs.into_iter().map(line).collect()
    }

    /// Whether the file `to` is of a module below that of `from`.
    fn is_below(&self, from: usize, to: usize) -> bool {
        let folder = |path: &str| {
            path.trim_end_matches("mod.rs").trim_end_matches("lib.rs").trim_end_matches(".rs").trim_end_matches('/').to_owned()
        };
        let (from, to) = (folder(&self.files[from].path), &self.files[to].path);
        from.is_empty() || to.strip_prefix(&from).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Files that need each other, however many stand between; each circle with the imports that make it one.
    pub fn circles(&self) -> Vec<String> {
        let imports = self.imports();
        let mut needs: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for import in imports.iter().filter(|import| !import.in_passing) {
            needs.entry(import.from).or_default().insert(import.to);
        }
        let reached: BTreeMap<usize, BTreeSet<usize>> = needs.keys().map(|from| (*from, reach(*from, &needs))).collect();
        let both = |a: usize, b: usize| reached.get(&a).is_some_and(|r| r.contains(&b)) && reached.get(&b).is_some_and(|r| r.contains(&a));
        let mut told: BTreeSet<usize> = BTreeSet::new();
        let mut circles = Vec::new();
        for from in needs.keys().copied() {
            if told.contains(&from) || !both(from, from) {
                continue;
            }
            let members: Vec<usize> = (0..self.files.len()).filter(|other| both(from, *other)).collect();
            told.extend(&members);
            let names: Vec<&str> = members.iter().map(|file| self.files[*file].path.as_str()).collect();
            let within = imports.iter().filter(|i| !i.in_passing && members.contains(&i.from) && members.contains(&i.to));
            let lines = self.told(within).into_iter().map(|line| format!("\n    {line}"));
            circles.push(format!("circle of {}: {}{}", names.len(), names.join(", "), lines.collect::<String>()));
        }
        circles
    }
}

fn reach(from: usize, needs: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for to in needs.get(&file).into_iter().flatten() {
            if reached.insert(*to) {
                next.push(*to);
            }
        }
    }
    reached
}
