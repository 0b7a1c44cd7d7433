//! What people and other programs do to the database file while the line runs, and before it starts.

use crate::helper::{Daemon, Line, Mount, Part, Product, WriteLock, arg, old_database, sql_change, sql_value, wait_for, write_image};
use rustix::process::Signal;
use std::path::{Path, PathBuf};

/// A line with its database in the folder `db`, that has decided three images.
fn line_with_images() -> (Line, Daemon) {
    let line = Line::new(&[Product::new("disc")]);
    line.database_in("db");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..3 {
        write_image(&line.drop("disc").join(format!("{number}.png")), Part::ok(number));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "3");
    (line, daemon)
}

fn ends_for(line: &Line, mut daemon: Daemon, act: &str) {
    assert_eq!(daemon.wait().code(), Some(1), "{act}: {}", line.log());
    let log = line.log();
    assert!(log.contains("error[database_moved]: history database: "), "{act}: {log}");
}

fn start_and_stop_again(line: &Line) {
    std::fs::write(line.path("log"), "").unwrap();
    assert!(line.start_and_stop(), "{}", line.log());
}

fn images(database: &Path) -> String {
    sql_value(database, "SELECT count(*) FROM inspections WHERE state = 'done'").unwrap()
}

/// The images are decided anew or known, and the history says what became of it.
fn starts_and_says(line: &Line, told: &str) {
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "3");
    line.wait_sql(&format!("SELECT detail LIKE '%{told}%' FROM events WHERE kind = 'database_replaced'"), "1");
    assert!(daemon.stop().success());
    // Told once.
    start_and_stop_again(line);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'database_replaced'").unwrap(), "1");
}

#[test]
fn a_database_that_is_renamed_ends_the_daemon_and_keeps_every_row() {
    let (line, daemon) = line_with_images();
    let old = line.path("db/history.db.old");
    std::fs::rename(line.path("db/history.db"), &old).unwrap();
    ends_for(&line, daemon, "renamed");
    assert!(line.log().contains("the file that was open is now "), "{}", line.log());
    assert_eq!(images(&old), "3", "its rows are not left in a log that nobody reads");
    starts_and_says(&line, "which went at least to inspection 3 of %this one ends with no image");
}

#[test]
fn a_database_that_is_removed_or_replaced_ends_the_daemon() {
    let (line, daemon) = line_with_images();
    std::fs::remove_file(line.path("db/history.db")).unwrap();
    ends_for(&line, daemon, "removed");
    starts_and_says(&line, "this one ends with no image");

    let (line, daemon) = line_with_images();
    let copy = line.path("db/copy");
    sql_change(&line.path("db/history.db"), &format!("VACUUM INTO '{}'", arg(&copy)));
    write_image(&line.drop("disc").join("3.png"), Part::ok(3));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "4");
    std::fs::remove_file(line.drop("disc").join("3.png")).unwrap();
    std::fs::rename(&copy, line.path("db/history.db")).unwrap();
    ends_for(&line, daemon, "replaced by an older copy");
    starts_and_says(&line, "which went at least to inspection 4 of %this one ends with inspection 3 of ");
}

#[test]
fn a_log_that_is_removed_ends_the_daemon_and_its_rows_are_kept() {
    for suffix in ["-wal", "-shm"] {
        let (line, daemon) = line_with_images();
        std::fs::remove_file(line.path(&format!("db/history.db{suffix}"))).unwrap();
        ends_for(&line, daemon, suffix);
        assert_eq!(images(&line.path("db/history.db")), "3", "{suffix}");
        start_and_stop_again(&line);
        assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'database_replaced'").unwrap(), "0", "{suffix}: nothing is missing");
    }
}

#[test]
fn a_folder_that_is_renamed_or_covered_ends_the_daemon() {
    let (line, daemon) = line_with_images();
    std::fs::rename(line.path("db"), line.path("db-old")).unwrap();
    ends_for(&line, daemon, "folder renamed");
    assert_eq!(images(&line.path("db-old/history.db")), "3");

    let (line, daemon) = line_with_images();
    let Some(disk) = Mount::tmpfs(&line.path("db"), "4m") else { return };
    ends_for(&line, daemon, "another disk mounted over it");
    drop(disk);
    assert_eq!(images(&line.path("db/history.db")), "3");
}

fn kept_log(line: &Line) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(line.path("db")).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("history.db-wal.kept-"))
}

#[test]
fn the_log_of_a_database_that_was_moved_is_kept_and_can_be_put_back() {
    let (line, daemon) = line_with_images();
    daemon.kill();
    let old = line.path("db/history.db.old");
    std::fs::rename(line.path("db/history.db"), &old).unwrap();
    starts_and_says(&line, "-wal.kept-%holds the newest rows of the database that was here");
    let log = kept_log(&line).expect("a log that was kept");
    std::fs::rename(log, line.path("db/history.db.old-wal")).unwrap();
    assert_eq!(images(&old), "3");

    // An older copy in its place: the rows of the log are not mixed into it.
    let (line, daemon) = line_with_images();
    let copy = line.path("db/copy");
    sql_change(&line.path("db/history.db"), &format!("VACUUM INTO '{}'", arg(&copy)));
    write_image(&line.drop("disc").join("3.png"), Part::ok(3));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "4");
    daemon.kill();
    std::fs::remove_file(line.drop("disc").join("3.png")).unwrap();
    std::fs::rename(&copy, line.path("db/history.db")).unwrap();
    starts_and_says(&line, "this one ends with inspection 3 of ");
    assert!(kept_log(&line).is_some());
    assert_eq!(line.sql("SELECT * FROM pragma_quick_check").unwrap(), "ok");
}

#[test]
fn a_copy_that_has_every_row_is_taken_as_the_same_history() {
    let (line, daemon) = line_with_images();
    assert!(daemon.stop().success());
    let copy = line.path("db/copy");
    std::fs::copy(line.path("db/history.db"), &copy).unwrap();
    std::fs::rename(&copy, line.path("db/history.db")).unwrap();
    start_and_stop_again(&line);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'database_replaced'").unwrap(), "0");
    assert!(kept_log(&line).is_none());
}

#[test]
fn a_start_waits_for_a_database_that_is_locked_and_can_be_stopped_meanwhile() {
    let line = Line::new(&[Product::new("disc")]);
    // Of an earlier release, so that there is much to write.
    old_database(&line.path("history.db"), 1);
    let lock = WriteLock::take(&line.path("history.db"));
    let daemon = line.start();
    line.wait_for_log("the start waits for the database");
    assert!(daemon.stop().success(), "{}", line.log());
    assert!(line.log().contains("stopped before the line was started"), "{}", line.log());

    let mut daemon = line.start();
    wait_for("the second start to wait", || match line.log().matches("the start waits for the database").count() {
        2.. => Ok(()),
        _ => Err(line.log()),
    });
    daemon.signal(Signal::USR1);
    line.wait_for_log("the line is being started");
    drop(lock);
    line.wait_for_log("ready products=1");
    assert_eq!(line.sql("SELECT detail FROM events WHERE kind = 'old'").unwrap(), "kept");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());
}

#[test]
fn a_running_line_waits_for_a_database_that_is_locked_and_goes_on() {
    let (line, daemon) = line_with_images();
    let lock = WriteLock::take(&line.path("db/history.db"));
    for number in 3..6 {
        write_image(&line.drop("disc").join(format!("{number}.png")), Part::ok(number));
    }
    line.wait_for_log("is locked by another program");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
    drop(lock);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "6");
    assert!(daemon.stop().success());
}
