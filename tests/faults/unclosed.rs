//! Writers that allot the space of their file, write all but its last bytes and pause: nothing of the file tells that it is not whole,
//! but that it is open.

use super::{wait_for_banks, wait_for_done, wait_for_events};
use crate::helper::{Line, Part, Product, image_bytes};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NOT_CLOSED: &str = "incomplete: its writer has not closed it";

/// A line with a product for each readiness that asks for a close.
fn line_of_closers(give_up_after: &str) -> Line {
    let products = [("closed", "close_write"), ("renamed", "rename")]
        .map(|(name, ready)| Product { drop: format!("        ready: {ready}\n"), ..Product::new(name) });
    let line = Line::new(&products);
    line.change_config("give_up_after: 3s", &format!("give_up_after: {give_up_after}"));
    for product in products {
        line.fill_ok(product.name, 0..6);
    }
    line
}

/// A file whose writer pauses.
struct Paused {
    file: File,
    bytes: Vec<u8>,
    written: usize,
}

/// Writes all but the `missing` last bytes; the name tells the format.
fn write(path: &Path, part: Part, missing: usize) -> Paused {
    let bytes = image_bytes(part, image::ImageFormat::from_path(path).unwrap());
    let file = File::create(path).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, bytes.len() as u64).unwrap();
    let written = bytes.len() - missing;
    file.write_all_at(&bytes[..written], 0).unwrap();
    Paused { file, bytes, written }
}

impl Paused {
    /// Writes the rest, closes, and tells the hash of the whole.
    fn finish(self) -> String {
        self.file.write_all_at(&self.bytes[self.written..], self.written as u64).unwrap();
        blake3::hash(&self.bytes).to_hex().to_string()
    }
}

/// Waits until so many files have been tried more than once; none may have been decided.
fn wait_for_attempts(line: &Line, files: u32) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE attempts > 1 OR state <> 'pending'", &files.to_string());
    let seen = "SELECT group_concat(DISTINCT state || ' ' || reason) FROM inspections";
    assert_eq!(line.sql(seen).unwrap(), format!("pending {NOT_CLOSED}"));
}

fn assert_decided(line: &Line, mut hashes: Vec<String>) {
    wait_for_done(line, hashes.len() as u32);
    hashes.sort();
    assert_eq!(
        line.sql("SELECT group_concat(content_hash, ' ' ORDER BY content_hash) FROM inspections WHERE state = 'done'").unwrap(),
        hashes.join(" ")
    );
}

#[test]
fn a_file_is_waited_for_until_its_writer_closes_it() {
    let line = line_of_closers("1h");
    let daemon = line.start();
    wait_for_banks(&line, 2);
    let (closed, renamed) = (line.drop("closed"), line.drop("renamed"));
    let paused = [
        write(&closed.join("a.bmp"), Part::ok(1), 100),
        write(&closed.join("b.tif"), Part::ok(2), 1),
        // Under its final name from the beginning, and renamed while it is written.
        write(&renamed.join("c.bmp"), Part::ok(3), 100),
        write(&renamed.join("d.part.bmp"), Part::ok(4), 100),
    ];
    std::fs::rename(renamed.join("d.part.bmp"), renamed.join("d.bmp")).unwrap();
    wait_for_attempts(&line, 4);
    assert_decided(&line, paused.map(Paused::finish).into());
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "4");
    assert!(daemon.stop().success());
}

#[test]
fn a_file_that_was_given_up_is_decided_when_it_is_closed_after_all() {
    let line = line_of_closers("3s");
    let daemon = line.start();
    wait_for_banks(&line, 2);
    let unfinished = write(&line.drop("closed").join("a.bmp"), Part::ok(1), 100);
    // Its close will change nothing but that it is closed.
    let whole = [write(&line.drop("closed").join("b.bmp"), Part::ok(2), 0), write(&line.drop("renamed").join("c.bmp"), Part::ok(3), 0)];
    line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE state = 'failed' AND reason = '{NOT_CLOSED}; given up after 3s'"), "3");
    wait_for_events(&line, "gave_up", 3);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
    let mut hashes = vec![unfinished.finish()];
    hashes.extend(whole.into_iter().map(Paused::finish));
    assert_decided(&line, hashes);
    let rows = "SELECT group_concat(substr(image_path, -5) || ' ' || state, ', ' ORDER BY image_path, id) FROM inspections";
    assert_eq!(line.sql(rows).unwrap(), "a.bmp failed, a.bmp done, b.bmp done, c.bmp done");
    assert!(daemon.stop().success());
}

#[test]
fn a_file_whose_close_was_lost_is_decided_all_the_same() {
    let line = line_of_closers("20s");
    let daemon = line.start();
    wait_for_banks(&line, 2);
    let paused = [write(&line.drop("closed").join("a.bmp"), Part::ok(1), 100), write(&line.drop("renamed").join("b.bmp"), Part::ok(2), 0)];
    wait_for_attempts(&line, 2);
    daemon.signal(Signal::STOP);
    // More events than the kernel keeps, and the close after them.
    let limit: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for folder in ["closed", "renamed"] {
        for number in 0..limit / 3 + 1000 {
            std::fs::write(line.drop(folder).join(format!("{number}.txt")), "").unwrap();
        }
    }
    let hashes = paused.map(Paused::finish);
    daemon.signal(Signal::CONT);
    line.wait_sql("SELECT count(*) > 1 FROM events WHERE kind = 'overflow'", "1");
    assert_decided(&line, hashes.into());
    assert!(daemon.stop().success());
}
