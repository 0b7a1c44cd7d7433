//! What the pages name exists: files, headings, tests, commands and their options, keys, folders of the source.

use super::page::{DECISIONS, Page, page, pages, repository};
use crate::helper::{run, run_ok};
use patchcored::domain::FalseAlarms;
use std::collections::HashMap;
use std::path::Path;

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    for page in &pages {
        for (link, line) in page.links.iter().filter(|(link, _)| !link.starts_with("https://") && !link.starts_with("http://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.name.clone() } else { from_the_root(&page.name, file) };
            let heading_there = |page: &Page| page.name == target && page.anchors.iter().any(|known| known == anchor);
            if !repository().join(&target).exists() || !(anchor.is_empty() || pages.iter().any(heading_there)) {
                broken.push(format!("{}:{line}: {link}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "links to nowhere:\n{}", broken.join("\n"));
}

/// The file that a page links to.
fn from_the_root(page: &str, file: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `src/…`, `tests/…` and so on must be there; behind `::` stands a function in that file.
#[test]
fn every_file_and_test_that_is_named_is_there() {
    let mut missing = Vec::new();
    for page in pages() {
        for (code, line) in &page.code {
            let (file, function) = code.split_once("::").unwrap_or((code, ""));
            let folder = file.split('/').next().unwrap();
            let is_ours = ["src", "tests", "docs", "scripts", "systemd", "migrations", "benches", "fuzz"].contains(&folder);
            if !is_ours || !file.contains('/') || file.contains(['*', ' ', '…']) {
                continue;
            }
            let path = repository().join(file);
            let has = || std::fs::read_to_string(&path).unwrap().contains(&format!("fn {function}("));
            if !path.exists() || !(function.is_empty() || has()) {
                missing.push(format!("{}:{line}: {code}", page.name));
            }
        }
    }
    assert!(missing.is_empty(), "named, but not there:\n{}", missing.join("\n"));
}

/// `patchcored X --option` in the running text: there is such a command, and its help has the option.
#[test]
fn every_command_and_option_that_is_named_exists() {
    let mut helps: HashMap<String, String> = HashMap::new();
    let mut wrong = Vec::new();
    for page in pages() {
        let text = page.code.iter().map(|(code, line)| (code.as_str(), *line));
        for (code, line) in text.filter_map(|(code, line)| Some((code.strip_prefix("patchcored ")?, line))) {
            let mut words = code.split([' ', '=', '[', ']', '|']).filter(|word| !word.is_empty());
            let command = words.next().unwrap_or_default();
            if !command.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let help = helps.entry(command.to_owned()).or_insert_with(|| {
                let output = run(&[command, "--help"]);
                if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { String::new() }
            });
            let known = |option: &str| help.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == option);
            let unknown = words.find(|word| word.starts_with("--") && !known(word));
            if help.is_empty() || unknown.is_some() {
                wrong.push(format!("{}:{line}: `patchcored {code}`: {}", page.name, unknown.unwrap_or("no such command")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Commands of the program are in README's table, so that a new one is not forgotten.
#[test]
fn the_readme_names_every_command() {
    let readme = page("README.md");
    let help = run_ok(&["--help"]);
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(names.contains(&"run") && names.len() >= 8, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let written = format!("patchcored {name}");
        assert!(
            readme.code.iter().any(|(code, _)| code == &written || code.starts_with(&format!("{written} "))),
            "README.md lacks `{written}`"
        );
    }
}

/// The example has every key (a test of the configuration sees to that), and so has the reference.
#[test]
fn the_reference_names_every_key() {
    let example = std::fs::read_to_string(repository().join("config.yaml.example")).unwrap();
    let mut keys = Vec::new();
    keys_of(&serde_yaml::from_str(&example).unwrap(), &mut keys);
    let reference = page("docs/config-reference.md");
    let missing: Vec<&String> = keys.iter().filter(|key| !reference.code.iter().any(|(code, _)| code == *key)).collect();
    assert!(keys.len() > 40 && missing.is_empty(), "docs/config-reference.md lacks the keys {missing:?}");
}

fn keys_of(value: &serde_yaml::Value, keys: &mut Vec<String>) {
    match value {
        serde_yaml::Value::Mapping(mapping) => {
            for (key, value) in mapping {
                keys.push(key.as_str().unwrap().to_owned());
                keys_of(value, keys);
            }
        }
        serde_yaml::Value::Sequence(values) => values.iter().for_each(|value| keys_of(value, keys)),
        _ => {}
    }
}

#[test]
fn the_readme_lists_every_page_and_stays_short() {
    let readme = page("README.md");
    for other in pages().iter().skip(1).filter(|other| !is_decision(other)) {
        assert!(readme.links.iter().any(|(link, _)| *link == other.name), "README.md does not link to {}", other.name);
    }
    let lines = readme.text.lines().count();
    assert!(lines <= 170, "README.md has {lines} lines: move what a newcomer does not need into docs/");
}

fn is_decision(page: &Page) -> bool {
    page.name.starts_with(DECISIONS) && !page.name.ends_with("/README.md")
}

#[test]
fn decisions_are_listed_short_and_of_one_form() {
    let (index, architecture) = (page(&format!("{DECISIONS}/README.md")), page("docs/architecture.md"));
    let links_to = |from: &Page, to: &Page| from.links.iter().any(|(link, _)| from_the_root(&from.name, link) == to.name);
    let pages = pages();
    let decisions: Vec<&Page> = pages.iter().filter(|page| is_decision(page)).collect();
    assert!(decisions.len() >= 10);
    for decision in decisions {
        let name = &decision.name;
        assert!(links_to(&index, decision) && links_to(&architecture, decision), "{name} is not in both lists");
        assert!(decision.text.lines().count() <= 40, "{name} is longer than 40 lines");
        assert_eq!(decision.anchors[1..], ["context", "choice", "consequences", "what-would-change-our-mind"], "{name}");
    }
}

#[test]
fn the_architecture_names_every_folder_of_the_source() {
    let architecture = page("docs/architecture.md");
    for entry in std::fs::read_dir(repository().join("src")).unwrap() {
        let path = entry.unwrap().path();
        // `inspection/` belongs to `inspection.rs`; lib.rs is the map itself.
        if path.is_dir() && path.with_extension("rs").exists() || path.ends_with("lib.rs") {
            continue;
        }
        let name = format!("src/{}{}", path.file_name().unwrap().to_str().unwrap(), if path.is_dir() { "/" } else { "" });
        assert!(architecture.code.iter().any(|(code, _)| *code == name), "docs/architecture.md lacks `{name}`");
    }
    for point in patchcored::platform::crash_point::NAMES {
        assert!(architecture.text.contains(&format!("`{point}`")), "docs/architecture.md lacks the crash point `{point}`");
    }
}

/// The table of false alarms in docs/tuning.md is what the program computes.
#[test]
fn the_promises_in_tuning_are_the_programs() {
    let tuning = page("docs/tuning.md");
    let table = tuning.text.split("| OK images | expected |").nth(1).unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().parse().unwrap()).collect())
        .collect();
    assert!(rows.len() >= 5);
    for row in rows {
        let promise = FalseAlarms::promised(row[0] as usize, 0.995).unwrap();
        assert_eq!((row[1], row[2]), (promise.expected.round(), promise.bound.round()), "{} OK images", row[0]);
    }
}

#[test]
fn a_link_is_followed_from_its_page() {
    assert_eq!(from_the_root("docs/tuning.md", "../config.yaml.example"), "config.yaml.example");
    assert_eq!(from_the_root("README.md", "docs/tuning.md"), "docs/tuning.md");
    assert!(Path::new("docs").exists());
}
