//! Every named crash point: the daemon dies there, and its next start makes everything good.

use super::ledger::{Book, Findings, check_dead};
use super::plant::catch_up;
use super::process::{Ear, last_lines};
use crate::helper::{Broker, Line, Part, Product, arg, old_database, run_ok, script, sql_change, sql_value, wait_for, write_image};
use patchcored::platform::crash_point::{NAMES, VARIABLE};
use std::os::unix::process::ExitStatusExt;

/// What the daemon has to do to come by a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Inspect an image.
    Image,
    /// Look at one again whose time was set.
    KnownImage,
    /// Build and publish a bank in the place of another, with an image in hand.
    NewBank,
    /// Build and publish the first bank.
    FirstBank,
    /// Start on the database of an older release.
    OldDatabase,
    /// Start on a copy of the database, beside the log of the first.
    LogOfAnother,
    /// Delete old files.
    Retention,
    /// Move old rows out of the history.
    OldRows,
    /// Put an earlier bank back in use, with an image in hand.
    Rollback,
    /// Build a bank because somebody asks for it.
    Rebuild,
    /// Act on a defect.
    Defect,
    /// Publish decisions.
    Message,
    /// Stop.
    Stop,
}

/// How a point is caused, and at which of the times that it is reached the daemon has to die.
fn cases(point: &str) -> &'static [(Cause, u32)] {
    use Cause::{
        Defect, FirstBank, Image, KnownImage, LogOfAnother, Message, NewBank, OldDatabase, OldRows, Rebuild, Retention, Rollback, Stop,
    };
    match point {
        "log_set_aside" => &[(LogOfAnother, 1)],
        "migration_before_copy" | "migration_copied" => &[(OldDatabase, 1)],
        "migration_step_done" => &[(OldDatabase, 1), (OldDatabase, 2), (OldDatabase, 3)],
        "row_recorded" | "attempt_started" | "outputs_written" | "decision_recorded" => &[(Image, 1)],
        "arrival_compared" => &[(KnownImage, 1)],
        "action_started" | "action_ended" => &[(Defect, 1)],
        "message_sent" | "message_acknowledged" => &[(Message, 1), (Message, 2)],
        // Several messages may be taken out together.
        "messages_forgotten" => &[(Message, 1)],
        // Heat map, mask, overlay, side by side, scores.
        "file_written" => &[(Image, 1), (Image, 2), (Image, 3), (Image, 4), (Image, 5)],
        "file_renamed" => &[(Image, 1), (Image, 2), (Image, 3), (Image, 4), (Image, 5)],
        // `current` and the three names; later `current` alone.
        "link_made" => &[(FirstBank, 1), (FirstBank, 3), (NewBank, 1), (Rollback, 1)],
        "link_swapped" => &[(FirstBank, 1), (FirstBank, 2), (FirstBank, 4), (NewBank, 1), (Rollback, 1)],
        "request_taken" => &[(Rollback, 1), (Rebuild, 1)],
        "rollback_swapped" | "rollback_recorded" => &[(Rollback, 1)],
        // Published, but the request is not ended.
        "bank_recorded" => &[(NewBank, 1), (Rebuild, 1)],
        // Five outputs and the image itself, of each of three images.
        "file_deleted" => &[(Retention, 1), (Retention, 7), (Retention, 18)],
        // Images alone.
        "file_set_aside" => &[(Retention, 1), (Retention, 3)],
        // Outputs, then images.
        "deletions_synced" | "deletion_recorded" => &[(Retention, 1), (Retention, 2)],
        "rows_copied" | "rows_deleted" => &[(OldRows, 1)],
        // The first stamp, before there is a bank.
        "clock_recorded" => &[(FirstBank, 1)],
        "close_before_checkpoint" | "close_checkpointed" => &[(Stop, 1)],
        // No daemon comes by: tests/daemon/backup.rs.
        "backup_begun" | "backup_copied" | "backup_written" | "backup_named" => &[],
        "config_put_back" | "bank_set_aside" | "history_set_aside" | "history_put_back" => &[],
        _ => &[(NewBank, 1)],
    }
}

struct Scene {
    line: Line,
    ear: Ear,
    book: Book,
}

const PRODUCT: [&str; 1] = ["disc"];

impl Scene {
    /// One product with all outputs, a golden image and three OK images, that keeps one version of its bank.
    fn new() -> Self {
        Self::keeping(1)
    }

    /// The same with so many versions.
    fn keeping(versions: u32) -> Self {
        let mut product = Product::new("disc");
        product.extra = "    outputs: {mask: true, overlay: true, heat: true, side_by_side: true, scores: true}\n".to_owned();
        let line = Line::new(&[product]);
        let golden = line.path("golden.png");
        write_image(&golden, Part::ok(9));
        let config = std::fs::read_to_string(line.config()).unwrap().replace("keep_versions: 3", &format!("keep_versions: {versions}"));
        std::fs::write(line.config(), format!("{config}    reference: {}\n", golden.display())).unwrap();
        line.fill_ok("disc", 0..3);
        Self { ear: Ear::new(&line), line, book: Book::default() }
    }

    fn drop_image(&self, point: &str, times: u32) {
        let path = self.line.drop("disc").join(format!("{point}-{times}.png"));
        write_image(&path, Part::ng(times));
        self.book.dropped(&path);
    }

    /// Lets the daemon die at the point, then live and make good.
    fn die_and_recover(&self, point: &str, cause: Cause, times: u32) {
        let daemon = self.ear.start_with(&self.line, |command| {
            command.env(VARIABLE, format!("{point}:{times}"));
        });
        match cause {
            Cause::Image | Cause::Defect => self.drop_image(point, times),
            Cause::Message => (0..3).for_each(|number| self.drop_image(point, times * 10 + number)),
            Cause::NewBank => {
                let ok = std::fs::read_dir(self.line.ok("disc")).unwrap().count() as u32;
                self.line.fill_ok("disc", ok..ok + 1);
                self.drop_image(point, times);
            }
            Cause::Rollback | Cause::Rebuild => {
                self.ear.wait_ready(&self.line);
                self.drop_image(point, times);
                self.ask(if cause == Cause::Rollback {
                    &["rollback", "disc", "1", "--no-wait"]
                } else {
                    &["rebuild", "disc", "--no-wait"]
                });
            }
            Cause::Stop => {
                self.ear.wait_ready(&self.line);
                daemon.signal(rustix::process::Signal::TERM);
            }
            Cause::FirstBank | Cause::OldDatabase | Cause::LogOfAnother | Cause::Retention | Cause::OldRows | Cause::KnownImage => {}
        }
        let mut daemon = daemon;
        let status = daemon.wait();
        assert_eq!(status.signal(), Some(9), "{point}:{times}: {status}\n{}", last_lines(&self.line.log()));
        assert!(self.line.log().contains(VARIABLE), "the log does not warn of the crash to come");
        assert_eq!(check_dead(&self.line, &PRODUCT), Vec::<String>::new(), "{point}:{times}, dead");
        self.check(&format!("{point}:{times}"));
    }

    fn ask(&self, arguments: &[&str]) -> String {
        run_ok(&[arguments, &["--config", arg(&self.line.config())]].concat())
    }

    fn check(&self, when: &str) {
        let findings = catch_up(&self.line, &self.ear, &PRODUCT, &self.book);
        assert_eq!(findings, Findings::default(), "{when}, after the next start\n{}", last_lines(&self.line.log()));
    }
}

fn points(wanted: &[Cause]) -> Vec<(&'static str, Cause, u32)> {
    let all = NAMES.iter().flat_map(|point| cases(point).iter().map(move |(cause, times)| (*point, *cause, *times)));
    all.filter(|(_, cause, _)| wanted.contains(cause)).collect()
}

#[test]
fn dying_at_any_point_of_an_inspection_or_at_the_stop_loses_nothing() {
    let scene = Scene::new();
    scene.check("at first");
    for (point, cause, times) in points(&[Cause::Image, Cause::Stop]) {
        scene.die_and_recover(point, cause, times);
    }
}

#[test]
fn dying_while_a_known_image_is_compared_makes_no_second_row() {
    let scene = Scene::new();
    scene.check("at first");
    scene.drop_image("known", 1);
    scene.check("decided");
    let image = scene.line.drop("disc").join("known-1.png");
    std::fs::File::options().write(true).open(image).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    for (point, cause, times) in points(&[Cause::KnownImage]) {
        scene.die_and_recover(point, cause, times);
    }
    let daemon = scene.ear.start(&scene.line);
    scene.line.wait_sql("SELECT count(*) FROM sightings", "1");
    assert_eq!(scene.line.sql("SELECT group_concat(state) FROM inspections").unwrap(), "done");
    assert!(daemon.stop().success());
}

#[test]
fn dying_at_any_point_of_an_action_repeats_none() {
    let scene = Scene::new();
    let program = script(&scene.line, "reject", "echo $PATCHCORED_INSPECTION_ID >>\"$OUT/runs\"");
    scene.line.configure_also(&format!("    on_ng: {{command: [{}], max_age: 24h}}\n", arg(&program)));
    scene.check("at first");
    for (point, cause, times) in points(&[Cause::Defect]) {
        scene.die_and_recover(point, cause, times);
    }
    scene.line.wait_sql("SELECT count(*) FROM actions WHERE state NOT IN ('done', 'interrupted')", "0");
    let runs = std::fs::read_to_string(scene.line.path("out/runs")).unwrap_or_default();
    let mut once: Vec<&str> = runs.lines().collect();
    once.dedup();
    assert_eq!(once.len(), runs.lines().count(), "{runs}");
}

#[test]
fn dying_at_any_point_of_publishing_loses_no_message_and_keeps_their_order() {
    let scene = Scene::new();
    let Some(mut broker) = Broker::new(&scene.line.path("broker")) else { return };
    broker.start();
    let subscriber = broker.subscribe(&[]);
    scene.line.configure_also(&broker.section("publish: all"));
    scene.check("at first");
    for (point, cause, times) in points(&[Cause::Message]) {
        scene.die_and_recover(point, cause, times);
    }
    // What the daemon had no time to publish before it was stopped goes when it starts again.
    let daemon = scene.ear.start(&scene.line);
    scene.ear.wait_ready(&scene.line);
    scene.line.wait_sql("SELECT count(*) FROM mqtt_outbox", "0");
    let expected = scene.line.sql("SELECT group_concat(id) FROM (SELECT id FROM inspections ORDER BY id)").unwrap();
    let expected: Vec<i64> = expected.split(',').map(|id| id.parse().unwrap()).collect();
    wait_for("every message", || {
        let mut heard = subscriber.inspections(None);
        heard.sort_unstable();
        if heard == expected { Ok(()) } else { Err(format!("{heard:?}")) }
    });
    assert!(daemon.stop().success());
}

#[test]
fn dying_at_any_point_of_a_rebuild_leaves_a_whole_bank() {
    let scene = Scene::new();
    scene.check("at first");
    for (point, cause, times) in points(&[Cause::NewBank]) {
        scene.die_and_recover(point, cause, times);
    }
}

#[test]
fn dying_while_old_files_are_deleted_leaves_rows_that_tell_the_truth_in_the_end() {
    let scene = Scene::new();
    let config = std::fs::read_to_string(scene.line.config()).unwrap();
    let folder = scene.line.drop("disc");
    let left = "SELECT count(*) FROM inspections WHERE outputs_deleted_at IS NULL OR image_deleted_at IS NULL";
    let mut images = 0;
    for (point, _, times) in points(&[Cause::Retention]) {
        let line = &scene.line;
        std::fs::write(line.config(), &config).unwrap();
        let daemon = line.start();
        line.wait_for_bank("disc");
        for number in 0..3 {
            write_image(&folder.join(format!("{point}-{times}-{number}.png")), Part::ok(number));
            images += 1;
        }
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &images.to_string());
        assert!(daemon.stop().success());
        sql_change(&line.path("history.db"), "UPDATE inspections SET decided_at = '2026-01-01T00:00:00.000Z', decision = 'ok'");
        std::fs::write(folder.join("kept"), "not the history's").unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 19, "{point}:{times}");

        std::fs::write(line.config(), format!("{config}    retention: {{ok_outputs: 14d, ok_images: 14d}}\n")).unwrap();
        let mut daemon = line.start_with(|command| {
            command.env(VARIABLE, format!("{point}:{times}"));
        });
        let status = daemon.wait();
        assert_eq!(status.signal(), Some(9), "{point}:{times}: {status}\n{}", last_lines(&line.log()));
        assert_eq!(check_dead(line, &PRODUCT), Vec::<String>::new(), "{point}:{times}, dead");
        let daemon = scene.ear.start(line);
        scene.ear.wait_ready(line);
        line.wait_sql(left, "0");
        assert!(daemon.stop().success());
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"], "{point}:{times}");
        assert_eq!(line.sql("SELECT count(*) || ' ' || sum(state = 'done') FROM inspections").unwrap(), format!("{images} {images}"));
    }
}

#[test]
fn dying_while_old_rows_are_moved_keeps_each_of_them() {
    for (point, _, times) in points(&[Cause::OldRows]) {
        let line = Line::new(&[Product::new("disc")]);
        let retention = "    retention: {ok_outputs: 14d, ok_images: 14d, ng_outputs: 14d, ng_images: 14d, rows: 14d}\n";
        line.configure_also(retention);
        assert!(line.start_and_stop());
        let history = line.path("history.db");
        for id in 1..=3 {
            let then = "'2026-01-01T00:00:00.000Z'";
            let row = format!(
                "INSERT INTO inspections (id, product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, image_score, decision,
                 image_deleted_at) VALUES ({id}, 'disc', '/gone/{id}.png', 1, 1, 'done', {then}, {then}, {then}, 1.5, 'ng', {then})"
            );
            sql_change(&history, &row);
        }
        let mut daemon = line.start_with(|command| {
            command.env(VARIABLE, format!("{point}:{times}"));
        });
        let status = daemon.wait();
        assert_eq!(status.signal(), Some(9), "{point}:{times}: {status}\n{}", last_lines(&line.log()));
        let daemon = line.start();
        line.wait_sql("SELECT group_concat(id) FROM inspections", "3");
        assert!(daemon.stop().success());
        let ids = sql_value(&line.path("history-rows-2026-01.db"), "SELECT group_concat(id) FROM inspections");
        assert_eq!(ids.as_deref(), Ok("1,2"), "{point}:{times}");
    }
}

#[test]
fn dying_while_a_request_is_served_does_it_all_the_same() {
    for (point, cause, times) in points(&[Cause::Rollback, Cause::Rebuild]) {
        let scene = Scene::keeping(3);
        scene.check("at first");
        // A second version from the same files.
        let daemon = scene.ear.start(&scene.line);
        scene.ear.wait_ready(&scene.line);
        scene.ask(&["rebuild", "disc"]);
        assert!(daemon.stop().success());

        scene.die_and_recover(point, cause, times);
        // What was still to be done when that daemon was stopped.
        let daemon = scene.ear.start(&scene.line);
        scene.ear.wait_ready(&scene.line);
        scene.line.wait_sql("SELECT count(*) FROM requests WHERE state <> 'done'", "0");
        let active = if cause == Cause::Rollback { "1" } else { "3" };
        scene.line.wait_sql("SELECT version FROM banks WHERE state = 'active'", active);
        assert!(daemon.stop().success());
        scene.check(&format!("{point}:{times}, when the request was done"));
        assert_eq!(
            scene.line.sql("SELECT count(*) FROM events WHERE kind = 'rollback'").unwrap(),
            u8::from(cause == Cause::Rollback).to_string()
        );
        assert_eq!(scene.line.sql("SELECT count(*) FROM banks WHERE state <> 'failed'").unwrap(), if active == "1" { "2" } else { "3" });
    }
}

#[test]
fn dying_while_the_first_bank_is_linked_leaves_a_whole_bank_or_none() {
    for (point, cause, times) in points(&[Cause::FirstBank]) {
        Scene::new().die_and_recover(point, cause, times);
    }
}

#[test]
fn dying_during_a_migration_keeps_the_old_rows() {
    for (point, cause, times) in points(&[Cause::OldDatabase]) {
        let scene = Scene::new();
        old_database(&scene.line.path("history.db"), 1);
        scene.die_and_recover(point, cause, times);
        assert_eq!(scene.line.sql("SELECT detail FROM events WHERE kind = 'old'").unwrap(), "kept");
    }
}

#[test]
fn dying_while_a_log_is_kept_aside_keeps_it() {
    for (point, cause, times) in points(&[Cause::LogOfAnother]) {
        let scene = Scene::new();
        scene.check("at first");
        let daemon = scene.ear.start(&scene.line);
        scene.ear.wait_ready(&scene.line);
        scene.drop_image(point, times);
        scene.line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
        let (database, copy) = (scene.line.path("history.db"), scene.line.path("copy.db"));
        sql_change(&database, &format!("VACUUM INTO '{}'", arg(&copy)));
        daemon.kill();
        std::fs::rename(&copy, &database).unwrap();
        scene.die_and_recover(point, cause, times);
        let kept = std::fs::read_dir(scene.line.path("")).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("history.db-wal.kept-")
        });
        assert_eq!(kept.count(), 1);
    }
}

#[test]
fn an_unknown_point_is_refused() {
    let line = Line::new(&[Product::new("disc")]);
    let mut daemon = line.start_with(|command| {
        command.env(VARIABLE, "no_such_point");
    });
    assert_eq!(daemon.wait().code(), Some(78));
    assert!(line.log().contains("no such crash point"), "{}", line.log());
}
