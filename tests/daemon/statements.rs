//! What the daemon asks of its history costs the same with ten million rows: no statement goes through all of a large table.

use crate::helper::{Line, Part, Product, run_ok, write_image};
use std::collections::BTreeSet;

/// The tables that grow with every image.
const LARGE: &[&str] = &["inspections", "sightings", "actions", "events"];

/// The statements in the log of a daemon with `RUST_LOG=sqlx::query=debug`.
fn statements(log: &str) -> BTreeSet<String> {
    let fact = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        let (text, _) = rest.split_once("\" ")?;
        Some(text.replace("\\n", "\n").replace("\\t", " ").trim().to_owned())
    };
    let of_line = |line: &str| fact(line, "db.statement").filter(|text| !text.is_empty()).or_else(|| fact(line, "summary"));
    log.lines().filter_map(of_line).collect()
}

/// The large tables in a statement, under the names that it gives them.
fn names_of_large_tables(statement: &str) -> BTreeSet<String> {
    let words: Vec<&str> = statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let name = |i: usize| if words.get(i + 1) == Some(&"AS") { words[i + 2] } else { words[i] };
    (0..words.len()).filter(|&i| LARGE.contains(&words[i])).map(|i| name(i).to_owned()).collect()
}

#[test]
fn the_tables_of_a_statement_are_found_under_their_names() {
    let names = names_of_large_tables("SELECT i.id FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id, (SELECT 1 FROM events)");
    assert_eq!(names, ["i", "events"].map(str::to_owned).into());
}

#[test]
fn no_statement_of_the_daemon_goes_through_all_rows() {
    let mut product = Product::new("disc");
    product.extra = "    retention: {ok_outputs: 1d, ng_images: 2d}\n".to_owned();
    let line = Line::new(&[product]);
    line.fill_ok("disc", 0..4);
    for start in 0..2 {
        let daemon = line.start_with(|command| {
            command.env("RUST_LOG", "info,sqlx::query=debug");
        });
        line.wait_for_bank("disc");
        write_image(&line.drop("disc").join(format!("{start}.png")), Part::ng(start));
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(start + 1).to_string());
        run_ok(&["status", "--config", line.config().to_str().unwrap()]);
        assert!(daemon.stop().success());
    }
    let statements = statements(&line.log());
    assert!(statements.len() > 40, "{}", statements.len());
    let partial = line.list("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'");
    for statement in &statements {
        assert_eq!(goes_through_all(&line, &partial, statement), None, "{statement}");
    }
    // What a start once did, and what a name of its own hides.
    for statement in
        ["SELECT id FROM inspections WHERE retry_at > ? OR give_up_at > ?", "SELECT i.id FROM inspections AS i WHERE i.attempts > 1"]
    {
        assert!(goes_through_all(&line, &partial, statement).is_some(), "{statement}");
    }
}

/// The step of a statement's plan that reads a whole table or a whole index of one; a partial index is small.
fn goes_through_all(line: &Line, partial: &[String], statement: &str) -> Option<String> {
    let large = names_of_large_tables(statement);
    // The first row of all is found at once.
    let takes_one = !statement.contains("WHERE") && statement.ends_with("LIMIT 1");
    line.plan(statement).into_iter().filter(|_| !takes_one).find(|step| {
        let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()).is_some_and(|name| large.contains(name));
        let index = step.split_once(" INDEX ").map_or("", |(_, rest)| rest);
        scanned && !partial.iter().any(|name| name == index)
    })
}
