//! Names that Linux allows, and names of what is no file.

use super::{disc_line, drop_image, set_rescan, wait_for_banks, wait_for_done};
use crate::helper::{Line, Part, Product, image_bytes, write_image};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// How many rows in this state have exactly these bytes for a path.
fn rows(line: &Line, path: &Path, state: &str) -> String {
    let hex: String = path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    line.sql(&format!("SELECT count(*) FROM inspections WHERE state = '{state}' AND hex(ifnull(image_path_raw, image_path)) = '{hex}'"))
        .unwrap()
}

fn with(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn any_name_is_kept_byte_for_byte() {
    const NAMES: [&[u8]; 14] = [
        b"with  two spaces.jpg",
        b" leading.jpg",
        b"new\nline.jpg",
        b"tab\tbell\x07.jpg",
        b"-rf.jpg",
        b"quote'\"`.jpg",
        b"'; DROP TABLE inspections; --.jpg",
        b"back\\slash\\x41.jpg",
        b"per%20cent%s{}.jpg",
        b"glob[*]?.jpg",
        "größe-寸法.jpg".as_bytes(),
        b"caf\xe9.jpg",
        b"\xff\xfe\x80.JPG",
        b"a.mask.png.jpg",
    ];
    let line = disc_line();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let folder = line.drop("disc").join(OsStr::from_bytes(b"cam \xe9\n1"));
    std::fs::create_dir(&folder).unwrap();
    let paths: Vec<_> = NAMES.iter().map(|name| folder.join(OsStr::from_bytes(name))).collect();
    for path in &paths {
        write_image(path, Part::ok(1));
    }
    wait_for_done(&line, NAMES.len() as u32);
    for path in &paths {
        assert_eq!(rows(&line, path, "done"), "1", "{}", path.display());
        for suffix in [".mask.png", ".overlay.png"] {
            assert!(with(path, suffix).exists(), "{}", path.display());
        }
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3 * NAMES.len());
    assert!(daemon.stop().success());
}

#[test]
fn pipes_sockets_and_links_are_no_images() {
    let line = disc_line();
    // A scan would forget again what was found behind a link.
    set_rescan(&line, "1h");
    let folder = line.drop("disc");
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let outside = line.path("outside");
    std::fs::create_dir(&outside).unwrap();
    write_image(&outside.join("secret.jpg"), Part::ok(1));

    assert!(Command::new("mkfifo").arg(folder.join("pipe.jpg")).status().unwrap().success());
    let _socket = UnixListener::bind(folder.join("socket.jpg")).unwrap();
    symlink(outside.join("secret.jpg"), folder.join("outside.jpg")).unwrap();
    symlink("real.jpg", folder.join("inside.jpg")).unwrap();
    symlink("nowhere", folder.join("dangling.jpg")).unwrap();
    symlink("self.jpg", folder.join("self.jpg")).unwrap();
    symlink(&outside, folder.join("linked-folder")).unwrap();
    symlink(&folder, folder.join("loop")).unwrap();
    std::fs::create_dir(folder.join("folder.jpg")).unwrap();
    drop_image(&line, "disc", "folder.jpg/a.jpg");
    drop_image(&line, "disc", "real.jpg");
    wait_for_done(&line, 2);
    // Nobody closes this one, so it settles as whatever was found behind the links would have done before it.
    std::fs::hard_link(outside.join("secret.jpg"), folder.join("hard.jpg")).unwrap();
    wait_for_done(&line, 3);
    assert!(daemon.stop().success());
    // What the events passed over, the first scan of the next start passes over too.
    let daemon = line.start();
    write_image(&line.path("staged.jpg"), Part::ok(2));
    std::fs::hard_link(line.path("staged.jpg"), folder.join("last.jpg")).unwrap();
    wait_for_done(&line, 4);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "4");
    assert!(daemon.stop().success());
}

#[test]
fn a_name_too_long_for_its_outputs_fails_at_once_with_the_remedy() {
    let line = disc_line();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let name = |length: usize| format!("{}.jpg", "x".repeat(length - 4));
    // `.overlay.png` has 12 bytes, and a name at most 255.
    for length in [243, 244, 255] {
        drop_image(&line, "disc", &name(length));
    }
    wait_for_done(&line, 1);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "2");
    assert_eq!(rows(&line, &line.drop("disc").join(name(243)), "done"), "1");
    let reason = line.sql(&format!("SELECT reason FROM inspections WHERE image_path LIKE '%/{}'", name(244))).unwrap();
    assert!(reason.contains("256 bytes") && reason.contains("shorter name"), "{reason}");
    assert_eq!(line.sql("SELECT sum(attempts) FROM inspections WHERE state = 'failed'").unwrap(), "0");
    assert!(daemon.stop().success());
}

/// Makes folders with long names below `folder` until their path has `length` bytes, and writes an image there. No call of the system takes
/// a path of that length, so each step starts where the last one led.
fn write_deep(folder: &Path, length: usize, name: &str) {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut at = rustix::fs::open(folder, flags, Mode::empty()).unwrap();
    let mut reached = folder.as_os_str().len();
    while reached < length {
        let step = (length - reached - 1).min(200);
        // What is left must be enough for a name.
        let step = if length - reached - 1 - step == 1 { step - 1 } else { step };
        let sub = "d".repeat(step);
        let _ = rustix::fs::mkdirat(&at, &sub, Mode::RWXU);
        at = rustix::fs::openat(&at, &sub, flags, Mode::empty()).unwrap();
        reached += 1 + step;
    }
    let file = rustix::fs::openat(&at, name, OFlags::CREATE | OFlags::WRONLY, Mode::RUSR | Mode::WUSR).unwrap();
    std::fs::File::from(file).write_all(&image_bytes(Part::ok(1), image::ImageFormat::Png)).unwrap();
}

#[test]
fn a_path_too_long_for_its_outputs_or_for_itself_fails_at_once_with_the_remedy() {
    let line = disc_line();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    // Of the folder; with the name of the image, of its outputs, and with temporary names.
    let folder = line.drop("disc");
    write_deep(&folder, 4095 - 36, "fits.png");
    write_deep(&folder, 4095 - 35, "temporary.png");
    write_deep(&folder, 4095 - 16, "outputs.png");
    write_deep(&folder, 4095 - 5, "itself.png");
    wait_for_done(&line, 1);
    line.wait_sql(
        "SELECT group_concat(reason_code || ' ' || attempts) FROM inspections WHERE state = 'failed'",
        "name_too_long 0,name_too_long 0,name_too_long 0",
    );
    let reasons = line.sql("SELECT group_concat(reason) FROM inspections WHERE state = 'failed'").unwrap();
    assert!(reasons.contains("its path has 4101 bytes") && reasons.contains("fewer or shorter folders"), "{reasons}");
    assert!(daemon.stop().success());
}

#[test]
fn a_name_in_pieces_is_matched_by_a_pattern_in_whole_letters() {
    let product = |name, pattern: &str| Product { drop: format!("        {pattern}\n"), folder: Some("shared"), ..Product::new(name) };
    let line = Line::new(&[product("glob", "match: '부품_*'"), product("regex", "regex: '^é_[0-9]'")]);
    for name in ["glob", "regex"] {
        line.fill_ok(name, 0..6);
    }
    let daemon = line.start();
    wait_for_banks(&line, 2);
    for name in ["\u{1107}\u{116e}\u{1111}\u{116e}\u{11b7}_1.png", "부품_2.png", "e\u{301}_1.png", "é_2.png"] {
        write_image(&line.path("drop/shared").join(name), Part::ok(1));
    }
    wait_for_done(&line, 4);
    assert_eq!(
        line.sql("SELECT group_concat(product, ' ') FROM (SELECT product FROM inspections ORDER BY product)").unwrap(),
        "glob glob regex regex"
    );
    assert!(daemon.stop().success());
}

#[test]
fn own_outputs_are_never_taken_for_images() {
    let mut disc = Product::new("disc");
    disc.extra = "    outputs: {mask: true, overlay: true, heat: true, side_by_side: true, scores: true}\n".to_owned();
    let line = Line::new(&[disc]);
    line.fill_ok("disc", 0..6);
    let golden = line.path("golden.png");
    write_image(&golden, Part::ok(1));
    let text = std::fs::read_to_string(line.config()).unwrap();
    std::fs::write(line.config(), format!("{text}    reference: {}\n", golden.display())).unwrap();
    // Left by an earlier life of the line, without a history.
    for name in ["old.jpg.mask.png", "old.JPG.overlay.png", "old.tif.heat.png", "old.png.side_by_side.png", ".patchcored-1-old.png"] {
        drop_image(&line, "disc", name);
    }
    let daemon = line.start();
    wait_for_banks(&line, 1);
    for number in 0..5 {
        drop_image(&line, "disc", &format!("{number}.png"));
    }
    wait_for_done(&line, 5);
    for suffix in ["mask.png", "overlay.png", "heat.png", "side_by_side.png", "scores.json"] {
        assert!(line.drop("disc").join(format!("0.png.{suffix}")).exists(), "{suffix}");
    }
    assert!(daemon.stop().success());
    let daemon = line.start();
    drop_image(&line, "disc", "last.png");
    wait_for_done(&line, 6);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "6");
    assert!(daemon.stop().success());
}
