//! The wall clock is set, forward and back, while the daemon runs and while it does not: nothing is lost for it, and nothing waits for it.

use crate::helper::{
    Daemon, Line, Part, Product, WallClock, arg, at_once, image_bytes, scaled, scaled_seconds, script, sql_change, wait_for, write_image,
};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Back to about the year 2000, where a computer without a battery starts.
const EMPTY_BATTERY: i64 = -26 * 365 * DAY;
/// Of outputs in these tests.
const AGE: Duration = Duration::from_secs(8);
/// A decision may be older than it is seen here: so much between two looks at the history, with room to spare.
const LOOKED_AT: Duration = Duration::from_millis(500);
/// Outputs go soon, which shows that old files are looked for, and originals do not.
const RETENTION: &str = "    retention: {ok_outputs: 8s, ok_images: 14d, ng_images: 14d, keep_at_least: 1s}\n";
/// Runs until the file `out/go` is there, or the test is over.
const BLOCKED: &str = "echo $PATCHCORED_INSPECTION_ID >>\"$OUT/runs\"; until [ -e \"$OUT/go\" ] || ! [ -d \"$OUT\" ]; do sleep 0.05; done";

fn line(extra: &str) -> Option<(Line, WallClock)> {
    let line = Line::new(&[Product { extra: extra.to_owned(), ..Product::new("disc") }]);
    line.fill_ok("disc", 0..6);
    let clock = WallClock::new(&line)?;
    Some((line, clock))
}

/// A line that acts on defects, one at a time, each until somebody lets it end.
fn acting_line(max_age: &str) -> Option<(Line, WallClock)> {
    let (line, clock) = line("")?;
    let program = script(&line, "reject", BLOCKED);
    line.configure_also(&format!("    on_ng: {{command: [{}], timeout: 60s, max_age: {max_age}}}\n", arg(&program)));
    Some((line, clock))
}

fn image(line: &Line, name: &str) -> PathBuf {
    line.drop("disc").join(name)
}

/// Has an image decided; returns when that was at the latest.
fn inspect(line: &Line, name: &str, part: Part) -> Instant {
    write_image(&image(line, name), part);
    line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE image_path LIKE '%/{name}' AND state = 'done'"), "1");
    Instant::now()
}

fn wait_for_jumps(line: &Line, jumps: u32) {
    line.wait_sql("SELECT count(*) FROM clock_jumps", &jumps.to_string());
}

/// Outputs go when they have their age and not before; no original does.
fn outputs_go_by_their_age(line: &Line, written: Instant) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE outputs_deleted_at IS NULL", "0");
    assert!(written.elapsed() >= AGE, "after {:?}", written.elapsed());
    assert_eq!(line.sql("SELECT count(image_deleted_at) FROM inspections").unwrap(), "0");
    for name in ["good.png", "more.png"] {
        assert!(image(line, name).exists(), "{name}\n{}", line.log());
    }
}

/// The computer was started anew meanwhile.
fn start_computer(line: &Line) {
    sql_change(&line.path("history.db"), "UPDATE clock_stamp SET boot_id = 'another'");
}

fn count(line: &Line, state: &str) -> String {
    line.sql(&format!("SELECT count(*) FROM actions WHERE state = '{state}'")).unwrap()
}

fn let_commands_end(line: &Line) {
    std::fs::write(line.path("out/go"), "").unwrap();
}

/// One command runs and one waits.
fn two_defects(line: &Line) {
    write_image(&image(line, "bad0.png"), Part::ng(1));
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'started'", "1");
    write_image(&image(line, "bad1.png"), Part::ng(2));
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'pending'", "1");
}

#[test]
fn a_clock_put_right_while_running_makes_no_file_old() {
    let Some((line, clock)) = line(RETENTION) else { return };
    clock.set(EMPTY_BATTERY);
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'clock_wrong' AND level = 'error'", "1");
    inspect(&line, "good.png", Part::ok(1));
    let written = inspect(&line, "more.png", Part::ok(2));
    assert!(line.sql("SELECT min(decided_at) FROM inspections").unwrap().starts_with("20"), "people read the clock's time");
    clock.set(0);
    wait_for_jumps(&line, 1);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'clock_jumped' AND detail LIKE '%was set from 20%'", "1");
    outputs_go_by_their_age(&line, written - LOOKED_AT);
    assert!(daemon.stop().success());
}

#[test]
fn a_clock_set_back_while_running_keeps_no_file_longer() {
    let Some((line, clock)) = line(RETENTION) else { return };
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    inspect(&line, "good.png", Part::ok(1));
    let written = inspect(&line, "more.png", Part::ok(2));
    clock.set(-30 * DAY);
    wait_for_jumps(&line, 1);
    outputs_go_by_their_age(&line, written - LOOKED_AT);
    assert!(daemon.stop().success());
}

#[test]
fn a_clock_set_while_the_daemon_was_stopped_makes_no_file_old_and_keeps_none_longer() {
    at_once([40 * DAY, -40 * DAY], |set| {
        let Some((line, clock)) = line(RETENTION) else { return };
        let daemon = clock.start(&line);
        line.wait_for_bank("disc");
        inspect(&line, "good.png", Part::ok(1));
        let written = inspect(&line, "more.png", Part::ok(2));
        line.wait_sql("SELECT count(*) FROM clock_stamp", "1");
        assert!(daemon.stop().success());
        clock.set(set);
        let daemon = clock.start(&line);
        wait_for_jumps(&line, 1);
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'clock_jumped'", "1");
        outputs_go_by_their_age(&line, written - LOOKED_AT);
        assert!(daemon.stop().success());
    });
}

#[test]
fn after_a_start_of_the_computer_no_gap_of_the_clock_alone_deletes() {
    // Twenty days may be a break, and count when the clock was steady for a while; forty years may not, and a step back is none.
    at_once([(20 * DAY, 0), (40 * 365 * DAY, 1), (EMPTY_BATTERY, 1)], |(set, jumps)| {
        let Some((line, clock)) = line(RETENTION) else { return };
        let daemon = clock.start(&line);
        line.wait_for_bank("disc");
        inspect(&line, "good.png", Part::ok(1));
        let written = inspect(&line, "more.png", Part::ok(2));
        line.wait_sql("SELECT count(*) FROM clock_stamp", "1");
        assert!(daemon.stop().success());
        start_computer(&line);
        clock.set(set);
        let daemon = clock.start(&line);
        outputs_go_by_their_age(&line, written - LOOKED_AT);
        if jumps > 0 {
            wait_for_jumps(&line, jumps);
            assert_eq!(line.sql("SELECT witnessed FROM clock_jumps").unwrap(), "0");
        } else {
            assert_eq!(line.sql("SELECT boot_id FROM clock_stamp").unwrap(), "another", "in doubt, also for the next start");
        }
        assert!(daemon.stop().success());
    });
}

/// An image whose outputs cannot be written yet, and what is in the way.
fn waiting_image(line: &Line) -> PathBuf {
    let out = line.path("out");
    std::fs::create_dir_all(&out).unwrap();
    let drop = line.drop("disc");
    let in_the_way = out.join(drop.components().nth(1).unwrap());
    std::fs::write(&in_the_way, "no folder").unwrap();
    write_image(&image(line, "good.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE retry_at NOT NULL", "1");
    in_the_way
}

fn outputs_elsewhere() -> Option<(Line, WallClock, Daemon)> {
    let (line, clock) = line("    outputs: {dir: OUT}\n")?;
    line.change_config("OUT", arg(&line.path("out")));
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    Some((line, clock, daemon))
}

#[test]
fn an_image_that_is_to_be_tried_again_does_not_wait_for_a_clock_that_was_set_back() {
    for stopped in [false, true] {
        let Some((line, clock, mut daemon)) = outputs_elsewhere() else { return };
        let in_the_way = waiting_image(&line);
        if stopped {
            // A daemon that ran for less than a second has recorded no time to compare with.
            line.wait_sql("SELECT count(*) FROM clock_stamp", "1");
            assert!(daemon.stop().success());
            clock.set(-HOUR);
            daemon = clock.start(&line);
            line.wait_for_log("clock_jumped");
        } else {
            clock.set(-HOUR);
            wait_for_jumps(&line, 1);
        }
        std::fs::remove_file(in_the_way).unwrap();
        line.wait_sql("SELECT state FROM inspections", "done");
        assert!(daemon.stop().success());
    }
}

/// A half image that is tried again and again.
fn half_an_image(line: &Line) -> Vec<u8> {
    let whole = image_bytes(Part::ok(1), image::ImageFormat::Png);
    std::fs::write(image(line, "half.png"), &whole[..whole.len() / 2]).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'pending' AND reason_code = 'incomplete'", "1");
    whole
}

#[test]
fn an_image_is_given_up_in_time_after_the_clock_was_set_back() {
    let Some((line, clock)) = line("") else { return };
    line.change_config("give_up_after: 3s", "give_up_after: 15s");
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    half_an_image(&line);
    clock.set(-HOUR);
    line.wait_sql("SELECT state || ' ' || reason_code FROM inspections", "failed incomplete");
    wait_for_jumps(&line, 1);
    assert!(daemon.stop().success());
}

#[test]
fn an_image_is_not_given_up_for_a_clock_that_was_set_forward() {
    let Some((line, clock)) = line("") else { return };
    line.change_config("give_up_after: 3s", &format!("give_up_after: {}", scaled_seconds(60)));
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    let whole = half_an_image(&line);
    clock.set(HOUR);
    wait_for_jumps(&line, 1);
    let attempts: u32 = line.sql("SELECT attempts FROM inspections").unwrap().parse().unwrap();
    line.wait_sql(&format!("SELECT attempts >= {} FROM inspections", attempts + 2), "1");
    assert_eq!(line.sql("SELECT state FROM inspections").unwrap(), "pending");
    std::fs::write(image(&line, "half.png"), whole).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE state = 'failed'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn a_clock_set_forward_while_running_expires_no_fresh_defect() {
    let Some((line, clock)) = acting_line("10m") else { return };
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    two_defects(&line);
    clock.set(HOUR);
    wait_for_jumps(&line, 1);
    let_commands_end(&line);
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "2");
    assert_eq!(count(&line, "expired"), "0");
    assert!(daemon.stop().success());
}

#[test]
fn a_clock_set_back_while_running_makes_no_old_defect_new() {
    let Some((line, clock)) = acting_line("10s") else { return };
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    two_defects(&line);
    clock.set(-HOUR);
    wait_for_jumps(&line, 1);
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'expired'", "1");
    let_commands_end(&line);
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "1");
    assert!(daemon.stop().success());
}

/// Leaves a defect that waits to be acted on, as a daemon that was killed does.
fn leave_a_defect(line: &Line, clock: &WallClock) {
    let daemon = clock.start(line);
    line.wait_for_bank("disc");
    line.wait_sql("SELECT count(*) FROM clock_stamp", "1");
    two_defects(line);
    daemon.kill();
    let_commands_end(line);
}

#[test]
fn a_clock_set_while_the_daemon_was_stopped_expires_no_fresh_defect() {
    for set in [HOUR, -HOUR] {
        let Some((line, clock)) = acting_line("10m") else { return };
        leave_a_defect(&line, &clock);
        clock.set(set);
        let daemon = clock.start(&line);
        line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "1");
        assert_eq!((count(&line, "expired"), count(&line, "interrupted")), ("0".to_owned(), "1".to_owned()));
        assert!(daemon.stop().success());
    }
}

#[test]
fn after_a_start_of_the_computer_a_defect_whose_age_cannot_be_told_is_not_acted_on() {
    for set in [HOUR, -HOUR, EMPTY_BATTERY] {
        let Some((line, clock)) = acting_line("10m") else { return };
        leave_a_defect(&line, &clock);
        start_computer(&line);
        clock.set(set);
        let daemon = clock.start(&line);
        line.wait_sql("SELECT count(*) FROM actions WHERE state = 'expired'", "1");
        // A new one is acted on, whatever the clock shows.
        write_image(&image(&line, "bad2.png"), Part::ng(3));
        line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "1");
        assert!(daemon.stop().success());
    }
}

#[test]
fn ages_are_told_by_the_time_that_has_passed() {
    let Some((line, clock)) = line("") else { return };
    let daemon = clock.start(&line);
    line.wait_for_bank("disc");
    inspect(&line, "good.png", Part::ok(1));
    line.wait_sql("SELECT count(*) FROM clock_stamp", "1");
    let begin = Instant::now();
    clock.set(HOUR);
    wait_for_jumps(&line, 1);
    // This program has the right clock: for it the daemon's was set back once more.
    let seconds = wait_for("an age", || line.status()["products"][0]["last_decision_seconds"].as_u64().ok_or_else(|| "none".to_owned()));
    assert!(Duration::from_secs(seconds) <= begin.elapsed() + scaled(Duration::from_secs(5)), "{seconds} s");
    assert!(daemon.stop().success());
}
