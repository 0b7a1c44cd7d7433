//! An image that kills the daemon is failed after a few deaths, and the others go on first; one that was in hand at a death by chance is
//! decided. The daemon dies at a crash point, as if its present image had killed it.

use crate::helper::{Daemon, Line, Part, Product, arg, run_ok, sql_change, write_image};
use patchcored::platform::crash_point::VARIABLE;
use std::os::unix::fs::MetadataExt;

const FAILED: &str = "SELECT count(*) FROM inspections WHERE state = 'failed' AND reason_code = 'kills_the_daemon'";

fn line() -> Line {
    let line = Line::new(&[Product::new("bad"), Product::new("good")]);
    for product in ["bad", "good"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    for product in ["bad", "good"] {
        line.wait_for_bank(product);
    }
    assert!(daemon.stop().success());
    line
}

/// The daemon dies at the attempt with this number.
fn start_dying_at(line: &Line, attempt: u32) -> Daemon {
    line.start_with(|command| {
        command.env(VARIABLE, format!("attempt_started:{attempt}"));
    })
}

fn drop_image(line: &Line, product: &str, name: &str) {
    write_image(&line.drop(product).join(name), Part::ok(1));
}

/// An image that is recorded already when the daemon starts.
fn record_image(line: &Line, product: &str, name: &str) {
    drop_image(line, product, name);
    let path = line.drop(product).join(name);
    let meta = std::fs::metadata(&path).unwrap();
    let changed = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
    let statement = format!(
        "INSERT INTO inspections (product, image_path, file_size, mtime_ns, state, seen_at, give_up_at)
         VALUES ('{product}', '{}', {}, {changed}, 'pending', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), '9999-01-01T00:00:00.000Z')",
        path.display(),
        meta.len()
    );
    sql_change(&line.path("history.db"), &statement);
}

fn wait_decided(line: &Line, name: &str) {
    line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%/{name}'"), "1");
}

#[test]
fn an_image_that_kills_the_daemon_is_failed_and_the_others_go_on_before_it() {
    let line = line();
    drop_image(&line, "bad", "poison.png");
    assert!(!start_dying_at(&line, 1).wait().success());

    // Alone, after the other one, the first time.
    record_image(&line, "good", "a.png");
    assert!(!start_dying_at(&line, 2).wait().success());
    wait_decided(&line, "a.png");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'daemon_died' AND level = 'warn'", "1");
    line.wait_sql("SELECT deaths FROM inspections WHERE image_path LIKE '%/poison.png'", "0");

    // And the second time, after the others again.
    for number in 0..5 {
        record_image(&line, "good", &format!("b{number}.png"));
    }
    assert!(!start_dying_at(&line, 6).wait().success());
    for number in 0..5 {
        wait_decided(&line, &format!("b{number}.png"));
    }
    line.wait_sql("SELECT deaths FROM inspections WHERE image_path LIKE '%/poison.png'", "1");
    line.wait_sql(FAILED, "0");

    let daemon = line.start();
    line.wait_sql(FAILED, "1");
    line.wait_sql(
        "SELECT product || detail LIKE 'bad%/poison.png: inspection 1: %look for the part' FROM events WHERE kind = 'kills_the_daemon'",
        "1",
    );
    drop_image(&line, "bad", "next.png");
    wait_decided(&line, "next.png");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE state = 'pending'").unwrap(), "0");

    // With more memory, say.
    run_ok(&["requeue", "--config", arg(&line.config()), "--product", "bad", "--failed"]);
    wait_decided(&line, "poison.png");
    assert!(daemon.stop().success());
}

#[test]
fn images_in_hand_at_deaths_that_have_another_cause_are_decided() {
    let line = line();
    for number in 0..6 {
        drop_image(&line, "good", &format!("{number}.png"));
    }
    // Dies with images in hand, whichever they are, and never lives long.
    for attempt in [3, 1, 2, 1, 1] {
        assert!(!start_dying_at(&line, attempt).wait().success(), "{}", line.log());
    }
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "6");
    line.wait_sql("SELECT count(*) FROM inspections WHERE in_hand IS NOT NULL OR deaths IS NOT NULL", "0");
    line.wait_sql(FAILED, "0");
    assert!(daemon.stop().success());
}
