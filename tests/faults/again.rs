//! The file of a part that is known is touched, moved or copied: what is the same arrival, and what is new.

use super::{disc_line, drop_image, set_rescan, wait_for_banks, wait_for_done};
use crate::helper::{Daemon, Line, Mount, Part, Product, arg, image_bytes, script, sql_change, write_image};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A line that acts on defects.
fn acting_line() -> Line {
    let line = disc_line();
    let program = script(&line, "reject", "echo $PATCHCORED_INSPECTION_ID >>\"$OUT/runs\"");
    line.configure_also(&format!("    on_ng: {{command: [{}], max_age: 24h}}\n", arg(&program)));
    line
}

/// One part with a defect, inspected and acted on.
fn decided() -> (Line, Daemon, PathBuf) {
    let line = acting_line();
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let image = line.drop("disc").join("part.png");
    write_image(&image, Part::ng(1));
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "1");
    (line, daemon, image)
}

/// Sets the time of writing as an FTP server does, so many seconds from now, and tells no one.
fn set_time(image: &Path, seconds: i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let time = Timespec { tv_sec: now + seconds, tv_nsec: 0 };
    utimensat(CWD, image, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty()).unwrap();
}

/// Waits until the file of the first image was found so many times more, the last time here.
fn wait_for_sightings(line: &Line, count: u32, at: &Path) {
    let last = "SELECT count(*) || ' ' || ifnull((SELECT image_path FROM sightings ORDER BY id DESC LIMIT 1), '-') FROM sightings";
    line.wait_sql(last, &format!("{count} {}", at.display()));
}

/// One row and one stroke, whatever happened.
fn assert_one_part(line: &Line) {
    assert_eq!(line.sql("SELECT group_concat(id || ' ' || state) FROM inspections").unwrap(), "1 done", "{}", line.log());
    assert_eq!(std::fs::read_to_string(line.path("out/runs")).unwrap(), "1\n");
    assert_eq!(line.sql("SELECT count(*) FROM actions").unwrap(), "1");
}

#[test]
fn a_part_whose_time_is_set_that_is_moved_and_copied_over_itself_is_inspected_once() {
    let (line, daemon, image) = decided();
    // Before, and after; whoever opens the file to do it closes it as well.
    set_time(&image, -3 * 3600);
    wait_for_sightings(&line, 1, &image);
    set_time(&image, -2 * 3600);
    wait_for_sightings(&line, 2, &image);
    std::fs::File::options().write(true).open(&image).unwrap().set_modified(SystemTime::now()).unwrap();
    wait_for_sightings(&line, 3, &image);
    // Sent once more, in the place of the first.
    let bytes = std::fs::read(&image).unwrap();
    std::fs::write(&image, &bytes).unwrap();
    wait_for_sightings(&line, 4, &image);
    let moved = line.drop("disc").join("2026/part-1.png");
    std::fs::create_dir(moved.parent().unwrap()).unwrap();
    // By its inode alone, which counts while the time is not later than the one that was decided.
    set_time(&image, -3600);
    wait_for_sightings(&line, 5, &image);
    std::fs::rename(&image, &moved).unwrap();
    wait_for_sightings(&line, 6, &moved);
    let linked = line.drop("disc").join("linked.png");
    std::fs::hard_link(&moved, &linked).unwrap();
    wait_for_sightings(&line, 7, &linked);
    std::fs::remove_file(&linked).unwrap();
    set_time(&moved, -1800);
    wait_for_sightings(&line, 8, &moved);
    assert!(daemon.stop().success());
    // While nobody looked.
    set_time(&moved, -900);
    let daemon = line.start();
    wait_for_sightings(&line, 9, &moved);
    assert_one_part(&line);
    assert!(daemon.stop().success());
}

#[test]
fn what_is_new_is_inspected() {
    let (line, daemon, image) = decided();
    let done = |count: u32| wait_for_done(&line, count);
    // Another part under the same name, of the same size or not, as of cameras that always write one; and the first one again.
    for (name, format) in [("cam.bmp", image::ImageFormat::Bmp), ("cam.png", image::ImageFormat::Png)] {
        for (count, part) in [Part::ng(1), Part::ng(2), Part::ng(1)].into_iter().enumerate() {
            std::fs::write(line.drop("disc").join(name), image_bytes(part, format)).unwrap();
            let rows = format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%/{name}'");
            line.wait_sql(&rows, &(count + 1).to_string());
        }
    }
    done(7);
    // A copy is another file.
    std::fs::copy(&image, line.drop("disc").join("copy.png")).unwrap();
    done(8);
    // The same bytes under the same name, long after.
    sql_change(&line.path("history.db"), "UPDATE inspections SET decided_at = '2026-01-01T00:00:00.000Z'");
    write_image(&image, Part::ng(1));
    done(9);
    assert_eq!(line.sql("SELECT count(*) FROM sightings").unwrap(), "0");
    // But moved, however long after.
    sql_change(&line.path("history.db"), "UPDATE inspections SET decided_at = '2026-01-01T00:00:00.000Z'");
    let moved = line.drop("disc").join("moved.png");
    std::fs::rename(&image, &moved).unwrap();
    wait_for_sightings(&line, 1, &moved);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "9");
    assert!(daemon.stop().success());
}

#[test]
fn another_product_inspects_what_is_moved_into_its_folder() {
    let line = Line::new(&[Product::new("front"), Product::new("back")]);
    for product in ["front", "back"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    wait_for_banks(&line, 2);
    drop_image(&line, "front", "a.png");
    wait_for_done(&line, 1);
    std::fs::rename(line.drop("front").join("a.png"), line.drop("back").join("a.png")).unwrap();
    wait_for_done(&line, 2);
    assert_eq!(line.sql("SELECT group_concat(product, ' ' ORDER BY id) FROM inspections").unwrap(), "front back");
    // And back under another name: the first has inspected it.
    let back = line.drop("front").join("b.png");
    std::fs::rename(line.drop("back").join("a.png"), &back).unwrap();
    wait_for_sightings(&line, 1, &back);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "2");
    assert!(daemon.stop().success());
}

#[test]
fn a_part_that_is_renamed_or_touched_while_it_waits_keeps_its_row() {
    let line = Line::new(&[Product::new("disc")]);
    let daemon = line.start();
    let names = ["a.png", "b.png"].map(|name| line.drop("disc").join(name));
    write_image(&names[0], Part::ok(1));
    let waits = |at: &Path| {
        line.wait_sql(
            "SELECT group_concat(id || ' ' || state || ' ' || image_path) FROM inspections",
            &format!("1 pending {}", at.display()),
        )
    };
    waits(&names[0]);
    std::fs::rename(&names[0], &names[1]).unwrap();
    waits(&names[1]);
    set_time(&names[1], -3600);
    let time = || line.sql("SELECT mtime_ns / 1000000000 < unixepoch() - 3000 FROM inspections");
    crate::helper::wait_for("the time in the row", || if time()? == "1" { Ok(()) } else { Err("the first one".to_owned()) });
    line.fill_ok("disc", 0..6);
    wait_for_done(&line, 1);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "1");
    assert!(line.drop("disc").join("b.png.mask.png").exists());
    assert!(daemon.stop().success());
}

#[test]
fn two_names_of_one_file_that_come_at_once_are_decided_once() {
    let line = acting_line();
    write_image(&line.drop("disc").join("a.png"), Part::ng(1));
    std::fs::hard_link(line.drop("disc").join("a.png"), line.drop("disc").join("b.png")).unwrap();
    let daemon = line.start();
    line.wait_sql(
        "SELECT group_concat(state || ifnull(' ' || reason_code, ''), ', ' ORDER BY state) FROM inspections",
        "done, failed duplicate",
    );
    line.wait_sql("SELECT group_concat(state) FROM actions", "done");
    assert!(daemon.stop().success());
}

#[test]
fn a_share_that_hangs_while_its_files_are_compared_holds_up_nobody_else() {
    let line = Line::new(&[Product::new("local"), Product::new("remote")]);
    for product in ["local", "remote"] {
        line.fill_ok(product, 0..6);
    }
    let Some(share) = Mount::share(&line.path("far"), &line.drop("remote")) else { return };
    let daemon = line.start();
    wait_for_banks(&line, 2);
    drop_image(&line, "remote", "a.png");
    wait_for_done(&line, 1);
    set_time(&line.path("far/a.png"), -3600);
    share.freeze();
    for number in 0..3 {
        drop_image(&line, "local", &format!("{number}.png"));
        wait_for_done(&line, 2 + number);
    }
    share.thaw();
    wait_for_sightings(&line, 1, &line.drop("remote").join("a.png"));
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "4");
    assert!(daemon.stop().success());
}

#[test]
fn retention_deletes_an_image_where_it_was_moved_to() {
    let (line, daemon, image) = decided();
    set_time(&image, -3600);
    wait_for_sightings(&line, 1, &image);
    let moved = line.drop("disc").join("moved.png");
    std::fs::rename(&image, &moved).unwrap();
    wait_for_sightings(&line, 2, &moved);
    assert!(daemon.stop().success());
    sql_change(&line.path("history.db"), "UPDATE inspections SET decided_at = '2026-01-01T00:00:00.000Z'");
    line.configure_also("    retention: {ng_outputs: 14d, ng_images: 14d}\n");
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE image_deleted_at IS NOT NULL AND outputs_deleted_at IS NOT NULL", "1");
    assert_eq!(std::fs::read_dir(line.drop("disc")).unwrap().count(), 0);
    assert!(daemon.stop().success());
}

/// Then a file that is written again has another time.
const ANOTHER_MTIME: Duration = Duration::from_millis(20);

#[test]
fn a_frozen_camera_that_writes_one_name_is_told_of_all_the_same() {
    let mut disc = Product::new("disc");
    disc.extra = "    health: {frozen: 4}\n".to_owned();
    let line = Line::new(&[disc]);
    line.fill_ok("disc", 0..6);
    set_rescan(&line, "1h");
    let daemon = line.start();
    wait_for_banks(&line, 1);
    let cam = line.drop("disc").join("cam.png");
    write_image(&cam, Part::ok(1));
    wait_for_done(&line, 1);
    for count in 1..=3 {
        std::thread::sleep(ANOTHER_MTIME);
        write_image(&cam, Part::ok(1));
        wait_for_sightings(&line, count, &cam);
    }
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'camera_frozen'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "1");
    assert!(daemon.stop().success());
}
