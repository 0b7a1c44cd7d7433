//! Failed images are tried again when somebody asks for it.

use crate::helper::{Line, Part, Product, arg, jpeg_bytes, run_fails, run_ok, sql_change, write_image};

fn requeue(line: &Line, arguments: &[&str]) -> String {
    run_ok(&[&["requeue", "--config", arg(&line.config())], arguments].concat())
}

fn failed_with(line: &Line, name: &str, reason: &str) {
    line.wait_sql(&format!("SELECT state = 'failed' AND reason LIKE '{reason}' FROM inspections WHERE image_path LIKE '%{name}'"), "1");
}

#[test]
fn a_running_daemon_takes_requeued_images_up() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("good.png"), Part::ok(1));
    std::fs::write(line.drop("disc").join("gone.jpg"), "this is a shopping list, not an image").unwrap();
    let jpeg = jpeg_bytes(Part::ok(2));
    std::fs::write(line.drop("disc").join("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    failed_with(&line, "gone.jpg", "%JPEG, PNG, BMP or TIFF%");
    failed_with(&line, "cut.jpg", "incomplete: %given up after%");
    let done = line.sql("SELECT decided_at FROM inspections WHERE state = 'done'").unwrap();

    let cut = line.sql("SELECT id FROM inspections WHERE image_path LIKE '%cut.jpg'").unwrap();
    assert_eq!(requeue(&line, &[&cut]), "1 images are tried again\n");
    // Asked again at once, it is pending (or failed once more): nothing is doubled.
    line.wait_sql(&format!("SELECT state || ' ' || (attempts > 0) FROM inspections WHERE id = {cut}"), "failed 1");
    std::fs::remove_file(line.drop("disc").join("gone.jpg")).unwrap();
    assert_eq!(requeue(&line, &["--product", "disc", "--since", "1h"]), "2 images are tried again\n");
    failed_with(&line, "gone.jpg", "cannot be read: No such file%");
    failed_with(&line, "cut.jpg", "incomplete: %");
    assert_eq!(
        line.sql("SELECT group_concat(detail) FROM events WHERE kind = 'requeue'").unwrap(),
        "1 failed images are tried again,2 failed images are tried again"
    );
    assert_eq!(line.sql("SELECT decided_at FROM inspections WHERE state = 'done'").unwrap(), done, "what is done does not change");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
    assert!(daemon.stop().success());
}

#[test]
fn an_image_does_not_wait_for_those_that_were_requeued() {
    const BACKLOG: u32 = 400;
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..BACKLOG {
        std::fs::write(line.drop("disc").join(format!("{number}.jpg")), "no image").unwrap();
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", &BACKLOG.to_string());
    sql_change(&line.path("history.db"), "UPDATE inspections SET seen_at = '2026-01-01T00:00:00.000Z'");
    assert_eq!(requeue(&line, &["--failed"]), format!("{BACKLOG} images are tried again\n"));
    write_image(&line.drop("disc").join("live.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", &BACKLOG.to_string());
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    let later = "SELECT count(*) FROM inspections, (SELECT decided_at AS live FROM inspections WHERE state = 'done') WHERE state = 'failed' AND decided_at > live";
    let later: u32 = line.sql(later).unwrap().parse().unwrap();
    assert!(later > BACKLOG / 4, "only {later} of {BACKLOG} were tried after the image that came after all of them");
    assert!(daemon.stop().success());
}

#[test]
fn an_unrouted_image_finds_its_product_after_the_configuration_is_corrected() {
    let front = |pattern: &str| Product { drop: format!("        match: '{pattern}'\n"), folder: Some("shared"), ..Product::new("front") };
    let line = Line::new(&[front("front_*")]);
    line.fill_ok("front", 0..6);
    let daemon = line.start();
    let shared = line.path("drop/shared");
    write_image(&shared.join("vorn_1.png"), Part::ok(1));
    write_image(&shared.join("odd_1.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason = 'unrouted'", "2");
    assert!(daemon.stop().success());
    assert_eq!(requeue(&line, &["--failed"]).lines().next().unwrap(), "0 images are tried again");

    line.configure(&[front("{front,vorn}_*")]);
    let said = requeue(&line, &["--failed"]);
    assert_eq!(said, format!("1 images are tried again\n1 stay failed: no product of {} takes them\n", line.config().display()));
    let daemon = line.start();
    line.wait_sql(
        "SELECT group_concat(ifnull(product, '-') || ' ' || state) FROM (SELECT * FROM inspections ORDER BY image_path)",
        "- failed,front done",
    );
    assert!(daemon.stop().success());
}

#[test]
fn requeue_wants_a_choice_and_a_history() {
    let line = Line::new(&[Product::new("disc")]);
    let config = line.config();
    let told = run_fails(2, &["requeue", "--config", arg(&config)]);
    assert!(told.contains("--failed"), "{told}");
    let told = run_fails(2, &["requeue", "--config", arg(&config), "--product", "dics"]);
    assert!(told.contains("has no product `dics`"), "{told}");
    let told = run_fails(1, &["requeue", "--config", arg(&config), "--failed"]);
    assert!(told.contains("history.db: does not exist"), "{told}");
}
