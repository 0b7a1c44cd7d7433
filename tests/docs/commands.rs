//! Every command of the pages is typed, and every query asked.

use super::page::{Page, pages};
use super::status::lines_of_another_form;
use super::world::{Typed, World};
use crate::helper::{skip, sql_rows};
use std::path::Path;

/// Programs that a machine may lack; a command that needs one is then left out, and that is said.
const MAY_LACK: [&str; 17] = [
    "sqlite3",
    "curl",
    "jq",
    "promtool",
    "amtool",
    "mosquitto_sub",
    "mosquitto_pub",
    "systemd-analyze",
    "python3",
    "rpmsign",
    "rpmkeys",
    "createrepo_c",
    "gpg",
    "ansible-playbook",
    "git",
    "man",
    "duckdb",
];

/// The program of [`MAY_LACK`] that the command asked for in vain.
fn lacking(typed: &Typed) -> Option<&'static str> {
    MAY_LACK.into_iter().find(|program| typed.output.contains(&format!("{program}: command not found")))
}

/// A page of commands that do what is said behind them, so that a machine on which everything works is noticed.
const MADE_UP: &str = "made-up.md";
const OUTCOMES: [(&str, i32); 13] = [
    ("false", 1),
    ("no-such-program", 127),
    ("sudo no-such-program", 127),
    ("patchcored status --no-such-option", 2),
    ("touch /etc/patchcored/not-the-readers", 1),
    ("sudo touch /etc/patchcored/not-the-readers", 0),
    ("systemctl stop patchcored", 1),
    ("sudo systemctl restart patchcore", 5),
    ("sudo systemctl stop patchcored", 0),
    ("systemctl is-active patchcored", 3),
    ("cat <<END | grep -q two &&\none\nEND\ntrue", 1),
    ("make no-such-target", 2),
    ("sudo dnf install no-such-package", 1),
];

fn made_up() -> Page {
    let commands: String = OUTCOMES.iter().map(|(command, _)| format!("{command}\n")).collect();
    Page::take_apart(MADE_UP.to_owned(), format!("```sh\n{commands}```\n"))
}

/// Called by the test that starts first.
pub fn every_command_of_the_pages_works() {
    let mut pages = pages();
    pages.push(made_up());
    let Some(world) = World::play(&pages) else { return };
    let (test, typed): (Vec<_>, Vec<_>) = world.typed.iter().partition(|typed| typed.page == MADE_UP);
    let seen: Vec<_> = test.iter().map(|typed| (typed.command.trim_end(), typed.status.unwrap())).collect();
    assert_eq!(seen, OUTCOMES);

    let mut wrong = Vec::new();
    for typed in &typed {
        let place = format!("{}:{}: {}", typed.page, typed.line, typed.command.trim_end());
        match (typed.status, lacking(typed)) {
            (Some(0), _) => println!("{place}"),
            (_, Some(program)) => skip(&format!("{program}: {place}")),
            (status, None) => {
                let status = status.map_or_else(|| "did not end".to_owned(), |status| format!("exit {status}"));
                wrong.push(format!("{place}\n({status})\n{}", typed.output));
            }
        }
    }
    wrong.extend(pages.iter().flat_map(|page| queries_that_fail(page, &world.database())));
    wrong.extend(pages.iter().flat_map(|page| lines_of_another_form(page, &world.typed)));
    assert!(wrong.is_empty(), "{} commands and queries fail:\n\n{}", wrong.len(), wrong.join("\n"));
    assert!(typed.len() >= 10, "{} commands", typed.len());
}

fn queries_that_fail(page: &Page, database: &Path) -> Vec<String> {
    let failure = |line: usize, query: &str| sql_rows(database, query).err().map(|error| format!("{}:{line}: {error}\n{query}", page.name));
    page.blocks_of("sql").filter_map(|block| failure(block.line, &block.text)).collect()
}
