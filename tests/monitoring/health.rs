//! Whether /healthz says what is wrong, and stops saying so.

use super::Pages;
use crate::helper::{Frozen, Line, Mount, Part, Product, Systemd, fill, wait_for, write_image};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

/// Waits until these are the problems; returns what is said of the first.
fn wait_problems(pages: &Pages, codes: &[&str]) -> String {
    wait_for(&format!("the problems {codes:?}"), || {
        let answer = pages.ask("/healthz").map_err(|error| error.to_string())?;
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        let problems = told["problems"].as_array().unwrap();
        let seen: Vec<_> = problems.iter().map(|problem| problem["code"].as_str().unwrap()).collect();
        let (code, status) = if seen.is_empty() { (200, "ok") } else { (503, "failing") };
        assert_eq!((answer.code, told["status"].as_str().unwrap()), (code, status), "{}", answer.body);
        if seen == codes { Ok(problems.first().map(|first| first["detail"].to_string()).unwrap_or_default()) } else { Err(answer.body) }
    })
}

#[test]
fn a_lost_drop_folder_is_a_problem_until_it_is_back() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::socket(&line);
    let daemon = line.start();
    pages.wait();
    wait_problems(&pages, &[]);
    std::fs::remove_dir(line.drop("disc")).unwrap();
    let detail = wait_problems(&pages, &["folder_lost"]);
    assert!(detail.contains("/drop/disc"), "{detail}");
    let metrics = pages.metrics();
    assert_eq!(metrics.get("patchcored_problems{code=\"folder_lost\"}"), Some(1.0));
    assert_eq!(metrics.sum("patchcored_drop_folder_state", &["state=\"lost\""]), 1.0);
    assert_eq!(metrics.sum("patchcored_drop_folder_state", &["state=\"watched\""]), 0.0);
    std::fs::create_dir(line.drop("disc")).unwrap();
    wait_problems(&pages, &[]);
    assert!(daemon.stop().success());
}

#[test]
fn a_hung_share_is_a_problem_and_does_not_hold_up_the_answer() {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    let Some(share) = Mount::share(&line.path("far-source"), &line.drop("far")) else { return };
    let pages = Pages::socket(&line);
    let daemon = line.start();
    pages.wait();
    share.freeze();
    let detail = wait_problems(&pages, &["folder_stuck"]);
    assert!(detail.contains("/drop/far"), "{detail}");
    let metrics = pages.metrics();
    assert_eq!(metrics.sum("patchcored_drop_folder_state", &["/drop/far", "state=\"stuck\""]), 1.0);
    assert_eq!(metrics.sum("patchcored_drop_folder_state", &["/drop/near", "state=\"watched\""]), 1.0);
    share.thaw();
    wait_problems(&pages, &[]);
    assert!(daemon.stop().success());
}

#[test]
fn a_full_disk_under_the_database_is_a_problem() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::socket(&line);
    line.database_in("db");
    let Some(_disk) = Mount::tmpfs(&line.path("db"), "8m") else { return };
    let daemon = line.start();
    pages.wait();
    wait_problems(&pages, &[]);
    let ballast = fill(&line.path("db"));
    for number in 0..600 {
        write_image(&line.drop("disc").join(format!("{number:0200}.png")), Part::ok(number));
    }
    wait_problems(&pages, &["disk_full"]);
    std::fs::remove_file(ballast).unwrap();
    wait_problems(&pages, &[]);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'disk_full_over'", "1");
    pages.wait_metric("patchcored_events_total{level=\"error\",kind=\"disk_full\"}", 1.0);
    assert!(daemon.stop().success());
}

#[test]
fn a_database_that_another_program_locks_is_a_problem() {
    let line = Line::new(&[Product::new("disc")]);
    let pages = Pages::socket(&line);
    let daemon = line.start();
    pages.wait();
    wait_problems(&pages, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut other = SqliteConnectOptions::new().filename(line.path("history.db")).connect().await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        write_image(&line.drop("disc").join("a.png"), Part::ok(1));
        let detail = wait_problems(&pages, &["database"]);
        assert!(detail.contains("is locked by another program"), "{detail}");
        other.close().await.unwrap();
    });
    line.wait_sql("SELECT count(*) FROM inspections", "1");
    wait_problems(&pages, &[]);
    assert!(daemon.stop().success());
}

/// Of systemd: short, so that what hangs is soon told.
const WATCHDOG: Duration = Duration::from_secs(4);

#[test]
fn a_hung_engine_is_a_problem_until_it_goes_on() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let pages = Pages::socket(&line);
    let systemd = Systemd::new(&line);
    let daemon = systemd.start(&line, WATCHDOG);
    line.wait_for_bank("disc");
    wait_problems(&pages, &[]);
    let Some(frozen) = Frozen::threads(&daemon, "engine") else { return };
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    let detail = wait_problems(&pages, &["worker_stuck"]);
    assert!(detail.contains("engine: no progress for "), "{detail}");
    drop(frozen);
    wait_problems(&pages, &[]);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert!(daemon.stop().success());
}
