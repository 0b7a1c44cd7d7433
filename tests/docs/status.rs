//! The status that a page shows has the form of the real one.

use super::page::Page;
use super::world::Typed;
use std::collections::BTreeSet;

const COMMAND: &str = "patchcored status";
const UNITS: [&str; 6] = ["s", "min", "h", "d", "MiB", "GiB"];

/// Lines of shown statuses that the real one, asked on the same page, has in no form. Only the head and the first product count: a page may
/// show products in states in which the line of the tests is not.
pub fn lines_of_another_form(page: &Page, typed: &[Typed]) -> Vec<String> {
    let real = typed.iter().filter(|typed| typed.page == page.name && typed.command.trim_end() == COMMAND);
    let real: BTreeSet<String> = real.flat_map(|typed| typed.output.lines().map(form)).collect();
    let blocks = page.blocks.windows(2).filter(|pair| {
        // Between the two may be other things than the output.
        pair[0].text.trim_end().ends_with(COMMAND) && pair[1].language == "text" && pair[1].text.starts_with("daemon ")
    });
    let lines = blocks.flat_map(|pair| pair[1].text.split("\n\n").take(2).flat_map(str::lines));
    // What a bank promises and finds stands below it, in sentences.
    let lines = lines.filter(|line| !line.starts_with("      "));
    lines.filter(|line| !real.contains(&form(line))).map(|line| format!("{}: no such line: `{line}`", page.name)).collect()
}

/// The line without what differs from line to line: numbers, times, places, the name of the product, the decision.
fn form(line: &str) -> String {
    if !line.contains(' ') {
        return "a product".to_owned();
    }
    let bare = |word: &str| word.trim_matches(['(', ')', ',']).to_owned();
    let words = line.split_whitespace().filter(|word| !UNITS.contains(&bare(word).as_str()));
    let mut words: Vec<String> = words
        .map(|word| match bare(word) {
            number if number.contains(|c: char| c.is_ascii_digit() || c == '/') => "#".to_owned(),
            decision if decision == "ok" || decision == "ng" => "decision".to_owned(),
            word => word,
        })
        .collect();
    words.dedup();
    words.join(" ")
}

#[test]
fn numbers_times_and_places_do_not_count() {
    let same = [
        (
            "  last      ok score 28.5935 tau 38.3162, 2026-11-26T17:43:09.333Z (3 s ago)",
            "last ng score 1.2 tau 1.1, 2026-11-27T02:43:09+09:00 (1 min 3 s ago)",
        ),
        ("  drop      watched       11.8 GiB free    /srv/camera/line1/front", "  drop      watched       900.0 MiB free  /camera"),
        ("disc", "prod1-front"),
    ];
    for (one, other) in same {
        assert_eq!(form(one), form(other));
    }
    assert_ne!(form("  pending   0"), form("  waiting   0"));
    let page = Page::take_apart("p.md".into(), "```sh\npatchcored status\n```\n\n```text\ndaemon      sleeps\n```\n".into());
    assert_eq!(lines_of_another_form(&page, &[]), ["p.md: no such line: `daemon      sleeps`"]);
}
