//! The three files of the bank in use are those that its row names: an edited `tau.json` is taken with a row of its own, everything else
//! that was changed is refused and told, and a bank in memory goes on judging.

use crate::helper::{Daemon, Line, Part, Product, arg, run_fails, run_ok, sql_change, wait_for, write_image};
use serde_json::json;
use std::path::PathBuf;

/// A line with a bank, and its daemon.
fn line_with_bank() -> (Line, Daemon) {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    (line, daemon)
}

/// A file of version 1.
fn file(line: &Line, name: &str) -> PathBuf {
    line.bank("disc").join("versions/000001").join(name)
}

fn tau(line: &Line) -> [f64; 2] {
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(file(line, "tau.json")).unwrap()).unwrap();
    ["pixel", "image"].map(|key| written[key].as_f64().unwrap())
}

fn events(line: &Line, kind: &str) -> String {
    line.sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).unwrap()
}

fn wait_events(line: &Line, kind: &str, count: u32) {
    line.wait_sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'"), &count.to_string());
}

fn drop_part(line: &Line, name: &str, part: Part) {
    write_image(&line.drop("disc").join(name), part);
}

/// Has an image decided; returns its decision, its row of `banks` and whether its thresholds are those of that row.
fn decided(line: &Line, name: &str, part: Part) -> String {
    drop_part(line, name, part);
    line.wait_sql(&format!("SELECT state FROM inspections WHERE image_path LIKE '%/{name}'"), "done");
    let query = "SELECT decision || ' ' || b.id || ' ' || (i.image_tau = b.image_tau AND i.pixel_tau = b.pixel_tau)
                 FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE image_path";
    line.sql(&format!("{query} LIKE '%/{name}'")).unwrap()
}

/// What was in use, one after the other.
fn rows(line: &Line) -> String {
    line.sql("SELECT group_concat(version || ' ' || trigger || ' ' || state, ', ') FROM (SELECT * FROM banks ORDER BY id)").unwrap()
}

#[test]
fn an_edited_tau_judges_from_a_row_of_its_own() {
    let (line, daemon) = line_with_bank();
    let [pixel, image] = tau(&line);
    let text = |factor: f64| json!({"pixel": pixel * factor, "image": image * factor, "note": "tuned"}).to_string();
    assert_eq!(decided(&line, "a.png", Part::ok(1)), "ok 1 1");

    // In place, while the line runs; the bank is not read again.
    std::fs::write(file(&line, "tau.json"), text(0.25)).unwrap();
    wait_events(&line, "bank_edited", 1);
    assert_eq!(rows(&line), "1 first superseded, 1 edited active");
    let detail = line.sql("SELECT detail FROM events WHERE kind = 'bank_edited'").unwrap();
    assert!(detail.starts_with(&format!("version 1: tau.json was edited: image {image:.4} -> {:.4}", image * 0.25)), "{detail}");
    assert_eq!(
        line.sql("SELECT warning LIKE 'tau.json was edited by hand%' AND expected_false_alarms IS NULL FROM banks WHERE id = 2").unwrap(),
        "1"
    );
    wait_for("the new thresholds to judge", || {
        let name = format!("b{}.png", line.sql("SELECT count(*) FROM inspections").unwrap());
        let told = decided(&line, &name, Part::ok(1));
        if told == "ng 2 1" { Ok(()) } else { Err(told) }
    });

    // Looked at, and not changed.
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    std::fs::File::options().append(true).open(file(&line, "tau.json")).unwrap().set_times(times).unwrap();
    // As an editor saves it: a new file in the place of the link.
    let plain = line.bank("disc").join("tau.json");
    std::fs::write(line.path("saved"), text(0.5)).unwrap();
    std::fs::rename(line.path("saved"), &plain).unwrap();
    wait_events(&line, "bank_edited", 2);
    assert!(plain.is_symlink(), "the edit belongs to the version now");
    assert_eq!(tau(&line), [pixel * 0.5, image * 0.5]);

    // While the line is stopped; and as it was at first, which is another edit.
    assert!(daemon.stop().success());
    std::fs::write(file(&line, "tau.json"), text(3.0)).unwrap();
    let daemon = line.start();
    assert_eq!(decided(&line, "c.png", Part::ok(1)), "ok 4 1");
    std::fs::write(file(&line, "tau.json"), json!({"pixel": pixel, "image": image}).to_string()).unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    wait_events(&line, "bank_edited", 4);
    assert_eq!(rows(&line), "1 first superseded, 1 edited superseded, 1 edited superseded, 1 edited superseded, 1 edited active");
    assert_eq!(events(&line, "bank_changed"), "0");
    // The same version with other thresholds is no version to go back to.
    let told = run_fails(1, &["rollback", "disc", "--config", arg(&line.config())]);
    assert!(told.starts_with("error[no_earlier_version]"), "{told}");
    assert!(daemon.stop().success());
}

#[test]
fn an_edit_leaves_a_rollback_as_it_is() {
    let (line, daemon) = line_with_bank();
    line.fill_ok("disc", 6..7);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    run_ok(&["rollback", "disc", "--config", arg(&line.config())]);
    let [pixel, image] = tau(&line);
    std::fs::write(file(&line, "tau.json"), json!({"pixel": pixel, "image": image * 1.5}).to_string()).unwrap();
    wait_events(&line, "bank_edited", 1);
    assert!(daemon.stop().success());
    let daemon = line.start();
    assert_eq!(decided(&line, "a.png", Part::ok(1)), "ok 3 1");
    assert_eq!(rows(&line), "1 first superseded, 2 ok_changed rolled_back, 1 edited active", "nothing is built from what was left");
    assert_eq!(line.status()["products"][0]["bank"]["after_rollback"], json!(true));
    // Forward, and back to what was edited.
    for (version, expected) in [("2", "superseded, 2 ok_changed active"), ("1", "rolled_back, 1 edited active")] {
        run_ok(&["rollback", "disc", version, "--config", arg(&line.config())]);
        wait_for("the rollback", || if rows(&line).contains(expected.split(", ").last().unwrap()) { Ok(()) } else { Err(rows(&line)) });
    }
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "3");
    assert!(daemon.stop().success());
}

#[test]
fn thresholds_that_cannot_be_right_are_refused() {
    let (line, daemon) = line_with_bank();
    let good = std::fs::read(file(&line, "tau.json")).unwrap();
    let texts = [
        r#"{"pixel": 1e308, "image": 1e308}"#,
        r#"{"pixel": 5, "image": 100000}"#,
        r#"{"pixel": -1, "image": 30}"#,
        r#"{"pixel": NaN, "image": 30}"#,
        r#"{"pixel_tau": 30, "image_tau": 30}"#,
        r#"{"pixel": 30, "ima"#,
    ];
    for (number, text) in (1..).zip(texts) {
        std::fs::write(file(&line, "tau.json"), text).unwrap();
        wait_events(&line, "bank_changed", number);
        assert_eq!(decided(&line, &format!("bad{number}.png"), Part::ng(number)), "ng 1 1", "{text}");
        assert_eq!(line.status()["products"][0]["bank_trouble"]["code"], "bank_changed");
        std::fs::write(file(&line, "tau.json"), &good).unwrap();
        wait_events(&line, "bank_changed_over", number);
    }
    assert_eq!(rows(&line), "1 first active");
    // A start with one is a start with the recorded ones.
    std::fs::write(file(&line, "tau.json"), texts[0]).unwrap();
    assert!(daemon.stop().success());
    let daemon = line.start();
    assert_eq!(decided(&line, "started.png", Part::ng(77)), "ng 1 1");
    wait_events(&line, "bank_changed", texts.len() as u32 + 1);
    assert!(daemon.stop().success());
}

/// What happens to a bank: what is done to its files, and what is said of it.
type Damage = (&'static str, fn(&Line), &'static str);

const DAMAGES: [Damage; 5] = [
    ("rows cut", |line| cut(&file(line, "memory_bank.pt")), "memory_bank.pt is not the file that was recorded"),
    ("rows changed", |line| flip(&file(line, "memory_bank.pt")), "memory_bank.pt is not the file that was recorded"),
    (
        "another shorter",
        |line| replace(&file(line, "bank_config.json"), "\"shorter\": 64", "\"shorter\": 96"),
        "bank_config.json is not the",
    ),
    (
        "absurd shorter",
        |line| replace(&file(line, "bank_config.json"), "\"shorter\": 64", "\"shorter\": 4000000000"),
        "`shorter` 4000000000",
    ),
    ("gone", |line| std::fs::remove_dir_all(file(line, "")).unwrap(), "it is missing"),
];

fn cut(path: &std::path::Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..1000]).unwrap();
}

fn flip(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn replace(path: &std::path::Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn changed_files_are_told_and_a_bank_in_memory_goes_on() {
    let (line, daemon) = line_with_bank();
    assert_eq!(decided(&line, "first.png", Part::ok(1)), "ok 1 1");
    let copies = ["memory_bank.pt", "bank_config.json", "tau.json"].map(|name| (name, std::fs::read(file(&line, name)).unwrap()));
    let restore = || {
        std::fs::create_dir_all(file(&line, "")).unwrap();
        for (name, bytes) in &copies {
            std::fs::write(file(&line, name), bytes).unwrap();
        }
    };
    let newest = "SELECT kind FROM events WHERE kind LIKE 'bank_changed%' ORDER BY rowid DESC LIMIT 1";
    for (number, (name, damage, told)) in (1..).zip(DAMAGES) {
        damage(&line);
        line.wait_sql(newest, "bank_changed");
        let detail = line.sql("SELECT detail FROM events WHERE kind = 'bank_changed' ORDER BY rowid DESC LIMIT 1").unwrap();
        assert!(detail.contains(told), "{name}: {detail}");
        assert_eq!(decided(&line, &format!("loaded{number}.png"), Part::ok(1)), "ok 1 1", "{name}");
        // A reload keeps what is in memory, and tells of it anew.
        let before = events(&line, "bank_changed").parse::<u32>().unwrap();
        daemon.signal(rustix::process::Signal::HUP);
        wait_events(&line, "reload", number);
        wait_events(&line, "bank_changed", before + 1);
        assert_eq!(decided(&line, &format!("reloaded{number}.png"), Part::ng(number)), "ng 1 1", "{name}");
        restore();
        line.wait_sql(newest, "bank_changed_over");
    }
    assert_eq!(rows(&line), "1 first active");
    assert!(daemon.stop().success());
}

#[test]
fn images_wait_for_a_bank_that_cannot_be_loaded_and_are_decided_when_it_can() {
    let (line, daemon) = line_with_bank();
    assert!(daemon.stop().success());
    let copies = ["memory_bank.pt", "bank_config.json", "tau.json"].map(|name| (name, std::fs::read(file(&line, name)).unwrap()));
    for (number, (name, damage, _)) in (1..).zip(DAMAGES) {
        damage(&line);
        let mut daemon = line.start();
        drop_part(&line, &format!("waits{number}.png"), Part::ok(1));
        let of_image = format!("FROM inspections WHERE image_path LIKE '%/waits{number}.png'");
        line.wait_sql(&format!("SELECT state || ' ' || reason_code {of_image}"), "pending bank_unusable");
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'bank_unusable'", &number.to_string());
        let status = line.status();
        assert_eq!(status["products"][0]["bank_trouble"]["code"], "bank_unusable", "{name}: {status}");
        assert_eq!(daemon.build_process(), None);
        std::fs::create_dir_all(file(&line, "")).unwrap();
        for (name, bytes) in &copies {
            std::fs::write(file(&line, name), bytes).unwrap();
        }
        line.wait_sql(&format!("SELECT state {of_image}"), "done");
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'bank_unusable_over'", &number.to_string());
        daemon.signal(rustix::process::Signal::TERM);
        assert!(daemon.wait().success(), "{name}");
    }
    assert_eq!(rows(&line), "1 first active");
    assert_eq!(
        line.sql("SELECT count(*) FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE i.image_tau <> b.image_tau").unwrap(),
        "0"
    );
}

#[test]
fn a_bank_of_an_earlier_release_is_bound_when_it_is_found_again() {
    let (line, daemon) = line_with_bank();
    assert!(daemon.stop().success());
    let earlier = "UPDATE banks SET config_sha256 = NULL, tau_sha256 = NULL, shorter = NULL, ok_fingerprint = NULL";
    sql_change(&line.path("history.db"), earlier);
    let daemon = line.start();
    assert_eq!(decided(&line, "a.png", Part::ok(1)), "ok 1 1");
    let bound =
        "SELECT group_concat(length(config_sha256) || ' ' || length(tau_sha256) || ' ' || shorter || ' ' || (ok_fingerprint <> ''))";
    assert_eq!(line.sql(&format!("{bound} FROM banks")).unwrap(), "64 64 64 1");
    assert!(daemon.stop().success());
    // Edited while that release ran, which did not notice.
    sql_change(&line.path("history.db"), earlier);
    let [pixel, image] = tau(&line);
    std::fs::write(file(&line, "tau.json"), json!({"pixel": pixel, "image": image * 2.0}).to_string()).unwrap();
    let daemon = line.start();
    assert_eq!(decided(&line, "b.png", Part::ok(1)), "ok 2 1");
    assert_eq!(rows(&line), "1 first superseded, 1 edited active");
    assert_eq!(events(&line, "bank_edited"), "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_version_that_was_changed_is_not_gone_back_to() {
    let (line, daemon) = line_with_bank();
    line.fill_ok("disc", 6..7);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    replace(&file(&line, "bank_config.json"), "\"smoothing\": 0", "\"smoothing\": 3");
    let told = run_fails(1, &["rollback", "disc", "1", "--config", arg(&line.config())]);
    assert!(told.starts_with("error[version_damaged]: ") && told.contains("not those that were recorded"), "{told}");
    assert_eq!(rows(&line), "1 first superseded, 2 ok_changed active");
    assert!(daemon.stop().success());
}
