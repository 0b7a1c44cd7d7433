//! The pages for people: README.md, CONTRIBUTING.md, SECURITY.md, docs/*.md and docs/decisions/*.md. What they tell the reader to type is typed, what they show is looked at.
//!
//! A fence says what becomes of its block:
//!
//! | fence | |
//! |---|---|
//! | `sh` | every command runs, in the order of the page, on a machine of the page's own (see [`world`]) |
//! | `sql` | runs against a history |
//! | `yaml` | is a configuration, or part of one that is put where its keys belong (see [`examples`]) |
//! | `yaml prometheus` | is YAML of somebody else |
//! | `json` | is JSON |
//! | `bash` | is a script of the reader's own: its syntax is looked at |
//! | `ini`, `toml`, `text`, `console` | is shown, not run: files of others, output, and what cannot be done here |
//!
//! No other fence is allowed, so that nothing slips through by a slip of the keyboard.

pub mod commands;
mod examples;
mod names;
mod page;
mod rollout;
mod status;
mod world;

pub use page::{page, pages, repository};

use std::process::Command;

/// What a line of a `text` block must not begin with, so that no command hides there.
const COMMANDS: [&str; 14] = [
    "sudo",
    "patchcored",
    "systemctl",
    "journalctl",
    "make",
    "dnf",
    "sqlite3",
    "curl",
    "tar",
    "cp",
    "mkdir",
    "install",
    "usermod",
    "semanage",
];

const FENCES: [&str; 10] = ["sh", "sql", "yaml", "yaml prometheus", "json", "bash", "ini", "toml", "text", "console"];

#[test]
fn every_fence_says_what_becomes_of_it() {
    for page in pages() {
        for block in &page.blocks {
            let place = format!("{}:{}", page.name, block.line);
            assert!(FENCES.contains(&block.language.as_str()), "{place}: `{}` is none of {FENCES:?}", block.language);
            if block.language == "text" {
                let command = block.text.lines().find(|line| line.split(' ').next().is_some_and(|word| COMMANDS.contains(&word)));
                assert!(
                    command.is_none(),
                    "{place}: `{}` is a command: write `sh`, or `console` if it cannot be run",
                    command.unwrap_or_default()
                );
            }
            if block.language == "json" {
                serde_json::from_str::<serde_json::Value>(&block.text).unwrap_or_else(|e| panic!("{place}: {e}"));
            }
            if block.language == "bash" {
                let looked_at = Command::new("bash").args(["-n", "-c", &block.text]).output().unwrap();
                assert!(looked_at.status.success(), "{place}: {}", String::from_utf8_lossy(&looked_at.stderr));
            }
        }
    }
}
