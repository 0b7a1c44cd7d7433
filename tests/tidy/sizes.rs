//! How much a file, a room and a struct hold, and what has one name.

use super::tree::{Target, Tree};
use std::collections::{BTreeMap, BTreeSet};

pub fn long_files(tree: &Tree, most: usize) -> Vec<String> {
    let long = tree.files.iter().filter(|file| file.lines.len() > most);
    long.map(|file| format!("{} has {} lines, {most} are allowed", file.path, file.lines.len())).collect()
}

/// Rooms with more lines before the tests than are allowed, to all or to this one.
pub fn large_rooms(tree: &Tree, most: usize, of_one: &[(&str, usize)]) -> Vec<String> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &tree.files {
        *lines.entry(file.room()).or_default() += file.lines.len();
    }
    let allowed = |room: &str| of_one.iter().find(|(one, _)| *one == room).map_or(most, |(_, most)| *most);
    let large = lines.into_iter().filter(|(room, lines)| *lines > allowed(room));
    large.map(|(room, lines)| format!("{room}/ has {lines} lines, {} are allowed", allowed(room))).collect()
}

/// Structs of these rooms that are named `…Context`, or that some file holds in an `Arc`, and have more fields than `most`.
pub fn wide_structs(tree: &Tree, rooms: &[&str], most: usize) -> Vec<String> {
    let mut shared = BTreeSet::new();
    for file in &tree.files {
        for (module, path) in &file.found.shared {
            let name = path.last().cloned().unwrap_or_default();
            let files = tree.resolve(module, path).into_iter().filter_map(|t| if let Target::Item(file) = t { Some(file) } else { None });
            shared.extend(files.map(|file| (file, name.clone())));
        }
    }
    let mut wide = Vec::new();
    for (number, file) in tree.files.iter().enumerate().filter(|(_, file)| rooms.contains(&file.room())) {
        for found in file.found.types.iter().filter(|found| found.fields > most) {
            if found.name.ends_with("Context") || shared.contains(&(number, found.name.clone())) {
                wide.push(format!("{}: `{}` has {} fields, {most} are allowed", file.path, found.name, found.fields));
            }
        }
    }
    wide
}

/// Structs, enums and traits for others that are defined in more than one file.
pub fn names_given_twice(tree: &Tree) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in &tree.files {
        for found in file.found.types.iter().filter(|found| found.public) {
            files.entry(&found.name).or_default().push(&file.path);
        }
    }
    let twice = files.into_iter().filter(|(_, files)| files.len() > 1);
    twice.map(|(name, files)| format!("`{name}` is defined in {}", files.join(" and "))).collect()
}
