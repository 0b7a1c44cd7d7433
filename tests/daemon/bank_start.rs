//! Every state that a line is started in, with every obstacle that passes: what people and guards decided stays, and "cannot be read
//! now" is never taken for "there is none". The table is in docs/faults.md.

use crate::helper::{Daemon, Line, Mount, Part, Product, WriteLock, arg, run_ok, sql_change, wait_for, write_image};
use std::any::Any;
use std::path::Path;

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Nothing,
    /// The folder above the bank is not mounted.
    FolderMissing,
    /// The share of the bank is not mounted: an empty folder.
    EmptyMountPoint,
    /// The folder cannot be listed (also root is refused: it is no folder).
    FolderUnreadable,
    /// The rows cannot be read (also root is refused: a folder).
    RowsUnreadable,
    TauUnreadable,
    OkMissing,
    OkHalfGone,
    ReadOnly,
    DatabaseLocked,
}

use Obstacle::*;

/// The version in use that lies in the bank folder.
fn version_dir(line: &Line) -> std::path::PathBuf {
    std::fs::canonicalize(line.bank("disc").join("current")).unwrap()
}

/// Puts a folder in the place of the file, until it is lifted.
fn block(file: &Path) -> Box<dyn FnOnce()> {
    let (file, aside) = (file.to_owned(), file.with_extension("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    Box::new(move || {
        std::fs::remove_dir(&file).unwrap();
        std::fs::rename(&aside, &file).unwrap();
    })
}

/// Moves a folder away, until it is lifted; what the daemon may have put there meanwhile is an error.
fn move_away(folder: &Path, leave: fn(&Path)) -> Box<dyn FnOnce()> {
    let (folder, aside) = (folder.to_owned(), folder.with_extension("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    leave(&folder);
    Box::new(move || {
        if folder.is_dir() {
            std::fs::remove_dir(&folder).expect("nothing was written into the empty mount point");
        } else {
            let _ = std::fs::remove_file(&folder);
        }
        std::fs::rename(&aside, &folder).unwrap();
    })
}

impl Obstacle {
    fn put(self, line: &Line) -> Option<Box<dyn FnOnce()>> {
        let (bank, ok) = (line.bank("disc"), line.ok("disc"));
        let keep = |what: Box<dyn Any>| -> Box<dyn FnOnce()> { Box::new(move || drop(what)) };
        Some(match self {
            Nothing => Box::new(|| ()),
            FolderMissing => move_away(&bank, |_| ()),
            EmptyMountPoint => move_away(&bank, |folder| std::fs::create_dir(folder).unwrap()),
            FolderUnreadable => move_away(&bank, |folder| std::fs::write(folder, "no folder").unwrap()),
            RowsUnreadable => block(&version_dir(line).join("memory_bank.pt")),
            TauUnreadable => block(&version_dir(line).join("tau.json")),
            OkMissing => move_away(&ok, |_| ()),
            OkHalfGone => {
                let aside = line.path("ok-aside");
                std::fs::create_dir(&aside).unwrap();
                let mut images: Vec<_> = std::fs::read_dir(&ok).unwrap().map(|entry| entry.unwrap().file_name()).collect();
                images.sort();
                images.truncate(images.len() - 2);
                for name in &images {
                    std::fs::rename(ok.join(name), aside.join(name)).unwrap();
                }
                Box::new(move || {
                    for name in &images {
                        std::fs::rename(aside.join(name), ok.join(name)).unwrap();
                    }
                    std::fs::remove_dir(aside).unwrap();
                })
            }
            ReadOnly => {
                let mount = Mount::bind(&bank, &bank)?;
                mount.remount("bind,ro");
                keep(Box::new(mount))
            }
            DatabaseLocked => keep(Box::new(WriteLock::take(&line.path("history.db")))),
        })
    }

    /// Waits for what is told while it stands; nothing is built meanwhile.
    fn wait_told(self, line: &Line, with_bank: bool) {
        let told = |kind: &str| {
            line.wait_sql(
                &format!(
                    "SELECT count(*) > 0 FROM events WHERE kind = '{kind}' AND rowid > (SELECT max(rowid) FROM events WHERE kind = 'start')"
                ),
                "1",
            )
        };
        match self {
            Nothing | ReadOnly => {}
            FolderMissing | EmptyMountPoint | RowsUnreadable | FolderUnreadable if with_bank => {
                told("bank_changed");
                told("bank_unusable");
            }
            TauUnreadable if with_bank => told("bank_changed"),
            FolderUnreadable | RowsUnreadable | TauUnreadable => told("bank_unusable"),
            FolderMissing | EmptyMountPoint => {}
            OkMissing => told("ok_folder_lost"),
            OkHalfGone => told(if with_bank { "build_failed" } else { "ok_images_too_few" }),
            // Nothing can be recorded; that it was tried is in the log.
            DatabaseLocked => line.wait_for_log("is locked by another program"),
        }
    }
}

fn command(line: &Line, arguments: &[&str]) -> String {
    run_ok(&[arguments, &["--config", arg(&line.config())]].concat())
}

/// All banks, without builds that gave none.
fn banks(line: &Line) -> String {
    line.sql("SELECT ifnull(group_concat(version || ' ' || trigger || ' ' || state, ', '), '') FROM (SELECT * FROM banks WHERE state <> 'failed' ORDER BY id)").unwrap()
}

fn start(line: &Line) -> Daemon {
    let before = line.log().matches("ready").count();
    let daemon = line.start();
    wait_for("the line to be ready", || if line.log().matches("ready").count() > before { Ok(()) } else { Err(line.log()) });
    daemon
}

fn stop(daemon: Daemon) {
    assert!(daemon.stop().success());
}

/// Has an image judged; returns the version that judged it.
fn judged(line: &Line, name: &str) -> String {
    write_image(&line.drop("disc").join(name), Part::ok(1));
    version_of(line, name)
}

fn version_of(line: &Line, name: &str) -> String {
    line.wait_sql(&format!("SELECT state FROM inspections WHERE image_path LIKE '%/{name}'"), "done");
    line.sql(&format!("SELECT version FROM banks WHERE id = (SELECT bank_id FROM inspections WHERE image_path LIKE '%/{name}')")).unwrap()
}

const ALL: [Obstacle; 10] = [
    Nothing,
    FolderMissing,
    EmptyMountPoint,
    FolderUnreadable,
    RowsUnreadable,
    TauUnreadable,
    OkMissing,
    OkHalfGone,
    ReadOnly,
    DatabaseLocked,
];

/// Starts a stopped line, whose bank is `version`, with every obstacle in turn and lifts it; nothing is ever decided anew.
fn starts_all_the_same(line: &Line, version: &str) {
    let expected = banks(line);
    for obstacle in ALL {
        let Some(lift) = obstacle.put(line) else { continue };
        let daemon = start(line);
        let name = format!("{obstacle:?}.png");
        write_image(&line.drop("disc").join(&name), Part::ok(1));
        obstacle.wait_told(line, true);
        if matches!(obstacle, Nothing | TauUnreadable | OkMissing | OkHalfGone | ReadOnly) {
            assert_eq!(version_of(line, &name), version, "{obstacle:?}: it judges meanwhile");
        }
        assert_eq!(banks(line), expected, "{obstacle:?}");
        lift();
        assert_eq!(version_of(line, &name), version, "{obstacle:?}");
        assert_eq!(judged(line, &format!("after-{name}")), version, "{obstacle:?}");
        assert_eq!(banks(line), expected, "{obstacle:?}, lifted");
        stop(daemon);
    }
}

fn with_versions(count: u32) -> (Line, Daemon) {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = start(&line);
    line.wait_for_bank("disc");
    for version in 2..=count {
        line.fill_ok("disc", 4 + version..5 + version);
        line.wait_sql("SELECT version FROM banks WHERE state = 'active'", &version.to_string());
    }
    (line, daemon)
}

#[test]
fn a_bank_in_use_stays_in_use() {
    let (line, daemon) = with_versions(1);
    stop(daemon);
    starts_all_the_same(&line, "1");
    // The link that says which one is in use is made anew.
    std::fs::remove_file(line.bank("disc").join("current")).unwrap();
    let daemon = start(&line);
    assert_eq!(judged(&line, "unlinked.png"), "1");
    assert_eq!(std::fs::read_link(line.bank("disc").join("current")).unwrap(), Path::new("versions/000001"));
    assert_eq!(banks(&line), "1 first active");
    stop(daemon);
}

#[test]
fn a_rollback_stays() {
    let (line, daemon) = with_versions(2);
    command(&line, &["rollback", "disc"]);
    stop(daemon);
    starts_all_the_same(&line, "1");
    assert_eq!(banks(&line), "1 first active, 2 ok_changed rolled_back");
    // A link to what was left does not undo it.
    let current = line.bank("disc").join("current");
    for link in [None, Some("versions/000002")] {
        std::fs::remove_file(&current).unwrap();
        if let Some(target) = link {
            std::os::unix::fs::symlink(target, &current).unwrap();
        }
        let daemon = start(&line);
        assert_eq!(judged(&line, &format!("link{}.png", link.is_some())), "1");
        assert_eq!(banks(&line), "1 first active, 2 ok_changed rolled_back");
        stop(daemon);
    }
}

#[test]
fn a_guard_that_refused_goes_on_refusing() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..8);
    let daemon = start(&line);
    line.wait_for_bank("disc");
    for number in 0..5 {
        std::fs::remove_file(line.ok("disc").join(format!("ok{number:03}.png"))).unwrap();
    }
    line.wait_sql("SELECT reason LIKE '%over half are gone%' FROM banks WHERE state = 'failed'", "1");
    stop(daemon);
    for obstacle in [Nothing, FolderMissing, EmptyMountPoint, FolderUnreadable, RowsUnreadable, TauUnreadable, ReadOnly, DatabaseLocked] {
        let Some(lift) = obstacle.put(&line) else { continue };
        let refused = line.sql("SELECT count(*) FROM banks WHERE state = 'failed'").unwrap();
        let daemon = start(&line);
        write_image(&line.drop("disc").join(format!("{obstacle:?}.png")), Part::ok(1));
        obstacle.wait_told(&line, true);
        lift();
        assert_eq!(version_of(&line, &format!("{obstacle:?}.png")), "1", "{obstacle:?}");
        line.wait_sql(
            &format!("SELECT count(*) > {refused} FROM banks WHERE state = 'failed' AND reason LIKE '%over half are gone%'"),
            "1",
        );
        assert_eq!(banks(&line), "1 first active", "{obstacle:?}");
        stop(daemon);
    }
    // Somebody says that they are gone for good.
    let daemon = start(&line);
    command(&line, &["rebuild", "disc", "--anew"]);
    assert_eq!(banks(&line), "1 first superseded, 2 requested active");
    stop(daemon);
}

#[test]
fn a_request_that_is_pending_is_done_when_the_obstacle_has_passed() {
    for (obstacle, request) in [
        (EmptyMountPoint, "rollback"),
        (FolderMissing, "rebuild"),
        (FolderUnreadable, "rollback"),
        (RowsUnreadable, "rollback"),
        (DatabaseLocked, "rollback"),
    ] {
        let (line, daemon) = with_versions(2);
        stop(daemon);
        let version = if request == "rollback" { "1" } else { "NULL" };
        let ask = "INSERT INTO requests (at, kind, product, version, state) VALUES (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
        sql_change(&line.path("history.db"), &format!("{ask}, '{request}', 'disc', {version}, 'pending')"));
        let lift = obstacle.put(&line).unwrap();
        let daemon = start(&line);
        if obstacle != RowsUnreadable {
            write_image(&line.drop("disc").join("waits.png"), Part::ok(1));
            obstacle.wait_told(&line, true);
            assert_eq!(line.sql("SELECT state FROM requests").unwrap(), "pending", "{obstacle:?}");
        }
        lift();
        line.wait_sql("SELECT state FROM requests", "done");
        let expected = if request == "rollback" {
            "1 first active, 2 ok_changed rolled_back"
        } else {
            "1 first superseded, 2 ok_changed superseded, 3 requested active"
        };
        assert_eq!(banks(&line), expected, "{obstacle:?}");
        stop(daemon);
    }
}

#[test]
fn a_first_bank_is_built_when_it_is_known_that_there_is_none() {
    for obstacle in [Nothing, FolderUnreadable, OkMissing, DatabaseLocked] {
        let line = Line::new(&[Product::new("disc")]);
        stop(start(&line));
        std::fs::create_dir_all(line.bank("disc")).unwrap();
        line.fill_ok("disc", 0..6);
        let lift = obstacle.put(&line).unwrap();
        let daemon = start(&line);
        obstacle.wait_told(&line, false);
        if obstacle != Nothing {
            assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "0", "{obstacle:?}");
        }
        lift();
        assert_eq!(judged(&line, "a.png"), "1");
        assert_eq!(banks(&line), "1 first active", "{obstacle:?}");
        stop(daemon);
    }
}

/// A new database, as when the old one was lost: the folder alone knows.
#[test]
fn a_bank_that_the_history_does_not_know_is_waited_for() {
    let (line, daemon) = with_versions(1);
    stop(daemon);
    let forget = |line: &Line| {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(line.path(&format!("history.db{suffix}")));
        }
    };
    for obstacle in [Nothing, FolderUnreadable, RowsUnreadable, TauUnreadable, OkMissing, ReadOnly] {
        forget(&line);
        let Some(lift) = obstacle.put(&line) else { continue };
        let daemon = start(&line);
        obstacle.wait_told(&line, false);
        lift();
        assert_eq!(judged(&line, &format!("{obstacle:?}.png")), "1");
        assert_eq!(banks(&line), "1 found active", "{obstacle:?}");
        stop(daemon);
    }
    // A link to nowhere tells that there was one.
    forget(&line);
    let (versions, aside) = (line.bank("disc").join("versions"), line.path("versions-aside"));
    std::fs::rename(&versions, &aside).unwrap();
    let daemon = start(&line);
    FolderUnreadable.wait_told(&line, false);
    assert_eq!(banks(&line), "");
    std::fs::rename(&aside, &versions).unwrap();
    assert_eq!(judged(&line, "linked.png"), "1");
    assert_eq!(banks(&line), "1 found active");
    stop(daemon);
}

#[test]
fn a_plain_bank_is_imported_when_all_of_it_can_be_read() {
    let (line, daemon) = with_versions(1);
    stop(daemon);
    let plain = line.path("plain");
    std::fs::rename(version_dir(&line), &plain).unwrap();
    for obstacle in [Nothing, TauUnreadable, DatabaseLocked] {
        let _ = std::fs::remove_dir_all(line.bank("disc"));
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(line.path(&format!("history.db{suffix}")));
        }
        std::fs::rename(line.ok("disc"), line.path("ok-aside")).unwrap();
        stop(start(&line));
        std::fs::rename(line.path("ok-aside"), line.ok("disc")).unwrap();
        let _ = std::fs::remove_dir_all(line.bank("disc"));
        std::fs::create_dir_all(line.bank("disc")).unwrap();
        for name in ["memory_bank.pt", "bank_config.json", "tau.json"] {
            std::fs::copy(plain.join(name), line.bank("disc").join(name)).unwrap();
        }
        let lift = match obstacle {
            TauUnreadable => block(&line.bank("disc").join("tau.json")),
            other => other.put(&line).unwrap(),
        };
        let daemon = start(&line);
        obstacle.wait_told(&line, false);
        if obstacle != Nothing {
            assert_eq!(banks(&line), "", "{obstacle:?}");
        }
        lift();
        assert_eq!(judged(&line, &format!("{obstacle:?}.png")), "1");
        // With the database locked it was taken over already, and is found.
        assert!(["1 imported active", "1 found active"].contains(&banks(&line).as_str()), "{obstacle:?}: {}", banks(&line));
        stop(daemon);
    }
}
