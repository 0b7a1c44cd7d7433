//! Disks that are full, read-only or broken: nothing accepted is lost, and what can go on goes on by itself.

use crate::helper::{Line, Mount, Part, Product, fill, wait_for, write_image};
use rustix::process::Signal;

const NO_OUTPUTS: &str = "    outputs: {mask: false, overlay: false}\n";

fn drop_images(line: &Line, range: std::ops::Range<u32>) {
    for number in range {
        // Long names take the space of the database sooner.
        write_image(&line.drop("disc").join(format!("{number:0200}.png")), Part::ok(number));
    }
}

#[test]
fn a_full_database_disk_pauses_the_line_and_loses_nothing() {
    let line = Line::new(&[Product { extra: NO_OUTPUTS.to_owned(), ..Product::new("disc") }]);
    line.database_in("db");
    let Some(_disk) = Mount::tmpfs(&line.path("db"), "8m") else { return };
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    drop_images(&line, 0..3);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "3");
    let ballast = fill(&line.path("db"));
    // Recorded in the free part of the write-ahead log until that is full, too.
    drop_images(&line, 3..600);
    line.wait_for_log("the disk of the database is full");
    daemon.signal(Signal::USR1);
    line.wait_for_log("intake pauses: the disk of the database is full");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind LIKE 'disk_full%'").unwrap(), "0");
    std::fs::remove_file(ballast).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "600");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'disk_full_over'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'disk_full'").unwrap(), "1");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "600");
    assert_eq!(line.sql("SELECT * FROM pragma_quick_check").unwrap(), "ok");
    assert!(daemon.stop().success());
}

#[test]
fn a_database_disk_that_fails_ends_the_daemon_with_the_reason() {
    let line = Line::new(&[Product { extra: NO_OUTPUTS.to_owned(), ..Product::new("disc") }]);
    line.database_in("db");
    let Some(_below) = Mount::tmpfs(&line.path("below"), "6m") else { return };
    let Some(_disk) = Mount::ext4_in(&line.path("below/disk.img"), &line.path("db")) else { return };
    line.fill_ok("disc", 0..6);
    let mut daemon = line.start();
    line.wait_for_bank("disc");
    // The disk has blocks that it cannot store any more: writes to it fail as on a broken one.
    fill(&line.path("below"));
    drop_images(&line, 0..600);
    assert_eq!(daemon.wait().code(), Some(1), "{}", line.log());
    let log = line.log();
    assert!(
        log.contains("error[database_io]: history database: ") && log.contains("check the disk, the mount and the kernel log"),
        "{log}"
    );
}

#[test]
fn a_read_only_database_does_not_start() {
    let line = Line::new(&[Product::new("disc")]);
    line.database_in("db");
    let Some(disk) = Mount::tmpfs(&line.path("db"), "4m") else { return };
    assert!(line.start_and_stop());
    disk.remount("ro");
    let mut daemon = line.start();
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(line.log().contains("error[database_read_only]: history database: "), "{}", line.log());
}

#[test]
fn outputs_wait_for_space_and_for_a_writable_disk() {
    let out = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::tmpfs(out.path(), "1m") else { return };
    let line = Line::new(&[Product { extra: format!("    outputs: {{dir: {}}}\n", out.path().display()), ..Product::new("disc") }]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let outputs = out.path().join(line.drop("disc").strip_prefix("/").unwrap());
    let written = || std::fs::read_dir(&outputs).map_or(0, Iterator::count);

    let ballast = fill(out.path());
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT reason LIKE '%No space left%' AND state = 'pending' FROM inspections", "1");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'disk_full'", "1");
    assert_eq!(written(), 0, "nothing half written is left, under whatever name");
    std::fs::remove_file(ballast).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'disk_full_over'", "1");
    assert_eq!(written(), 2);

    wait_for("the outputs to be at rest", || if written() == 2 { Ok(()) } else { Err(written().to_string()) });
    disk.remount("ro");
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT reason LIKE '%Read-only file system%' FROM inspections WHERE state = 'pending'", "1");
    disk.remount("rw");
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    line.wait_sql(
        "SELECT group_concat(kind) FROM (SELECT kind FROM events WHERE kind LIKE 'not_writable%' ORDER BY at, kind)",
        "not_writable,not_writable_over",
    );
    assert_eq!(written(), 4);
    assert!(daemon.stop().success());
}
