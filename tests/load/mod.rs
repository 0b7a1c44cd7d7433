//! Measurements with the real daemon, too long for every run of the tests: `make slow-writers`, `make backlog`, `make overhead`,
//! `make reload-load`, `make mqtt-outage`, `make mounts`.
//! A small form of each that has something to prove besides its figures runs with the other tests.

mod backlog;
mod mounts;
mod mqtt;
mod overhead;
mod reloads;
mod slow_writers;
mod writers;

use crate::helper::{self, Line, wait_for};
use jiff::Timestamp;
use std::collections::HashMap;

/// A whole number from the environment.
fn number(name: &str, default: usize) -> usize {
    helper::number(name).map_or(default, |number| number as usize)
}

/// What the history says of one image.
#[derive(Debug, Clone)]
struct Row {
    state: String,
    reason: Option<String>,
    hash: Option<String>,
    seen_at: Timestamp,
    decided_at: Option<Timestamp>,
}

/// All rows by path.
fn rows(line: &Line) -> HashMap<String, Vec<Row>> {
    type Columns = (String, String, Option<String>, Option<String>, String, Option<String>);
    let columns = "json_group_array(json_array(image_path, state, reason, content_hash, seen_at, decided_at))";
    let text = line.sql(&format!("SELECT {columns} FROM inspections")).unwrap();
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for (path, state, reason, hash, seen_at, decided_at) in serde_json::from_str::<Vec<Columns>>(&text).unwrap() {
        let (seen_at, decided_at) = (seen_at.parse().unwrap(), decided_at.map(|at| at.parse().unwrap()));
        rows.entry(path).or_default().push(Row { state, reason, hash, seen_at, decided_at });
    }
    rows
}

fn count(line: &Line, of: &str) -> usize {
    line.sql(&format!("SELECT count(*) FROM inspections WHERE {of}")).unwrap_or_default().parse().unwrap_or(0)
}

/// Waits as long as something goes on: the query must give `value`, and may take as long as it likes while it changes.
fn wait_while_it_goes_on(line: &Line, query: &str, value: &str) {
    while line.sql(query).as_deref() != Ok(value) {
        let before = line.sql(query);
        wait_for(&format!("{query} to change from {before:?} towards {value}"), || {
            let seen = line.sql(query);
            if seen != before || seen.as_deref() == Ok(value) { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }
}

/// `b - a` in milliseconds.
fn millis(a: Timestamp, b: Timestamp) -> f64 {
    b.duration_since(a).as_secs_f64() * 1e3
}

/// `p50 3 ms, p99 12 ms, max 30 ms (n 1000)`.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return "none".to_owned() };
    let at = |q: f64| values[(q * last as f64).round() as usize];
    format!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms (n {})", at(0.5), at(0.99), values[last], values.len())
}

/// A line of `/proc/PID/status` in kB, e.g. `VmHWM`.
fn memory_kb(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Replaces a piece of the line's configuration, which must be in it.
fn reconfigure(line: &Line, from: &str, to: &str) {
    let text = std::fs::read_to_string(line.config()).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(line.config(), text.replace(from, to)).unwrap();
}
