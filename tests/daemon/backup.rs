//! `patchcored backup` beside a running daemon, and `patchcored restore` on an empty machine and over a line that is there.

use crate::helper::{
    Daemon, Line, Mount, Part, Product, arg, patchcored, run, run_fails, run_ok, sql_change, sql_value, wait_for, write_image,
};
use patchcored::platform::crash_point::VARIABLE;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A line with a bank, and three decided images; its daemon; a folder for backups.
fn line_with_history(product: Product) -> (Line, Daemon, PathBuf) {
    let line = Line::new(&[product]);
    line.fill_ok("disc", 0..4);
    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..3 {
        decide(&line, &format!("first{number}.png"));
    }
    let place = line.path("backups");
    std::fs::create_dir(&place).unwrap();
    (line, daemon, place)
}

/// Has an image decided; returns the version that decided it.
fn decide(line: &Line, name: &str) -> String {
    write_image(&line.drop("disc").join(name), Part::ok(1));
    line.wait_sql(&format!("SELECT state FROM inspections WHERE image_path LIKE '%/{name}'"), "done");
    line.sql(&format!("SELECT version FROM banks WHERE id = (SELECT bank_id FROM inspections WHERE image_path LIKE '%/{name}')")).unwrap()
}

fn backup(line: &Line, place: &Path) -> String {
    run_ok(&["backup", arg(place), "--config", arg(&line.config())])
}

fn restore(line: &Line, backup: &Path, more: &[&str]) -> String {
    run_ok(&[&["restore", arg(backup), "--config", arg(&line.config())], more].concat())
}

fn restore_fails(line: &Line, backup: &Path, more: &[&str]) -> String {
    run_fails(1, &[&["restore", arg(backup), "--config", arg(&line.config())], more].concat())
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The one backup in the folder.
fn the_backup(place: &Path) -> PathBuf {
    let names = names(place);
    assert_eq!(names.len(), 1, "{names:?}");
    let history = place.join(&names[0]).join("history.db");
    assert!(!history.exists() || std::fs::metadata(&history).unwrap().permissions().mode() & 0o777 == 0o640);
    place.join(&names[0])
}

/// What a lost disk takes: everything but the images.
fn lose_all(line: &Line) {
    for name in names(&line.path("")) {
        if name.starts_with("history.db") || name == "config.yaml" {
            std::fs::remove_file(line.path(&name)).unwrap();
        }
    }
    std::fs::remove_dir_all(line.bank("disc")).unwrap();
}

/// Every file and link below the folder with its content, for comparisons; but no lock, which has the number of the last process.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                found.push((path.clone(), std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
            } else if path.extension().is_none_or(|extension| extension != "lock") {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn manifest(backup: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_lost_machine_goes_on_with_its_history_and_builds_no_bank() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    let said = backup(&line, &place);
    let saved = the_backup(&place);
    assert!(said.starts_with("saved ") && said.contains(arg(&saved)), "{said}");
    assert!(said.contains("  disc: bank version 1, ") && said.contains("  disc: the list of its 4 OK images; "), "{said}");
    assert_eq!(names(&saved), ["banks", "config.yaml", "history.db", "manifest.json", "ok-images"]);
    assert_eq!(std::fs::read(saved.join("config.yaml")).unwrap(), std::fs::read(line.config()).unwrap());
    let paths: Vec<String> =
        manifest(&saved)["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect();
    let bank = ["banks/disc/memory_bank.pt", "banks/disc/bank_config.json", "banks/disc/tau.json"];
    assert_eq!(paths, [&["history.db", "config.yaml"], &bank[..], &["ok-images/disc.json"]].concat());
    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(saved.join("ok-images/disc.json")).unwrap()).unwrap();
    assert_eq!(list["images"][3]["path"], "ok003.png");
    let count = "SELECT count(*) || ' ' || sum(state = 'done') FROM inspections";
    assert_eq!(sql_value(&saved.join("history.db"), count).unwrap(), "3 3");

    // The daemon went on meanwhile, and what it decides now is not in the backup.
    decide(&line, "later.png");
    assert!(daemon.stop().success());
    lose_all(&line);
    for image in names(&line.drop("disc")) {
        std::fs::remove_file(line.drop("disc").join(image)).unwrap();
    }
    let said = restore(&line, &saved, &[]);
    assert!(said.starts_with("restored the backup of ") && said.contains("  disc: bank version 1\n"), "{said}");
    assert!(said.contains("  disc: its ok folder is as it was\n") && !said.contains("what was there"), "{said}");
    assert_eq!(std::fs::read_link(line.bank("disc").join("current")).unwrap(), Path::new("versions/000001"));
    let before = content(&line.path(""));
    assert!(restore(&line, &saved, &[]).contains("which was there already"));
    assert!(content(&line.path("")) == before, "done again, it changes nothing");

    let daemon = line.start();
    for number in 0..4 {
        assert_eq!(decide(&line, &format!("again{number}.png")), "1");
    }
    assert_eq!(line.sql(count).unwrap(), "7 7");
    assert_eq!(line.sql("SELECT group_concat(version || ' ' || state || ' ' || trigger) FROM banks").unwrap(), "1 active first");
    let trouble = "SELECT count(*) FROM events WHERE level <> 'info' AND at >= (SELECT max(at) FROM events WHERE kind = 'start')";
    assert_eq!(line.sql(trouble).unwrap(), "0", "{}", line.log());
    // It is the line that it was: another OK image makes a new bank.
    line.fill_ok("disc", 4..5);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    assert!(daemon.stop().success());
}

#[test]
fn a_line_that_is_there_is_replaced_only_on_request_and_kept() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    backup(&line, &place);
    let saved = the_backup(&place);
    let told = restore_fails(&line, &saved, &[]);
    assert!(told.starts_with("error[database_in_use]: ") && told.contains(&format!("process {}", daemon.pid())), "{told}");
    assert!(restore_fails(&line, &saved, &["--replace"]).starts_with("error[database_in_use]: "));

    line.fill_ok("disc", 4..5);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    decide(&line, "later.png");
    // With rows in the log.
    daemon.kill();
    let before = content(&line.path(""));
    let told = restore_fails(&line, &saved, &[]);
    assert!(told.starts_with("error[restore_in_the_way]: nothing was changed") && told.contains("--replace"), "{told}");
    assert!(told.contains("history.db: a history of") && told.contains("bank version 2 is in use there"), "{told}");
    assert!(content(&line.path("")) == before);

    line.change_config("rescan: 1s", "rescan: 2s");
    let said = restore(&line, &saved, &["--replace"]);
    assert!(said.contains("config.yaml stays; the backup has another one") && said.contains("what was there is now "), "{said}");
    assert!(said.contains("its ok folder is not as it was: 0 images are missing, 0 changed, 1 added; "), "{said}");
    let aside = said.lines().find_map(|line| line.trim().strip_prefix("what was there is now ")).unwrap();
    assert_eq!(sql_value(Path::new(aside), "SELECT count(*) FROM inspections").unwrap(), "4", "with the newest rows");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3");
    assert_eq!(names(&line.bank("disc").join("versions")), ["000001", "000002"]);

    // Back and forth, the other way.
    std::fs::remove_file(line.ok("disc").join("ok004.png")).unwrap();
    let daemon = line.start();
    // What is still in the drop folder and not in the history is inspected again.
    line.wait_sql("SELECT count(*) || ' ' || sum(state = 'done') FROM inspections", "4 4");
    assert_eq!(decide(&line, "again.png"), "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_bank_of_the_same_number_and_a_plain_bank_are_kept_under_other_names() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    backup(&line, &place);
    let saved = the_backup(&place);
    assert!(daemon.stop().success());
    let bank = line.bank("disc");
    std::fs::write(bank.join("versions/000001/tau.json"), "of another line").unwrap();
    std::fs::remove_file(bank.join("tau.json")).unwrap();
    std::fs::write(bank.join("tau.json"), "by hand").unwrap();
    let told = restore_fails(&line, &saved, &[]);
    assert!(told.contains("parts of a bank lie there that belong to no version"), "{told}");
    restore(&line, &saved, &["--replace"]);
    let kept = |folder: &Path, start: &str| {
        let name = names(folder).into_iter().find(|name| name.starts_with(start)).unwrap();
        folder.join(name)
    };
    assert_eq!(std::fs::read_to_string(kept(&bank, "tau.json.replaced-")).unwrap(), "by hand");
    let version = kept(&bank.join("versions"), "000001.replaced-");
    assert_eq!(std::fs::read_to_string(version.join("tau.json")).unwrap(), "of another line");
    assert_eq!(std::fs::read(bank.join("tau.json")).unwrap(), std::fs::read(saved.join("banks/disc/tau.json")).unwrap());
    let daemon = line.start();
    assert_eq!(decide(&line, "again.png"), "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_backup_that_changed_is_not_restored_and_mistakes_are_told() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    backup(&line, &place);
    let saved = the_backup(&place);
    assert!(daemon.stop().success());
    let told = restore_fails(&line, &place, &[]);
    assert!(told.starts_with("error[not_a_backup]: ") && told.contains(&format!("the newest is {}", arg(&saved))), "{told}");
    let told = restore_fails(&line, &line.ok("disc"), &[]);
    assert!(told.starts_with("error[not_a_backup]: ") && told.contains("manifest.json"), "{told}");
    assert!(restore_fails(&line, &line.path("nowhere"), &[]).starts_with("error[file_not_read]: "));

    let before = content(&line.path("disc"));
    for name in ["history.db", "config.yaml", "banks/disc/memory_bank.pt", "banks/disc/tau.json", "ok-images/disc.json", "manifest.json"] {
        let file = saved.join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for (bytes, what) in [(flipped.as_slice(), "flipped"), (&whole[..middle], "cut")] {
            std::fs::write(&file, bytes).unwrap();
            // A manifest says what is saved; if its own text changes, some file or the manifest does not fit.
            let output = run(&["restore", arg(&saved), "--config", arg(&line.config()), "--replace"]);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            if name != "manifest.json" || what == "cut" {
                assert!(told.starts_with("error[backup_damaged]: ") && told.contains(arg(&file)), "{name} {what}: {told}");
                assert_eq!(output.status.code(), Some(1));
                assert!(content(&line.path("disc")) == before, "{name} {what}");
            }
        }
        std::fs::remove_file(&file).unwrap();
        let expected = if name == "manifest.json" { "error[not_a_backup]: " } else { "error[backup_damaged]: " };
        assert!(restore_fails(&line, &saved, &["--replace"]).starts_with(expected), "{name}");
        std::fs::write(&file, whole).unwrap();
    }
    let newer = std::fs::read_to_string(saved.join("manifest.json")).unwrap().replace("\"form\": 1", "\"form\": 2");
    std::fs::write(saved.join("manifest.json"), newer).unwrap();
    assert!(restore_fails(&line, &saved, &["--replace"]).contains("a newer patchcored wrote; install that version"));
}

#[test]
fn a_folder_that_cannot_take_a_backup_is_told_and_left_as_it_was() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    let fails = |folder: &Path| run_fails(1, &["backup", arg(folder), "--config", arg(&line.config())]);
    let told = fails(&line.path("nowhere"));
    assert!(told.starts_with("error[backup_folder]: ") && told.contains("make the folder"), "{told}");
    let told = fails(&line.config());
    assert!(told.contains("is no folder"), "{told}");
    let inside = line.drop("disc").join("sub");
    std::fs::create_dir(&inside).unwrap();
    for folder in [&inside, &line.drop("disc")] {
        let told = fails(folder);
        assert!(
            told.starts_with("error[backup_folder]: ") && told.contains("a drop folder of disc; name a folder outside of it"),
            "{told}"
        );
    }
    assert!(names(&inside).is_empty());
    if let Some(_mount) = Mount::tmpfs(&place, "2m") {
        let told = fails(&place);
        assert!(told.starts_with("error[backup_folder]: ") && told.contains("MiB free, and the backup needs"), "{told}");
        assert!(names(&place).is_empty());
    }
    // What cannot be saved is said, and the rest is saved.
    let bank = line.bank("disc").join("versions/000001/memory_bank.pt");
    let mut bytes = std::fs::read(&bank).unwrap();
    bytes[99] ^= 1;
    assert!(daemon.stop().success());
    std::fs::write(&bank, bytes).unwrap();
    std::fs::remove_dir_all(line.ok("disc")).unwrap();
    let output = run(&["backup", arg(&place), "--config", arg(&line.config())]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("disc: bank version 1 is not saved: ") && told.contains("is not the file that was recorded"), "{told}");
    assert!(told.contains("disc: the list of its OK images is not saved: "), "{told}");
    let saved = the_backup(&place);
    assert_eq!(manifest(&saved)["not_saved"].as_array().unwrap().len(), 2);
    assert_eq!((names(&saved.join("banks")), names(&saved.join("ok-images"))), (vec![], vec![]));
    assert_eq!(sql_value(&saved.join("history.db"), "SELECT count(*) FROM inspections").unwrap(), "3");
}

#[test]
fn the_line_goes_on_while_its_history_is_copied() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    // So many rows that the copying can be stopped in its middle.
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
                INSERT INTO events (at, level, kind, detail) SELECT '2026-01-01T00:00:00.000Z', 'info', 'x', printf('%0100d', i) FROM n";
    sql_change(&line.path("history.db"), rows);
    let mut child = patchcored().args(["backup", arg(&place), "--config", arg(&line.config())]).stdout(Stdio::null()).spawn().unwrap();
    let process = Pid::from_child(&child);
    let unfinished = wait_for("a copy that has begun", || {
        let folder = std::fs::read_dir(&place).unwrap().flatten().map(|entry| entry.path()).next();
        folder.filter(|folder| std::fs::metadata(folder.join("history.db")).is_ok_and(|meta| meta.len() > 0)).ok_or_else(String::new)
    });
    kill_process(process, Signal::STOP).unwrap();
    assert!(!unfinished.join("config.yaml").exists(), "it was too fast to be stopped");
    for number in 0..3 {
        decide(&line, &format!("meanwhile{number}.png"));
    }
    line.fill_ok("disc", 4..5);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    kill_process(process, Signal::CONT).unwrap();
    assert!(child.wait().unwrap().success());
    let saved = the_backup(&place).join("history.db");
    assert_eq!(
        sql_value(&saved, "SELECT count(*) || ' ' || sum(state = 'done') FROM inspections").unwrap(),
        "3 3",
        "as it was at one moment"
    );
    assert_eq!(sql_value(&saved, "SELECT count(*) FROM events WHERE kind = 'x'").unwrap(), "300000");
    assert_eq!(manifest(&the_backup(&place))["banks"][0]["version"], 1, "the bank that the copied history has in use");
    assert!(daemon.stop().success());
}

/// Reading it would wait for ever.
#[test]
fn no_password_file_is_read() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    assert!(daemon.stop().success());
    let pipe = line.path("password");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    line.configure_also(&format!("mqtt: {{broker: \"mqtt://127.0.0.1\", username: a, password_file: {}}}\n", arg(&pipe)));
    backup(&line, &place);
    let saved = the_backup(&place);
    lose_all(&line);
    restore(&line, &saved, &[]);
}

/// Runs the command so that it dies at the point.
fn die_at(point: &str, arguments: &[&str]) {
    let output = patchcored().args(arguments).env(VARIABLE, point).output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{point}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_backup_that_died_is_none_and_the_next_one_clears_it_away() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    let config = line.config();
    let arguments = ["backup", arg(&place), "--config", arg(&config)];
    for point in ["backup_begun", "backup_copied", "backup_written"] {
        die_at(point, &arguments);
        let left = the_backup(&place);
        assert!(left.file_name().unwrap().to_str().unwrap().starts_with(".patchcored-backup-"), "{point}: {left:?}");
    }
    die_at("backup_named", &arguments);
    let saved = the_backup(&place);
    assert!(saved.file_name().unwrap().to_str().unwrap().starts_with("patchcored-"), "{saved:?}");
    decide(&line, "goes-on.png");
    assert!(daemon.stop().success());
    lose_all(&line);
    restore(&line, &saved, &[]);
}

#[test]
fn dying_at_any_point_of_a_restore_leaves_one_that_can_be_run_again() {
    let (line, daemon, place) = line_with_history(Product::new("disc"));
    backup(&line, &place);
    let saved = the_backup(&place);
    assert!(daemon.stop().success());
    let whole = [line.config(), line.bank("disc").join("current/memory_bank.pt"), line.bank("disc").join("tau.json")];
    let expected: Vec<_> = whole.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let check = |point: &str| {
        let now: Vec<_> = whole.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(now == expected, "{point}");
        assert_eq!(std::fs::read(line.path("history.db")).unwrap(), std::fs::read(saved.join("history.db")).unwrap(), "{point}");
        assert_eq!(std::fs::read_link(line.bank("disc").join("current")).unwrap(), Path::new("versions/000001"), "{point}");
    };
    let config = line.config();
    let arguments = ["restore", arg(&saved), "--config", arg(&config)];
    // `current` and the three names.
    let fresh = [
        "config_put_back",
        "version_synced",
        "version_named",
        "link_made:1",
        "link_made:3",
        "link_swapped:1",
        "link_swapped:4",
        "history_put_back",
    ];
    for point in fresh {
        lose_all(&line);
        die_at(point, &arguments);
        restore(&line, &saved, &[]);
        check(point);
    }
    // Over another line, whose bank has the same number.
    let replacing = [&arguments[..], &["--replace"]].concat();
    for point in ["bank_set_aside", "version_synced", "version_named", "link_swapped", "history_set_aside", "history_put_back"] {
        std::fs::write(line.bank("disc").join("versions/000001/tau.json"), point).unwrap();
        sql_change(
            &line.path("history.db"),
            &format!(
                "DELETE FROM events; INSERT INTO events (at, level, kind, detail) VALUES ('2026-01-01T00:00:00.000Z', 'info', 'x', '{point}')"
            ),
        );
        die_at(point, &replacing);
        restore(&line, &saved, &["--replace"]);
        check(point);
        let kept = names(&line.path("")).into_iter().filter(|name| name.starts_with("history.db.replaced-"));
        let query = "SELECT group_concat(detail) FROM events";
        assert!(kept.map(|name| sql_value(&line.path(&name), query).unwrap()).any(|detail| detail == point), "{point}: it is kept");
    }
    let daemon = line.start();
    assert_eq!(decide(&line, "again.png"), "1");
    assert!(daemon.stop().success());
}
