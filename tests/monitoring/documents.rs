//! The examples for IT people: every metric that they name is there, every one that is there is explained, and promtool is content.

use super::{Pages, promtool};
use crate::helper::{Line, Part, Product, arg, write_image};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository(name)).unwrap()
}

/// The text of /metrics of a line that has a bank and a decision.
fn exposed() -> String {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let pages = Pages::socket(&line);
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    // Asked of the history anew only after a moment.
    pages.wait_metric("patchcored_bank_in_use{product=\"disc\"}", 1.0);
    let text = pages.ask("/metrics").unwrap().body;
    assert!(daemon.stop().success());
    text
}

/// Names of metrics, as they stand after TYPE.
fn families(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

/// Names of samples that an expression may use.
fn samples(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next());
    names.map(str::to_owned).collect()
}

fn named(text: &str) -> BTreeSet<&str> {
    Regex::new(r"\b(?:patchcored|process)_[a-z_]+").unwrap().find_iter(text).map(|found| found.as_str()).collect()
}

/// `label="word"` for every word of a fixed set that the text compares with.
fn compared(text: &str) -> BTreeSet<String> {
    let comparison = Regex::new(r#"\b(code|outcome|state|decision|place|stage|level)\s*(?:=~|!~|!=|=)\s*"([^"]*)""#).unwrap();
    let all = comparison.captures_iter(text);
    all.flat_map(|found| found[2].split('|').map(|word| format!("{}=\"{word}\"", &found[1])).collect::<Vec<_>>()).collect()
}

/// The expressions of the dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "query" || key == "definition" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn rules_dashboard_and_page_name_what_the_daemon_tells() {
    let text = exposed();
    let known = samples(&text);
    let rules = read("docs/monitoring/patchcored.rules.yml");
    let dashboard: Value = serde_json::from_str(&read("docs/monitoring/grafana-dashboard.json")).unwrap();
    let mut queries = Vec::new();
    expressions(&dashboard, &mut queries);
    let queries = queries.join("\n");
    for (what, said) in [("rules", &rules), ("dashboard", &queries)] {
        let names = named(said);
        assert!(names.len() > 10, "{what}: {names:?}");
        let unknown: Vec<_> = names.into_iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
        let words = compared(said);
        assert!(words.len() > 2, "{what}: {words:?}");
        let unknown: Vec<_> = words.iter().filter(|word| !text.contains(word.as_str())).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }

    let page = read("docs/monitoring.md");
    let explained = named(&page);
    let missing: Vec<_> = families(&text).into_iter().filter(|family| !explained.contains(family)).collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
    let unknown: Vec<_> = explained.iter().filter(|name| !known.contains(**name) && !families(&text).contains(**name)).collect();
    assert!(unknown.is_empty(), "explained, but not there: {unknown:?}");
    let value = |line: &str, label: &str| Some(line.split_once(&format!("{label}=\""))?.1.split('"').next()?.to_owned());
    for (metric, label) in [("patchcored_problems{", "code"), ("patchcored_failures_total{", "reason")] {
        let values: Vec<String> = text.lines().filter(|line| line.starts_with(metric)).filter_map(|line| value(line, label)).collect();
        assert!(values.len() >= 8, "{values:?}");
        let missing: Vec<_> = values.iter().filter(|word| !page.contains(&format!("`{word}`"))).collect();
        assert!(missing.is_empty(), "not explained: {missing:?}");
    }
}

#[test]
fn the_dashboards_can_be_laid_out() {
    for file in ["docs/monitoring/grafana-dashboard.json", "docs/monitoring/grafana-history.json"] {
        let dashboard: Value = serde_json::from_str(&read(file)).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len());
        let mut taken = BTreeSet::new();
        for panel in panels {
            let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(of("x") + of("w") <= 24, "{}", panel["title"]);
            for y in of("y")..of("y") + of("h") {
                for x in of("x")..of("x") + of("w") {
                    assert!(taken.insert((x, y)), "{} lies on another panel", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn promtool_is_content_with_the_rules_and_they_say_what_they_should() {
    promtool(&["check", "rules", arg(&repository("docs/monitoring/patchcored.rules.yml"))], "");
    promtool(&["test", "rules", arg(&repository("tests/fixtures/monitoring/rules_test.yml"))], "");
}
