//! Change-over: the camera of one folder sees another product from now on.

use crate::helper::{Line, Part, Product, arg, run_fails, run_ok, write_image};
use rustix::process::Signal;

const PROFILES: &str = "profiles: {domestic: [disc], export: [plate]}\nprofile: domestic\n";

/// Two products that take the same files of the same folder, each in a profile of its own, and one in none.
fn line() -> Line {
    let shared = |name| Product { folder: Some("shared"), ..Product::new(name) };
    let line = Line::new(&[shared("disc"), shared("plate"), Product::new("label")]);
    append(&line, PROFILES);
    for product in ["plate", "label"] {
        line.fill_ok(product, 0..6);
    }
    line
}

fn append(line: &Line, text: &str) {
    let config = std::fs::read_to_string(line.config()).unwrap() + text;
    std::fs::write(line.config(), config).unwrap();
}

fn profile(line: &Line, name: &str) -> String {
    run_ok(&["profile", name, "--config", arg(&line.config())])
}

/// An image in the folder of both.
fn drop_image(line: &Line, name: &str) {
    write_image(&line.drop("shared").join(name), Part::ok(1));
}

/// Product and state of an image, and the product whose bank decided it.
fn wait_image(line: &Line, name: &str, expected: &str) {
    let query = format!(
        "SELECT i.product || ' ' || i.state || ifnull(' by ' || b.product, '') FROM inspections AS i LEFT JOIN banks AS b ON b.id = i.bank_id
         WHERE i.image_path LIKE '%/{name}'"
    );
    line.wait_sql(&query, expected);
}

#[test]
fn the_line_changes_over_and_images_stay_with_the_product_that_they_were_recorded_for() {
    let line = line();
    let listed = run_ok(&["profile", "--config", arg(&line.config())]);
    assert_eq!(listed, "* domestic   disc   will be in use at the first start\n  export     plate\nalways on: label\n");
    let daemon = line.start();
    line.wait_for_bank("plate");
    line.wait_sql("SELECT detail FROM events WHERE kind = 'profile'", "domestic is in use: on: disc, label; off: plate");
    // They wait, as disc has no bank yet.
    for name in ["old.png", "rewritten.png"] {
        drop_image(&line, name);
        wait_image(&line, name, "disc pending");
    }
    std::fs::write(line.drop("shared").join("failed.png"), "no image").unwrap();
    wait_image(&line, "failed.png", "disc pending");

    assert_eq!(profile(&line, "export"), "profile export is in use: on: plate, label; off: disc\n");
    drop_image(&line, "new.png");
    wait_image(&line, "new.png", "plate done by plate");
    // The camera writes the same name again, after the change-over.
    write_image(&line.drop("shared").join("rewritten.png"), Part::ng(1));
    wait_image(&line, "rewritten.png", "plate done by plate");
    wait_image(&line, "old.png", "disc pending");
    let reloaded = line.sql("SELECT detail FROM events WHERE kind = 'reload'").unwrap();
    assert_eq!(reloaded, "change-over from profile domestic to export: on: plate, label; off: disc");
    let status = line.status();
    assert_eq!((&status["profile"]["in_use"], &status["profile"]["asked_for"]), (&"export".into(), &serde_json::Value::Null));
    let on: Vec<_> = status["products"].as_array().unwrap().iter().map(|product| product["on"].as_bool().unwrap()).collect();
    assert_eq!(on, [false, true, true]);
    let table = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(table.contains("\nprofile     export, in use since 20") && table.contains("\ndisc: off in this profile\n"), "{table}");
    assert_eq!(profile(&line, "export"), "profile export is in use already: on: plate, label; off: disc\n");

    // Its bank is built while it is off, and decides what was recorded for it.
    line.fill_ok("disc", 0..6);
    wait_image(&line, "old.png", "disc done by disc");
    wait_image(&line, "failed.png", "disc failed");
    assert!(daemon.stop().success());
}

#[test]
fn a_failed_image_is_tried_again_by_its_own_bank_whatever_is_on() {
    let line = line();
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    std::fs::write(line.drop("shared").join("a.jpg"), "no image").unwrap();
    wait_image(&line, "a.jpg", "disc failed");
    profile(&line, "export");
    let told = run_ok(&["requeue", "--failed", "--config", arg(&line.config())]);
    assert!(told.starts_with("1 images are tried again"), "{told}");
    line.wait_sql(
        "SELECT product || ' ' || state || ' ' || (attempts > 0) FROM inspections WHERE image_path LIKE '%/a.jpg'",
        "disc failed 1",
    );
    assert!(daemon.stop().success());
}

#[test]
fn a_stopped_line_changes_over_at_its_next_start_and_remembers() {
    let line = line();
    let config = arg(&line.config()).to_owned();
    let missing = run_fails(1, &["profile", "export", "--config", &config]);
    assert!(missing.contains("start the daemon"), "{missing}");
    assert!(line.start_and_stop());
    assert_eq!(profile(&line, "export"), "profile export will be in use when the daemon starts: on: plate, label; off: disc\n");
    let listed = run_ok(&["profile", "--config", &config]);
    assert!(
        listed.contains("* domestic   disc   in use since 20")
            && listed.ends_with("export is asked for and will be used when the daemon reads its configuration\n"),
        "{listed}"
    );
    // Killed right after it started, and started again: the profile of the file counts no more.
    for starts in ["2", "3"] {
        let daemon = line.start();
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", starts);
        line.wait_sql("SELECT profile FROM profile_changes WHERE in_use_since IS NOT NULL ORDER BY id DESC LIMIT 1", "export");
        daemon.kill();
    }
    assert_eq!(line.sql("SELECT count(*) FROM profile_changes").unwrap(), "2");
}

#[test]
fn the_profile_in_use_cannot_be_taken_out_of_the_file() {
    let line = line();
    let daemon = line.start();
    line.wait_for_bank("plate");
    profile(&line, "export");
    line.change_config("export: [plate]", "abroad: [plate]");
    daemon.signal(Signal::HUP);
    line.wait_sql(
        "SELECT detail LIKE 'profiles: `export` is missing, and the line is set up for it%' FROM events WHERE kind = 'reload_refused'",
        "1",
    );
    drop_image(&line, "a.png");
    wait_image(&line, "a.png", "plate done by plate");
    assert!(daemon.stop().success());
    let mut daemon = line.start();
    assert_eq!(daemon.wait().code(), Some(78));
    assert_eq!(profile(&line, "abroad"), "profile abroad will be in use when the daemon starts: on: plate, label; off: disc\n");
    let daemon = line.start();
    drop_image(&line, "b.png");
    wait_image(&line, "b.png", "plate done by plate");
    assert!(daemon.stop().success());
}

#[test]
fn what_cannot_be_changed_over_to_is_refused() {
    let line = line();
    let config = arg(&line.config()).to_owned();
    let told = run_fails(2, &["profile", "exprt", "--config", &config]);
    assert!(told.contains("has no profile `exprt`; choose one of: domestic, export"), "{told}");
    line.change_config("export: [plate]", "export: [plate, disc]");
    let told = run_fails(78, &["profile", "export", "--config", &config]);
    assert!(told.contains("`disc` and `plate` would both take"), "{told}");
    line.change_config(PROFILES.replace("[plate]", "[plate, disc]").as_str(), "");
    let told = run_fails(78, &["profile", "--config", &config]);
    assert!(told.contains("would both take"), "{told}");
    line.configure(&[Product::new("disc")]);
    let told = run_fails(2, &["profile", "--config", &config]);
    assert!(told.contains("has no `profiles`; all products are on"), "{told}");
}
