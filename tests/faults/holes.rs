//! Files with holes: whole ones whose zeros take no space, and such as were never written to their end.

use super::{disc_line, wait_for_banks};
use crate::helper::{Line, Part, arg, image_bytes, run_ok};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const BLOCK: usize = 4096;

/// Writes an uncompressed picture but for some of its blocks, which are zeros of a whole file or were never written: nobody can tell.
fn write_without(path: &Path, blocks: std::ops::Range<usize>) {
    let bytes = image_bytes(Part::ok(1), image::ImageFormat::Bmp);
    let file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    let (from, to) = (blocks.start * BLOCK, (blocks.end * BLOCK).min(bytes.len()));
    file.write_all_at(&bytes[..from], 0).unwrap();
    file.write_all_at(&bytes[to..], to as u64).unwrap();
    file.sync_all().unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 < bytes.len() as u64, "the file system of the tests keeps no holes");
}

fn wait_for_state(line: &Line, name: &str, state: &str) {
    line.wait_sql(&format!("SELECT state || ifnull(' ' || reason_code, '') FROM inspections WHERE image_path LIKE '%/{name}'"), state);
}

#[test]
fn a_whole_file_with_holes_is_decided_when_its_writer_closed_it_or_somebody_says_so() {
    let line = disc_line();
    // Nobody sees this one closed.
    write_without(&line.drop("disc").join("found.bmp"), 2..4);
    let daemon = line.start();
    wait_for_banks(&line, 1);
    write_without(&line.drop("disc").join("closed.bmp"), 2..4);
    write_without(&line.drop("disc").join("first-rows.bmp"), 1..5);
    // Its end is a hole, as of a file whose writer died.
    write_without(&line.drop("disc").join("cut.bmp"), 4..99);
    let moved = line.path("moved.bmp");
    write_without(&moved, 2..4);
    std::fs::rename(moved, line.drop("disc").join("renamed.bmp")).unwrap();
    for name in ["closed.bmp", "first-rows.bmp", "renamed.bmp"] {
        wait_for_state(&line, name, "done");
    }
    for name in ["found.bmp", "cut.bmp"] {
        wait_for_state(&line, name, "failed incomplete");
    }
    run_ok(&["requeue", "--failed", "--config", arg(&line.config())]);
    for name in ["found.bmp", "cut.bmp"] {
        wait_for_state(&line, name, "done");
    }
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "5");
    assert!(daemon.stop().success());
}

#[test]
fn a_file_with_holes_that_is_closed_after_it_failed_is_decided() {
    let line = disc_line();
    let path = line.drop("disc").join("a.bmp");
    write_without(&path, 2..4);
    let daemon = line.start();
    wait_for_banks(&line, 1);
    wait_for_state(&line, "a.bmp", "failed incomplete");
    // The writer had it open since before anybody looked.
    drop(File::options().write(true).open(&path).unwrap());
    wait_for_state(&line, "a.bmp", "done");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "1");
    assert!(daemon.stop().success());
}
