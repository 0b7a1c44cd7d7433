//! The rules of the source tree: who may import whom, and what a file may hold.

mod imports;
mod layers;
mod made_up;
mod reader;
mod sizes;
mod tree;

use layers::{LIBRARIES, ROOMS};
use tree::{SourceFile, Tree};

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} found:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_room_imports_only_what_is_below_it() {
    none(&layers::violations(Tree::program(), ROOMS));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    none(&Tree::program().circles());
}

#[test]
fn libraries_stay_in_their_rooms() {
    none(&layers::strangers(Tree::program(), LIBRARIES));
}

#[test]
fn every_file_belongs_to_the_program() {
    let strays = Tree::program().strays();
    assert!(strays.is_empty(), "no `mod` names {strays:?}");
}

#[test]
fn no_file_is_longer_than_400_lines_before_its_tests() {
    none(&sizes::long_files(Tree::program(), 400));
}

#[test]
fn no_room_is_larger_than_one_person_can_know() {
    // The daemon stays small: it knows all rooms.
    let of_one = [("patchcore", usize::MAX), ("daemon", 900)];
    none(&sizes::large_rooms(Tree::program(), 3500, &of_one));
}

#[test]
fn what_tasks_share_has_few_fields() {
    let rooms = ["line", "rebuild", "actions", "outbox", "retention", "monitoring", "supervisor"];
    none(&sizes::wide_structs(Tree::program(), &rooms, 8));
}

#[test]
fn no_two_types_have_one_name() {
    none(&sizes::names_given_twice(Tree::program()));
}

/// Lines that are code, with their number.
fn code(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    file.lines.iter().enumerate().map(|(n, line)| (n + 1, line.trim())).filter(|(_, line)| !line.starts_with("//"))
}

#[test]
fn torch_is_called_through_its_checked_forms_and_nothing_panics() {
    let banned = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "process::exit", "println!", "print!("];
    for file in &Tree::program().files {
        for (n, line) in code(file) {
            for word in banned {
                assert!(!line.contains(word), "{}:{n} has {word}: {line}", file.path);
            }
        }
    }
}

#[test]
fn tensors_do_not_leave_the_engine() {
    let files = &Tree::program().files;
    let root = files.iter().find(|file| file.path == "patchcore/mod.rs").unwrap().lines.join("\n");
    // Modules of the engine that the rest of the program cannot name.
    let hidden = |path: &str| {
        let module = path.trim_start_matches("patchcore/").split(['/', '.']).next().unwrap();
        !root.contains(&format!("pub use {module}::")) && !root.contains(&format!("pub mod {module}"))
    };
    for file in files.iter().filter(|file| file.room() == "patchcore") {
        for (n, line) in code(file) {
            let leaves = line.starts_with("pub fn") || line.starts_with("pub struct") || line.starts_with("pub type");
            assert!(!(leaves && line.contains("Tensor")) || hidden(&file.path), "{}:{n}: {line}", file.path);
        }
    }
}

#[test]
fn every_crash_point_of_the_list_is_in_the_program_and_no_other() {
    let mut reached = Vec::new();
    for file in &Tree::program().files {
        for (n, line) in code(file) {
            if let Some((_, rest)) = line.split_once("crash_point::reach(\"") {
                let name = rest.split('"').next().unwrap().to_owned();
                assert!(!reached.contains(&name), "{}:{n} has `{name}` a second time", file.path);
                reached.push(name);
            }
        }
    }
    reached.sort();
    let list = Tree::program().files.iter().find(|file| file.path.ends_with("crash_point.rs")).unwrap();
    let names = list.lines.iter().skip_while(|line| !line.contains("pub const NAMES")).skip(1).take_while(|line| !line.contains("];"));
    let mut listed: Vec<String> = names.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect();
    listed.sort();
    assert!(listed.len() > 30);
    assert_eq!(reached, listed);
}
