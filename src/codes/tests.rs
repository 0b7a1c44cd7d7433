use super::*;
use std::collections::HashMap;
use std::path::Path;

fn everything() -> Vec<&'static Entry> {
    let events = EventKind::ALL.iter().map(|kind| kind.entry());
    let reasons = ReasonCode::ALL.iter().map(|code| code.entry());
    events.chain(reasons).chain(ErrorCode::ALL.iter().map(|code| code.entry())).collect()
}

#[test]
fn a_code_is_one_word_with_one_meaning() {
    let mut seen: HashMap<&str, &Entry> = HashMap::new();
    for entry in everything() {
        let word = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(entry.code.chars().all(word) && !entry.code.starts_with('_') && !entry.code.ends_with('_'), "{}", entry.code);
        let before = seen.insert(entry.code, entry);
        assert!(before.is_none_or(|before| before == entry), "{} has two entries", entry.code);
    }
    for list in [
        EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        ReasonCode::ALL.iter().map(|code| code.as_str()).collect(),
        ErrorCode::ALL.iter().map(|code| code.as_str()).collect(),
    ] {
        let mut once = list.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), list.len(), "a code stands in its list once");
    }
}

#[test]
fn every_code_says_what_it_means_and_what_to_do() {
    for entry in everything() {
        let sentence = |text: &str| text.ends_with('.') && text.chars().next().is_some_and(|c| c.is_uppercase() || c == '`');
        assert!(sentence(entry.means), "{}: {}", entry.code, entry.means);
        assert!(entry.look.is_empty() || sentence(entry.look), "{}: {}", entry.code, entry.look);
        assert!(entry.act.is_empty() || sentence(entry.act), "{}: {}", entry.code, entry.act);
        assert!(entry.level != Level::Error || !(entry.look.is_empty() || entry.act.is_empty()), "{} leaves people alone", entry.code);
        assert!(entry.run.is_empty() || !entry.look.is_empty(), "{}: commands without a word", entry.code);
    }
}

#[test]
fn the_page_is_the_list() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(page == markdown(), "docs/troubleshooting.md is not what the list of codes says; make it anew with `UPDATE_DOCS=1 make test`");
    for entry in everything() {
        assert_eq!(page.matches(&format!("\n### {}\n", entry.code)).count(), 1, "{}", entry.code);
        assert!(list().contains(&format!("  {} ", entry.code)), "{}", entry.code);
        let told = explain(entry.code).unwrap();
        for part in [entry.means, entry.look, entry.act].into_iter().chain(entry.run.iter().copied()) {
            assert!(page.contains(part) && told.contains(&part.replace('`', "")), "{}: {part}", entry.code);
        }
    }
    assert_eq!(explain("no_such_code"), None);
}
