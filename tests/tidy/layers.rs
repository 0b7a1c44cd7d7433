//! The rooms of the source tree, from the ground up, and the libraries that each may name.

use super::imports::Import;
use super::tree::Tree;

/// A folder or file right below `src/`.
pub struct Room {
    pub name: &'static str,
    /// It may import every room of a lower row.
    pub row: u32,
    /// And these of its own row.
    pub beside: &'static [&'static str],
    /// Of the lower rows, these alone.
    pub only: Option<&'static [&'static str]>,
}

const fn room(row: u32, name: &'static str) -> Room {
    Room { name, row, beside: &[], only: None }
}

impl Room {
    const fn and(self, beside: &'static [&'static str]) -> Self {
        Self { beside, ..self }
    }

    const fn only(self, only: &'static [&'static str]) -> Self {
        Self { only: Some(only), ..self }
    }
}

/// docs/architecture.md draws it.
pub const ROOMS: &[Room] = &[
    // Words and codes.
    room(0, "domain"),
    room(0, "codes").and(&["domain"]),
    // What the system gives, and what is counted.
    room(1, "platform"),
    room(1, "telemetry").and(&["platform"]),
    // Pixels and distances; the file of the history.
    room(2, "imaging"),
    room(2, "patchcore"),
    room(2, "database"),
    room(2, "yaml"),
    // What is configured, written down, found and routed.
    room(3, "config"),
    room(3, "history"),
    room(3, "archive"),
    room(3, "intake"),
    room(3, "routing").and(&["config"]),
    // One image, from the file to the outputs; measures of scores; how the line stands.
    room(4, "inspect"),
    room(4, "evaluation"),
    room(4, "selftest").and(&["inspect"]),
    room(4, "snapshot"),
    // Banks on disk and in memory.
    room(5, "banks"),
    room(5, "engine").and(&["banks"]),
    // Which build settings are best.
    room(6, "tune"),
    // A copy of all that a line cannot make again.
    room(6, "backup"),
    // Who sees to it that tasks go on.
    room(6, "supervisor"),
    // What goes on at the same time.
    room(7, "line"),
    room(7, "rebuild"),
    room(7, "actions"),
    room(7, "outbox"),
    room(7, "retention"),
    room(7, "monitoring"),
    // One run of the line.
    room(8, "preflight"),
    room(8, "daemon"),
    // What people start.
    room(9, "demo").only(&["history", "imaging", "domain", "config"]),
    room(9, "cli").and(&["demo"]),
    room(10, "lib"),
    room(11, "main"),
];

/// A library, and the rooms that may name it: what others need of it, they get from there.
pub const LIBRARIES: &[(&str, &[&str])] = &[
    ("tch", &["patchcore"]),
    ("torch_sys", &["patchcore"]),
    ("sqlx", &["database", "history", "archive"]),
    ("notify", &["intake"]),
    ("serde_yaml", &["config", "yaml"]),
    ("saphyr_parser", &["yaml"]),
    ("sd_notify", &["supervisor"]),
    ("embedded_graphics", &["imaging"]),
    ("axum", &["monitoring"]),
    // `platform` has the limits that an HTTP server keeps.
    ("hyper", &["monitoring", "platform"]),
    ("hyper_util", &["monitoring", "platform"]),
    ("prometheus_client", &["telemetry", "monitoring"]),
    ("rumqttc", &["outbox"]),
    ("rustls", &["outbox"]),
    ("rustls_native_certs", &["outbox"]),
];

/// Imports that the table does not allow.
pub fn violations(tree: &Tree, rooms: &[Room]) -> Vec<String> {
    let known = |name: &str| rooms.iter().find(|room| room.name == name);
    let mut wrong: Vec<String> = Vec::new();
    for file in tree.files.iter().filter(|file| known(file.room()).is_none()) {
        wrong.push(format!("{}: the room `{}` has no row in the table", file.path, file.room()));
    }
    for room in rooms.iter().filter(|room| tree.files.iter().all(|file| file.room() != room.name)) {
        wrong.push(format!("the room `{}` of the table is not there", room.name));
    }
    let imports = tree.imports();
    let allowed = |import: &&Import| {
        let (Some(a), Some(b)) = (known(tree.files[import.from].room()), known(tree.files[import.to].room())) else { return true };
        let lower = b.row < a.row && a.only.is_none_or(|only| only.contains(&b.name));
        a.name == b.name || lower || a.beside.contains(&b.name)
    };
    wrong.extend(tree.told(imports.iter().filter(|import| !allowed(import))));
    wrong
}

/// Libraries that are named outside their rooms.
pub fn strangers(tree: &Tree, libraries: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in &tree.files {
        let uses = file.found.uses.iter().map(|import| (&import.module, &import.path));
        // One name alone is a variable of that name.
        let paths = file.found.paths.iter().map(|(module, path)| (module, path)).filter(|(_, path)| path.len() > 1);
        for (module, path) in uses.chain(paths) {
            let library = libraries.iter().find(|(library, rooms)| *library == path[0] && !rooms.contains(&file.room()));
            if let Some((library, rooms)) = library
                && tree.resolve(module, path).is_empty()
            {
                wrong.push(format!("{} names {}: {library} belongs to {}", file.path, path.join("::"), rooms.join(" and ")));
            }
        }
    }
    wrong
}
