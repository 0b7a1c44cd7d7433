//! Many images are in the folder already when the daemon starts.

use super::{count, memory_kb, millis, number, reconfigure, wait_while_it_goes_on};
use crate::helper::{Line, Part, Product, wait_for, write_image};
use jiff::Timestamp;
use std::path::Path;

/// Pictures that the names are links to, more than one because a file cannot have any number of names.
const PICTURES: usize = 16;
const SUB_FOLDERS: usize = 5;

/// Names for `n` images below `drop`, in sub-folders.
fn fill(line: &Line, drop: &Path, n: usize) {
    let pictures: Vec<_> = (0..PICTURES).map(|i| line.path(&format!("picture{i}.jpg"))).collect();
    for (i, picture) in pictures.iter().enumerate() {
        write_image(picture, Part::ok(i as u32));
    }
    for folder in 0..SUB_FOLDERS {
        std::fs::create_dir(drop.join(format!("shift{folder}"))).unwrap();
    }
    for i in 0..n {
        std::fs::copy(&pictures[i % PICTURES], drop.join(format!("shift{}/part{i:07}.jpg", i % SUB_FOLDERS))).unwrap();
    }
}

fn run(n: usize) {
    let line = Line::new(&[Product::new("disc")]);
    // Scans as far apart as they are on a real line.
    reconfigure(&line, "rescan: 1s", "rescan: 30s");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    assert!(daemon.stop().success());
    fill(&line, &line.drop("disc"), n);

    std::fs::remove_file(line.path("log")).unwrap();
    let begin = Timestamp::now();
    let daemon = line.start();
    line.wait_for_log(" ready ");
    let ready = millis(begin, Timestamp::now());
    let at_ready = memory_kb(daemon.pid(), "VmHWM");
    wait_while_it_goes_on(&line, "SELECT count(*) FROM inspections", &n.to_string());
    let recorded = millis(begin, Timestamp::now());
    wait_for("the first decision", || if count(&line, "state = 'done'") > 0 { Ok(()) } else { Err(line.log()) });
    let peak = memory_kb(daemon.pid(), "VmHWM");
    let decided = count(&line, "state = 'done'");
    let time = |column: &str| line.sql(&format!("SELECT min({column}) FROM inspections")).unwrap().parse().unwrap();
    println!(
        "backlog of {n}: ready {ready:.0} ms, first row {:.0} ms, first decision {:.0} ms, all rows {recorded:.0} ms after the start; \
         peak memory {} MiB ({} MiB at ready); {decided} decided by then",
        millis(begin, time("seen_at")),
        millis(begin, time("decided_at")),
        peak / 1024,
        at_ready / 1024
    );
    assert!(daemon.stop().success());
    assert_eq!(line.sql("SELECT count(DISTINCT image_path) FROM inspections").unwrap(), n.to_string());
    assert_eq!(count(&line, "state = 'failed'"), 0);
}

#[test]
fn a_backlog_is_recorded_once_each() {
    run(1200);
}

#[test]
#[ignore = "make backlog"]
fn large_backlog() {
    run(number("N", 100_000));
}
