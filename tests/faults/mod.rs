//! Faults of watching and scanning: each test causes the real one, on a real file system, under the real daemon.

mod again;
mod holes;
mod hung;
mod left_out;
mod limits;
mod links;
mod names;
mod overflow;
mod readiness;
mod roots;
mod unclosed;

use crate::helper::{Daemon, Line, Part, Product, wait_for, write_image};
use rustix::process::Signal;

/// A line with one product whose bank waits to be built.
fn disc_line() -> Line {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    line
}

/// Sets the time between two scans; long enough, only events can find a file.
fn set_rescan(line: &Line, rescan: &str) {
    let text = std::fs::read_to_string(line.config()).unwrap();
    assert!(text.contains("rescan: 1s"));
    std::fs::write(line.config(), text.replace("rescan: 1s", &format!("rescan: {rescan}"))).unwrap();
}

/// A running line with a bank, on which no scan comes: only events can find a file.
fn line_of_events() -> (Line, Daemon) {
    let line = disc_line();
    set_rescan(&line, "1h");
    let daemon = line.start();
    wait_for_banks(&line, 1);
    (line, daemon)
}

fn wait_for_banks(line: &Line, banks: u32) {
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", &banks.to_string());
}

fn wait_for_done(line: &Line, images: u32) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &images.to_string());
}

fn wait_for_events(line: &Line, kind: &str, count: u32) {
    line.wait_sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'"), &count.to_string());
}

/// What the newest event of this kind says.
fn detail(line: &Line, kind: &str) -> String {
    line.sql(&format!("SELECT detail FROM events WHERE kind = '{kind}' ORDER BY rowid DESC LIMIT 1")).unwrap()
}

/// Drops an image into the product's drop folder.
fn drop_image(line: &Line, product: &str, name: &str) {
    write_image(&line.drop(product).join(name), Part::ok(1));
}

/// Asks the daemon for its status until it says this.
fn wait_for_status(line: &Line, daemon: &Daemon, text: &str) {
    wait_for(&format!("`{text}` in the status"), || {
        daemon.signal(Signal::USR1);
        let log = line.log();
        let status = log.lines().rev().find(|l| l.contains("backlog ")).unwrap_or_default();
        if status.contains(text) { Ok(()) } else { Err(log) }
    });
}

/// The watches of the process: one on each folder, and one on a drop folder that may be unmounted, which tells of it.
fn watches(pid: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

fn wait_for_watches(line: &Line, pid: u32, count: usize) {
    wait_for(&format!("{count} watches"), || match watches(pid) {
        found if found == count => Ok(()),
        found => Err(format!("{found}\n{}", line.log())),
    });
}
