//! The queries that stand in files of their own: those of the Grafana dashboard and of the weekly report.

use crate::docs::repository;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use std::fs;

/// Each with its place. Grafana puts the bounds of the time range into its queries; here they are the last day.
pub(super) fn recipes() -> Vec<(String, String)> {
    let dashboard = fs::read_to_string(repository().join("docs/monitoring/grafana-history.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let now = Timestamp::now();
    let bound = |time: Timestamp| time.as_millisecond().to_string();
    let (from, to) = (bound(now - 24.hours()), bound(now + 1.minute()));
    let mut recipes = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let query = panel["targets"][0]["rawQueryText"].as_str().unwrap();
        assert_eq!(panel["targets"][0]["queryText"], query, "{}", panel["title"]);
        let query = query.replace("$__from", &from).replace("$__to", &to);
        assert!(!query.contains('$'), "{query}");
        recipes.push((format!("grafana-history.json: {}", panel["title"]), query));
    }
    for entry in fs::read_dir(repository().join("docs/weekly-report")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            recipes.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(recipes.len() > 8, "{}", recipes.len());
    recipes
}
