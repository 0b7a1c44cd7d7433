//! What a reload keeps, and what it does not begin.

use crate::helper::{Daemon, Line, Part, Product, arg, run_fails, run_ok, wait_for, write_image};
use rustix::process::Signal;
use serde_json::json;

/// The thread that owns networks and banks.
fn engine_thread(daemon: &Daemon) -> String {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().map(|entry| entry.unwrap().path());
    let mut engines = threads.filter(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "engine"));
    engines.next().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_engine_lives_on_unless_its_settings_change() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let first = engine_thread(&daemon);
    let reload = |starts: &str, image: &str| {
        daemon.signal(Signal::HUP);
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", starts);
        write_image(&line.drop("disc").join(image), Part::ok(1));
        line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%/{image}'"), "1");
    };

    line.change_config("min_images: 3", "min_images: 4");
    reload("2", "a.png");
    assert_eq!(engine_thread(&daemon), first);
    line.change_config("device: cpu,", "device: cpu, bank_cache: 2,");
    reload("3", "b.png");
    assert_ne!(engine_thread(&daemon), first);
    assert!(daemon.stop().success());
}

#[test]
fn the_sensitivity_counts_from_the_next_image_on_and_builds_nothing() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let number =
        |column: &str, id: u32| line.sql(&format!("SELECT {column} FROM inspections WHERE id = {id}")).unwrap().parse::<f64>().unwrap();
    let inspect = |id: u32| {
        // The same picture, by another name.
        write_image(&line.drop("disc").join(format!("{id}.png")), Part::ok(1));
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &id.to_string());
        (
            number("image_score", id),
            number("image_tau", id),
            number("pixel_tau", id),
            line.sql("SELECT decision FROM inspections ORDER BY id DESC LIMIT 1").unwrap(),
        )
    };
    let (score, tau, pixel, decision) = inspect(1);
    assert_eq!((decision.as_str(), number("sensitivity", 1)), ("ok", 1.0));

    let strict = (1.05 * tau / score).min(10.0);
    line.change_config("    ok: ", &format!("    sensitivity: {strict}\n    ok: "));
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "2");
    assert!(detail(&line, "reload").contains("products[disc].sensitivity: 1.0 → "), "{}", detail(&line, "reload"));
    let (same, divided, divided_pixel, decision) = inspect(2);
    assert_eq!((same, decision.as_str()), (score, "ng"));
    // SQLite writes 15 digits.
    for (value, expected) in [(number("sensitivity", 2), strict), (divided, tau / strict), (divided_pixel, pixel / strict)] {
        assert!((value / expected - 1.0).abs() < 1e-12, "{value} {expected}");
    }
    let ratio: f64 = line.sql("SELECT image_ratio FROM defect_history").unwrap().parse().unwrap();
    assert!((ratio - 1.05).abs() < 1e-9, "{ratio}");
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn another_database_is_opened_before_the_old_one_is_left() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    std::fs::create_dir(line.path("new.db")).unwrap();
    line.change_config("/history.db\n", "/new.db\n");
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT detail LIKE '%/new.db%' FROM events WHERE kind = 'reload_refused'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");

    std::fs::remove_dir(line.path("new.db")).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'reload'", "1");
    // The old one stays as it is, and readable.
    std::fs::rename(line.path("history.db"), line.path("old.db")).unwrap();
    std::os::unix::fs::symlink("new.db", line.path("history.db")).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert!(daemon.stop().success());
}

fn detail(line: &Line, kind: &str) -> String {
    line.sql(&format!("SELECT detail FROM events WHERE kind = '{kind}' ORDER BY rowid DESC LIMIT 1")).unwrap()
}

#[test]
fn a_reload_says_what_changed_and_images_of_a_removed_product_wait_until_it_is_back() {
    let line = Line::new(&[Product::new("disc"), Product::new("late")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("late").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE product = 'late' AND state = 'pending'", "1");
    let both = std::fs::read_to_string(line.config()).unwrap();

    line.configure(&[Product::new("disc"), Product::new("third")]);
    line.change_config("stride: 1", "stride: 2");
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "2");
    let said = detail(&line, "reload");
    for part in [
        "products[disc].build.stride: 1 → 2 (a bank is built with it",
        "product late removed: 1 pending images wait until it is back",
        "product third added",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    line.wait_sql("SELECT version FROM banks WHERE product = 'disc' AND state = 'active'", "2");
    let status = line.status();
    assert_eq!(status["not_in_configuration"][0]["product"], "late");
    assert_eq!(status["not_in_configuration"][0]["pending"], 1);
    let table = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(table.contains("\nlate: not in the configuration\n  pending   1, the oldest for "), "{table}");

    // Written while nobody watches the folder.
    write_image(&line.drop("late").join("b.png"), Part::ok(2));
    line.fill_ok("late", 0..6);
    std::fs::write(line.config(), both).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql(
        "SELECT count(*) FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE b.product = 'late' AND i.product = 'late'",
        "2",
    );
    assert_eq!(line.status()["not_in_configuration"], json!([]));
    assert!(daemon.stop().success());
}

#[test]
fn a_file_that_cannot_be_used_is_told_of_until_it_is_right() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let good = std::fs::read_to_string(line.config()).unwrap();
    let status = |line: &Line| line.status()["configuration"].clone();
    let told = |statuses: usize| {
        daemon.signal(Signal::USR1);
        wait_for("the status in the log", || {
            if line.log().matches(" status=backlog ").count() == statuses { Ok(()) } else { Err(line.log()) }
        });
        line.log().matches("the configuration file has mistakes and is not in use").count()
    };

    // Each entry is fine; together they would take the same files.
    line.configure(&[Product::new("disc"), Product { folder: Some("disc"), ..Product::new("twin") }]);
    daemon.signal(Signal::HUP);
    line.wait_sql(
        "SELECT detail LIKE '%`disc` and `twin` would both take%the old one stays in use' FROM events WHERE kind = 'reload_refused'",
        "1",
    );
    assert_eq!(told(1), 1);

    for (mistakes, words) in [("shorter: sixty-four", "products[0].build.shorter"), ("shorter: 64: 5", "line ")] {
        std::fs::write(line.config(), good.replace("shorter: 64", mistakes)).unwrap();
        let seen = status(&line);
        assert_eq!(seen["in_use"], false);
        let reason = seen["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("it cannot be used, and the daemon works with what it said at 20") && reason.contains(words),
            "{reason}"
        );
    }
    let table = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(table.contains("config.yaml\n            it cannot be used, and the daemon works with"), "{table}");

    std::fs::write(line.config(), good.replace("stride: 1", "stride: 2")).unwrap();
    assert!(status(&line)["reason"].as_str().unwrap().contains("it was changed after the daemon read it at 20"));
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "2");
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    assert_eq!(status(&line), json!({"path": arg(&line.config()), "in_use": true, "reason": null}));
    assert_eq!(told(2), 1, "it is told of no more");

    assert!(daemon.stop().success());
    assert_eq!(status(&line)["in_use"], serde_json::Value::Null);
    std::fs::write(line.config(), "database: h.db\n").unwrap();
    run_fails(78, &["status", "--config", arg(&line.config())]);
}
