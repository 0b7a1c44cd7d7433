//! Files that come slowly, with holes, or never whole, in each way of telling that a file is ready.

use super::{wait_for_banks, wait_for_events};
use crate::helper::{Line, Part, Product, jpeg_bytes, wait_for};
use rustix::fs::{FallocateFlags, fallocate};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MODES: [(&str, &str); 4] =
    [("closed", "close_write"), ("renamed", "rename"), ("quiet", "{quiet: 500ms}"), ("marked", "{marker: .done}")];

fn line_of_all_modes() -> Line {
    let products = MODES.map(|(name, ready)| Product { drop: format!("        ready: {ready}\n"), ..Product::new(name) });
    let line = Line::new(&products);
    for (name, _) in MODES {
        line.fill_ok(name, 0..6);
    }
    line
}

/// A part's file in the format that the name tells.
fn bytes_for(name: &str, part: Part) -> Vec<u8> {
    let jpeg = jpeg_bytes(part);
    let format = image::ImageFormat::from_path(name).unwrap();
    if format == image::ImageFormat::Jpeg {
        return jpeg;
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::load_from_memory(&jpeg).unwrap().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// How a camera's file grows.
#[derive(Clone, Copy)]
enum Writer {
    Appends,
    /// Makes it as long as it will be, and then fills it.
    Truncates,
    /// Has its space allotted, and then fills it.
    Allocates,
}

/// Between two steps of a slow camera; longer than the quiet time, too.
const LONGER_THAN_A_SCAN: Duration = Duration::from_millis(1300);

/// Writes in four steps, slower than the quiet time and than a scan.
fn write_slowly(path: &Path, bytes: &[u8], writer: Writer) {
    let mut file = File::create(path).unwrap();
    match writer {
        Writer::Appends => {}
        Writer::Truncates => file.set_len(bytes.len() as u64).unwrap(),
        Writer::Allocates => fallocate(&file, FallocateFlags::empty(), 0, bytes.len() as u64).unwrap(),
    }
    let step = bytes.len().div_ceil(4);
    for (number, part) in bytes.chunks(step).enumerate() {
        match writer {
            Writer::Appends => file.write_all(part).unwrap(),
            _ => file.write_all_at(part, (number * step) as u64).unwrap(),
        }
        file.sync_all().unwrap();
        std::thread::sleep(LONGER_THAN_A_SCAN);
    }
}

/// What a camera does when its file is whole.
fn finish(mode: &str, written: PathBuf) {
    match mode {
        "renamed" => std::fs::rename(&written, written.with_extension("")).unwrap(),
        "marked" => drop(File::create(format!("{}.done", written.display())).unwrap()),
        _ => {}
    }
}

#[test]
fn slow_and_holed_files_are_decided_once_and_whole_across_a_kill() {
    let line = line_of_all_modes();
    let daemon = line.start();
    wait_for_banks(&line, 4);

    let mut writers = Vec::new();
    let mut expected = BTreeSet::new();
    for (number, (mode, _)) in MODES.into_iter().enumerate() {
        let kinds = [("a.jpg", Writer::Appends), ("b.bmp", Writer::Truncates), ("c.tif", Writer::Allocates), ("d.png", Writer::Truncates)];
        for (kind, (name, writer)) in kinds.into_iter().enumerate() {
            let bytes = bytes_for(name, Part::ok((number * 4 + kind) as u32));
            let target = line.drop(mode).join(name);
            expected.insert(format!("{} {}", target.display(), blake3::hash(&bytes).to_hex()));
            let written = if mode == "renamed" { PathBuf::from(format!("{}.part", target.display())) } else { target };
            writers.push(std::thread::spawn(move || {
                write_slowly(&written, &bytes, writer);
                finish(mode, written);
            }));
        }
    }
    // An attempt on a file that grows has been made, or at least such a file is there, when the daemon dies.
    wait_for("a first part of a file", || {
        let length = std::fs::metadata(line.drop("marked").join("a.jpg")).map_or(0, |meta| meta.len());
        if length > 0 { Ok(()) } else { Err("none".to_owned()) }
    });
    daemon.kill();
    let daemon = line.start();
    for writer in writers {
        writer.join().unwrap();
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &expected.len().to_string());
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), expected.len().to_string(), "and nothing else");
    let decided = line.sql("SELECT group_concat(image_path || ' ' || content_hash, char(10)) FROM inspections").unwrap();
    assert_eq!(decided.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert!(daemon.stop().success());
}

#[test]
fn a_file_that_never_becomes_whole_is_given_up_with_reason_and_event() {
    let line = line_of_all_modes();
    let daemon = line.start();
    wait_for_banks(&line, 4);
    for (mode, _) in MODES {
        for (name, keep) in [("cut.jpg", 60), ("cut.png", 95), ("cut.bmp", 99), ("cut.tif", 50)] {
            let bytes = bytes_for(name, Part::ok(1));
            let target = line.drop(mode).join(name);
            let written = if mode == "renamed" { PathBuf::from(format!("{}.part", target.display())) } else { target };
            std::fs::write(&written, &bytes[..bytes.len() * keep / 100]).unwrap();
            finish(mode, written);
        }
        // As long as it should be, and half of it was never written.
        let (bytes, target) = (bytes_for("x.bmp", Part::ok(2)), line.drop(mode).join("holed.bmp"));
        let written = if mode == "renamed" { PathBuf::from(format!("{}.part", target.display())) } else { target };
        let mut file = File::create(&written).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        file.write_all(&bytes[..bytes.len() / 2]).unwrap();
        drop(file);
        finish(mode, written);
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "20");
    assert_eq!(
        line.sql("SELECT count(*) FROM inspections WHERE reason LIKE 'incomplete: %; given up after 3s%' AND attempts > 1").unwrap(),
        "20"
    );
    wait_for_events(&line, "gave_up", 20);
    assert_eq!(
        line.sql("SELECT count(*) FROM events, inspections ON instr(detail, image_path || ': incomplete') WHERE kind = 'gave_up'").unwrap(),
        "20"
    );
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE decision IS NOT NULL").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn the_marker_of_an_earlier_picture_does_not_count() {
    let line = line_of_all_modes();
    let daemon = line.start();
    wait_for_banks(&line, 4);
    let (image, marker) = (line.drop("marked").join("cam.bmp"), line.drop("marked").join("cam.bmp.done"));
    let [first, second] = [1, 2].map(|number| bytes_for("cam.bmp", Part::ok(number)));
    std::fs::write(&image, &first).unwrap();
    std::fs::write(&marker, "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    // The next picture in its place, half of it; a mixture of two parts would decode.
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&second[..second.len() / 2], 0).unwrap();
    // As many scans as find a picture that may be taken.
    for name in ["x.png", "y.png"] {
        std::fs::write(line.drop("quiet").join(name), bytes_for(name, Part::ok(9))).unwrap();
        line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%/{name}'"), "1");
    }
    file.write_all_at(&second[second.len() / 2..], (second.len() / 2) as u64).unwrap();
    drop(file);
    std::fs::write(&marker, "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "4");
    let hashes = line.sql("SELECT group_concat(content_hash, ' ' ORDER BY id) FROM inspections WHERE image_path LIKE '%/cam.bmp'").unwrap();
    assert_eq!(hashes, [first, second].map(|bytes| blake3::hash(&bytes).to_hex().to_string()).join(" "));
    assert!(daemon.stop().success());
}

#[test]
fn a_picture_that_is_overwritten_while_it_waits_is_not_decided_by_the_marker_of_the_one_before() {
    let product = |name| Product { drop: "        ready: {marker: .done}\n".to_owned(), ..Product::new(name) };
    let line = Line::new(&[product("disc")]);
    let daemon = line.start();
    let (image, marker) = (line.drop("disc").join("cam.bmp"), line.drop("disc").join("cam.bmp.done"));
    let [first, second] = [1, 2].map(|number| bytes_for("cam.bmp", Part::ok(number)));
    std::fs::write(&image, &first).unwrap();
    std::fs::write(&marker, "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason_code = 'no_bank'", "1");
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&second[..second.len() / 2], 0).unwrap();
    line.fill_ok("disc", 0..6);
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason_code = 'not_closed' AND attempts > 1", "1");
    file.write_all_at(&second[second.len() / 2..], (second.len() / 2) as u64).unwrap();
    drop(file);
    std::fs::write(&marker, "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert_eq!(
        line.sql("SELECT DISTINCT content_hash FROM inspections WHERE state = 'done'").unwrap(),
        blake3::hash(&second).to_hex().to_string()
    );
    assert!(daemon.stop().success());
}
