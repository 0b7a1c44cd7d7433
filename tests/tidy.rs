//! The rules of the source tree.

use std::path::{Path, PathBuf};

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

/// Path below src/, and the lines before the file's unit tests.
fn program() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|path| !path.ends_with("tests.rs"));
    assert!(files.len() > 50);
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).map(str::to_owned).collect();
            (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), lines)
        })
        .collect()
}

/// Lines that are code, with their number.
fn code(lines: &[String]) -> impl Iterator<Item = (usize, &str)> {
    lines.iter().enumerate().map(|(n, line)| (n + 1, line.trim())).filter(|(_, line)| !line.starts_with("//"))
}

/// The words that make up a line, so that `switch::` is not taken for `tch::`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn no_file_is_longer_than_400_lines_before_its_tests() {
    let long: Vec<_> = program().into_iter().filter(|(_, lines)| lines.len() > 400).map(|(path, lines)| (path, lines.len())).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn libraries_stay_in_their_rooms() {
    for (word, room) in [
        ("tch::", "patchcore/"),
        ("sqlx::", "history/"),
        ("notify::", "intake/"),
        ("serde_yaml", "config/"),
        ("sd_notify", "daemon/"),
        ("axum", "daemon/monitoring/"),
        ("hyper", "daemon/monitoring/"),
        ("prometheus_client", "daemon/monitoring/"),
        ("rumqttc", "daemon/acting/"),
        ("rustls", "daemon/acting/"),
    ] {
        for (path, lines) in program() {
            if !path.starts_with(room) {
                for (n, line) in code(&lines) {
                    assert!(!names(line, word), "{path}:{n} names {word}, which belongs to {room}: {line}");
                }
            }
        }
    }
}

#[test]
fn stages_import_only_shared_words() {
    const SHARED: [&str; 5] = ["inspection", "codes", "error", "files", "crash_point"];
    let stages = ["config", "intake", "routing", "patchcore", "imaging", "history", "banks"];
    for (path, lines) in program() {
        let allowed: Vec<&str> = match path.split('/').next().unwrap() {
            "inspection.rs" | "inspection" => vec!["inspection"],
            "codes.rs" | "codes" => vec!["codes"],
            "error.rs" => vec!["inspection", "codes"],
            "files.rs" => vec!["inspection", "crash_point"],
            "crash_point.rs" => vec![],
            "banks" => [&SHARED[..], &["banks", "patchcore"]].concat(),
            stage if stages.contains(&stage) => [&SHARED[..], &[stage]].concat(),
            // daemon knows every stage, but nothing above it; demo drives the program from outside.
            "daemon" => [&SHARED[..], &stages[..], &["daemon"]].concat(),
            "demo" => [&SHARED[..], &["demo", "history", "imaging"]].concat(),
            _ => continue,
        };
        for (n, line) in code(&lines) {
            for (at, _) in line.match_indices("crate::") {
                let module: String = line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(allowed.contains(&module.as_str()), "{path}:{n} imports `{module}`: {line}");
            }
        }
    }
}

#[test]
fn torch_is_called_through_its_checked_forms_and_nothing_panics() {
    let banned = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "process::exit", "println!", "print!("];
    for (path, lines) in program() {
        for (n, line) in code(&lines) {
            for word in banned {
                assert!(!line.contains(word), "{path}:{n} has {word}: {line}");
            }
        }
    }
}

#[test]
fn tensors_do_not_leave_the_engine() {
    for (path, lines) in program() {
        if path.starts_with("patchcore/") {
            for (n, line) in code(&lines) {
                let leaves = line.starts_with("pub fn") || line.starts_with("pub struct") || line.starts_with("pub type");
                assert!(!(leaves && line.contains("Tensor")) || hidden(&path), "{path}:{n}: {line}");
            }
        }
    }
}

/// Modules of the engine that the rest of the program cannot name.
fn hidden(path: &str) -> bool {
    let root = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/patchcore/mod.rs")).unwrap();
    let module = path.trim_start_matches("patchcore/").split(['/', '.']).next().unwrap();
    !root.contains(&format!("pub use {module}::")) && !root.contains(&format!("pub mod {module}"))
}

#[test]
fn every_crash_point_of_the_list_is_in_the_program_and_no_other() {
    let mut reached = Vec::new();
    for (path, lines) in program() {
        for (n, line) in code(&lines) {
            if let Some((_, rest)) = line.split_once("crash_point::reach(\"") {
                let name = rest.split('"').next().unwrap().to_owned();
                assert!(!reached.contains(&name), "{path}:{n} has `{name}` a second time");
                reached.push(name);
            }
        }
    }
    reached.sort();
    let mut listed = patchcored::crash_point::NAMES.to_vec();
    listed.sort_unstable();
    assert_eq!(reached, listed);
}
