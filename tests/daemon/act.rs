//! `on_ng`: a command for each defect, which no image waits for and which runs at most once.

use crate::helper::{Line, Part, Product, arg, run_fails, scaled, script, sql_change, wait_for, write_image};
use patchcored::platform::crash_point::VARIABLE;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// What a text looks like in the middle of the SQL of a test.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// A line whose product `disc` runs the script on a defect, with more keys of `on_ng`.
fn line(text: &str, keys: &str) -> Line {
    let line = Line::new(&[Product::new("disc")]);
    let program = script(&line, "reject", text);
    line.configure_also(&format!("    on_ng: {{command: [{}, --station, \"3\"], {keys}}}\n", arg(&program)));
    line.fill_ok("disc", 0..6);
    line
}

fn drop_defect(line: &Line, name: impl AsRef<OsStr>) {
    let path = line.drop("disc").join(name.as_ref());
    let hidden = line.path("writing.png");
    write_image(&hidden, Part::ng(1));
    std::fs::rename(hidden, path).unwrap();
}

fn wait_for_state(line: &Line, state: &str, count: u32) {
    line.wait_sql(&format!("SELECT count(*) FROM actions WHERE state = '{state}'"), &count.to_string());
}

fn wait_for_file(path: &Path) {
    wait_for(&format!("{}", path.display()), || if path.exists() { Ok(()) } else { Err("not there".to_owned()) });
}

fn runs(line: &Line) -> usize {
    std::fs::read_to_string(line.path("out/runs")).unwrap_or_default().lines().count()
}

/// The last event of this kind: its level and detail.
fn event(line: &Line, kind: &str) -> (String, String) {
    let query = format!("SELECT level || '\n' || detail FROM events WHERE kind = '{kind}' ORDER BY rowid DESC LIMIT 1");
    line.wait_sql(&format!("SELECT count(*) > 0 FROM events WHERE kind = '{kind}'"), "1");
    let text = line.sql(&query).unwrap();
    let (level, detail) = text.split_once('\n').unwrap();
    (level.to_owned(), detail.to_owned())
}

/// A time-out as long as this machine is slow; the configuration allows no more than a minute.
fn allowed_seconds(seconds: u64) -> String {
    format!("{}s", scaled(Duration::from_secs(seconds)).as_secs().clamp(1, 60))
}

#[test]
fn the_command_is_told_all_about_the_defect_when_its_row_and_files_are_there() {
    let text = "printf '%s\\n' \"$@\" >\"$OUT/args\"; cat >\"$OUT/stdin\"; pwd >\"$OUT/cwd\"
cp \"$PATCHCORED_MASK\" \"$OUT/mask\" && cp \"$PATCHCORED_OVERLAY\" \"$OUT/overlay\" && env -0 >\"$OUT/env\"";
    let line = line(text, &format!("timeout: {}", allowed_seconds(30)));
    let daemon = line.start_with(|command| {
        command.env("PLC_ADDRESS", "10.0.0.7").env("WATCHDOG_USEC", "1").env("WATCHDOG_PID", "1");
    });
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("good.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE decision = 'ok'", "1");
    let name = OsStr::from_bytes(b"bad \xff\n'\"$(x).png");
    drop_defect(&line, name);
    wait_for_state(&line, "done", 1);
    assert_eq!(line.sql("SELECT count(*) FROM actions").unwrap(), "1", "nothing is done about a good part");

    let read = |name: &str| std::fs::read(line.path("out").join(name)).unwrap();
    assert_eq!(read("args"), b"--station\n3\n");
    assert_eq!((read("stdin"), read("cwd")), (b"".to_vec(), b"/\n".to_vec()));
    let env = read("env");
    let variable = |name: &str| {
        let prefix = format!("{name}=");
        env.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes())).map(<[u8]>::to_vec)
    };
    let image = line.drop("disc").join(name);
    let beside = |suffix: &str| Some([image.as_os_str().as_bytes(), suffix.as_bytes()].concat());
    assert_eq!(variable("PATCHCORED_IMAGE"), beside(""));
    assert_eq!(variable("PATCHCORED_MASK"), beside(".mask.png"));
    assert_eq!(variable("PATCHCORED_OVERLAY"), beside(".overlay.png"));
    for (name, query) in [
        ("PRODUCT", "product"),
        ("DECISION", "decision"),
        ("INSPECTION_ID", "id"),
        ("DECIDED_AT", "decided_at"),
        ("MASK_PIXELS", "mask_pixels"),
        ("MASK_REGIONS", "mask_regions"),
        ("BANK_VERSION", "1"),
    ] {
        let value = line.sql(&format!("SELECT {query} FROM inspections WHERE decision = 'ng'")).unwrap();
        assert_eq!(variable(&format!("PATCHCORED_{name}")), Some(value.into_bytes()), "{name}");
    }
    let number = |name: &str| String::from_utf8(variable(name).unwrap()).unwrap().parse::<f64>().unwrap();
    for (name, column) in [("SCORE", "image_score"), ("TAU", "image_tau"), ("PIXEL_TAU", "pixel_tau")] {
        let value: f64 =
            line.sql(&format!("SELECT printf('%.17g', {column}) FROM inspections WHERE decision = 'ng'")).unwrap().parse().unwrap();
        // The last digit that SQLite prints may be off by one.
        let told = number(&format!("PATCHCORED_{name}"));
        assert!((told - value).abs() <= 4.0 * f64::EPSILON * value, "{name}: {told} against {value}");
    }
    assert_eq!(variable("PLC_ADDRESS").as_deref(), Some(&b"10.0.0.7"[..]), "what the unit sets for it reaches it");
    for name in ["WATCHDOG_USEC", "WATCHDOG_PID", "NOTIFY_SOCKET"] {
        assert_eq!(variable(name), None, "{name} is between systemd and the daemon");
    }
    assert_eq!(line.sql("SELECT exit_code || state FROM action_history").unwrap(), "0done");
    assert!(daemon.stop().success());
}

#[test]
fn the_command_gets_no_file_that_the_daemon_has_open_and_a_group_of_its_own() {
    // The shell's own script would be one more open file.
    const LIST: &str = "cut -d' ' -f1,5 /proc/$$/stat >&2; ls /proc/$$/fd >&2; exit 1";
    let line = Line::new(&[Product::new("disc")]);
    line.configure_also(&format!("    on_ng: {{command: [/bin/sh, -c, \"{LIST}\"]}}\n"));
    line.fill_ok("disc", 0..6);
    let _daemon = line.start();
    line.wait_for_bank("disc");
    drop_defect(&line, "bad.png");
    wait_for_state(&line, "failed", 1);
    let said = line.sql("SELECT stderr FROM actions").unwrap();
    let (numbers, files) = said.split_once('\n').unwrap();
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    assert!(numbers.len() == 2 && numbers[0] == numbers[1], "process and process group: {said}");
    // What this test has inherited itself, its children inherit, and theirs.
    let own = std::process::Command::new("/bin/sh").args(["-c", LIST]).output().unwrap();
    assert_eq!(files, String::from_utf8(own.stderr).unwrap().split_once('\n').unwrap().1.trim_end());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_it_started() {
    let text = "echo waiting for the PLC >&2; sleep 1000 & echo $$ $! >\"$OUT/pids.tmp\"; mv \"$OUT/pids.tmp\" \"$OUT/pids\"; wait";
    let line = line(text, "timeout: 5s");
    let daemon = line.start();
    line.wait_for_bank("disc");
    drop_defect(&line, "bad.png");
    wait_for_state(&line, "failed", 1);
    let row = line.sql("SELECT reason || '; ' || stderr || '; ' || (exit_code IS NULL) || (signal IS NULL) FROM actions").unwrap();
    assert_eq!(row, "took longer than on_ng.timeout (5s) and was killed; waiting for the PLC; 11");
    let pids = std::fs::read_to_string(line.path("out/pids")).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2);
    for pid in pids.split_whitespace() {
        wait_for(&format!("the end of {pid}"), || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // Dead, and whoever took it over has not looked yet.
            Ok(stat) if stat.contains(") Z ") => Ok(()),
            Ok(stat) => Err(stat),
            Err(_) => Ok(()),
        });
    }
    let (level, detail) = event(&line, "on_ng_failed");
    assert!(level == "error" && detail.contains("took longer") && detail.contains("it said: waiting for the PLC"), "{detail}");
    assert_eq!(line.sql("SELECT decision || state FROM inspections").unwrap(), "ngdone");
    assert!(daemon.stop().success());
}

/// The processes below this one that sleep, by their number of seconds.
fn sleepers(daemon: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let is_below = |id: u32| std::iter::successors(Some(id), |id| parent(*id)).any(|id| id == daemon);
    let command = |id: u32| String::from_utf8(std::fs::read(format!("/proc/{id}/cmdline")).ok()?).ok();
    let mut found: Vec<_> = processes
        .filter(|id| is_below(*id))
        .filter_map(|id| Some(command(id)?.strip_prefix("sleep\0")?.trim_end_matches('\0').to_owned()))
        .collect();
    found.sort();
    found
}

#[test]
fn nothing_of_a_command_outlives_its_time_out_wherever_it_has_gone() {
    // In a session of its own; forked twice; without an environment, below the command and as an orphan; in its group, deaf to signals.
    let text =
        "setsid sleep 1001 & (setsid sh -c 'sleep 1002 & sleep 0.1' &) ; env -i sleep 1003 & (env -i sh -c 'sleep 1004 & sleep 0.2' & )
        (trap '' TERM HUP INT; sleep 1005) & : >\"$OUT/begun\"
        case $PATCHCORED_IMAGE in *hangs*) sleep 1006;; esac";
    let line = line(text, "timeout: 3s, max_age: 24h");
    let daemon = line.start();
    line.wait_for_bank("disc");
    let none_left = |which: &[&str]| {
        wait_for(&format!("{which:?} to be ended"), || {
            let left = sleepers(daemon.pid());
            if which.iter().any(|one| left.iter().any(|other| other == one)) { Err(format!("{left:?}")) } else { Ok(()) }
        });
    };
    drop_defect(&line, "hangs.png");
    wait_for_state(&line, "failed", 1);
    none_left(&["1001", "1002", "1003", "1005", "1006"]);

    // What it leaves behind goes on until then, and a build that runs meanwhile is not touched.
    std::fs::remove_file(line.path("out/begun")).unwrap();
    line.fill_ok("disc", 6..9);
    drop_defect(&line, "leaves.png");
    wait_for_state(&line, "done", 1);
    none_left(&["1001", "1002", "1003", "1005"]);
    line.wait_sql("SELECT count(*) FROM banks WHERE state <> 'failed'", "2");
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE state = 'failed'").unwrap(), "0");
    // Without a mark and without a parent it is nobody's, and is ended when no command can run any longer that may have started it.
    none_left(&["1004"]);
    assert!(daemon.stop().success());
}

#[test]
fn failures_are_recorded_and_change_no_decision() {
    let text = "case \"$PATCHCORED_IMAGE\" in
*exit.png) printf 'no\\000 such\\nstation' >&2; exit 3;;
*signal.png) kill -SEGV $$;;
*long.png) head -c 100000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1;;
*background.png) sleep 1000 & echo $! >\"$OUT/background\"; exit 0;;
esac";
    let line = line(text, &format!("timeout: {}", allowed_seconds(30)));
    let daemon = line.start();
    line.wait_for_bank("disc");
    for (name, state, row) in [
        ("exit.png", "failed", "ended with exit code 3|3||no\u{fffd} such\nstation"),
        ("signal.png", "failed", "was killed by signal 11||11|"),
        ("background.png", "done", "|0||"),
    ] {
        drop_defect(&line, name);
        let of = format!("FROM action_history WHERE image_path LIKE '%/{name}'");
        line.wait_sql(&format!("SELECT state {of}"), state);
        let columns = "ifnull(reason, '') || '|' || ifnull(exit_code, '') || '|' || ifnull(signal, '') || '|' || stderr";
        assert_eq!(line.sql(&format!("SELECT {columns} {of}")).unwrap(), row, "{name}");
    }
    drop_defect(&line, "long.png");
    line.wait_sql("SELECT state FROM action_history WHERE image_path LIKE '%/long.png'", "failed");
    let tail = line.sql("SELECT stderr FROM action_history WHERE image_path LIKE '%/long.png'").unwrap();
    assert!(tail.len() <= 2048 && tail.ends_with("xxxthe end"), "{} bytes", tail.len());
    // What a command leaves behind in the background may go on until its time-out is over.
    let background = std::fs::read_to_string(line.path("out/background")).unwrap();
    wait_for("the process in the background to be ended", || {
        if Path::new(&format!("/proc/{}", background.trim())).exists() { Err("it lives".to_owned()) } else { Ok(()) }
    });

    std::fs::remove_file(line.path("reject")).unwrap();
    drop_defect(&line, "gone.png");
    line.wait_sql("SELECT state FROM action_history WHERE image_path LIKE '%/gone.png'", "failed");
    // The event follows the row.
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'on_ng_failed'", "4");
    let (level, detail) = event(&line, "on_ng_failed");
    assert!(level == "error" && detail.contains("could not be started: No such file") && detail.contains("gone.png"), "{detail}");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE decision = 'ng' AND state = 'done'").unwrap(), "5");
    assert!(daemon.stop().success());
    let told = run_fails(1, &["check", "--config", arg(&line.config())]);
    assert!(told.is_empty(), "findings are no failure of the command itself: {told}");
}

/// Runs until the file `out/go` is there.
const BLOCKED: &str = "echo $PATCHCORED_INSPECTION_ID >>\"$OUT/runs\"; until [ -e \"$OUT/go\" ]; do sleep 0.05; done";

#[test]
fn no_more_commands_run_at_a_time_than_may_and_no_image_waits_for_one() {
    let line = line(BLOCKED, "timeout: 60s, max_age: 24h, concurrent: 2");
    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..6 {
        drop_defect(&line, format!("bad{number}.png"));
    }
    wait_for_state(&line, "started", 2);
    for number in 0..50 {
        write_image(&line.drop("disc").join(format!("good{number}.png")), Part::ok(number));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "56");
    // All the while the first two were running, and the others waited for them.
    wait_for_state(&line, "started", 2);
    wait_for_state(&line, "pending", 4);
    assert_eq!(line.status()["products"][0]["actions_waiting"], 4);
    daemon.signal(Signal::USR1);
    line.wait_for_log(", 4 actions wait");
    std::fs::write(line.path("out/go"), "").unwrap();
    wait_for_state(&line, "done", 6);
    let order = std::fs::read_to_string(line.path("out/runs")).unwrap();
    let decided = line.sql("SELECT group_concat(inspection_id, '\n') FROM (SELECT inspection_id FROM actions ORDER BY id)").unwrap();
    // Two run at a time, so neighbours may change places.
    let mut sorted: Vec<&str> = order.lines().collect();
    sorted.sort_unstable();
    let mut expected: Vec<&str> = decided.lines().collect();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    assert!(daemon.stop().success());
}

#[test]
fn a_crash_between_decision_and_action_misses_no_part_and_one_during_it_repeats_nothing() {
    for (point, ran_before, state, runs_after) in
        [("decision_recorded", 0, "done", 1), ("action_started", 0, "interrupted", 0), ("action_ended", 1, "interrupted", 1)]
    {
        let line = line("echo run >>\"$OUT/runs\"", "max_age: 24h");
        let daemon = line.start();
        line.wait_for_bank("disc");
        assert!(daemon.stop().success());
        let mut daemon = line.start_with(|command| {
            command.env(VARIABLE, point);
        });
        drop_defect(&line, "bad.png");
        assert!(!daemon.wait().success(), "{point}");
        assert_eq!(runs(&line), ran_before, "{point}");
        let daemon = line.start();
        line.wait_for_log("ready");
        wait_for_state(&line, state, 1);
        // Whatever else is to be done is done before this one.
        drop_defect(&line, "next.png");
        wait_for_state(&line, "done", if state == "done" { 2 } else { 1 });
        assert_eq!(runs(&line), runs_after + 1, "{point}: the part in question, and the next one");
        if state == "interrupted" {
            let (level, detail) = event(&line, "on_ng_interrupted");
            assert!(level == "error" && detail.contains("bad.png") && detail.contains("look for the part"), "{detail}");
        }
        assert!(daemon.stop().success());
    }
}

/// The `max_age: 2s` of the test below has passed.
const MORE_THAN_MAX_AGE: std::time::Duration = std::time::Duration::from_millis(2100);

#[test]
fn parts_that_have_left_the_station_are_not_acted_on() {
    let line = line("echo run >>\"$OUT/runs\"", "max_age: 2s");
    let daemon = line.start();
    line.wait_for_bank("disc");
    assert!(daemon.stop().success());
    // Seen only when the daemon starts, but there for longer.
    drop_defect(&line, "old1.png");
    drop_defect(&line, "old2.png");
    std::thread::sleep(MORE_THAN_MAX_AGE);
    let daemon = line.start();
    wait_for_state(&line, "expired", 2);
    let (level, detail) = event(&line, "on_ng_expired");
    assert!(level == "error" && detail.contains("older than on_ng.max_age (2s)"), "{detail}");
    assert_eq!(runs(&line), 0);
    assert!(daemon.stop().success());
}

/// A row as it is in the database when the daemon dies between the decision and the action.
fn pending_action(line: &Line, score: &str) {
    let statements = format!(
        "INSERT INTO inspections (product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, decision, image_score, image_tau, bank_id)
         VALUES ('disc', '/gone/bad.png', 1, 1, 'done', {NOW}, {NOW}, {NOW}, 'ng', {score}, 1.5, 1);
         INSERT INTO actions (inspection_id, product, state, arrived_at) VALUES (last_insert_rowid(), 'disc', 'pending', {NOW});"
    );
    sql_change(&line.path("history.db"), &statements);
}

#[test]
fn a_score_that_is_no_number_and_outputs_that_were_not_written_are_told_as_such() {
    let line = line("echo \"$PATCHCORED_SCORE $PATCHCORED_TAU [${PATCHCORED_MASK-unset}]\" >\"$OUT/told\"", "max_age: 24h");
    let daemon = line.start();
    line.wait_for_bank("disc");
    assert!(daemon.stop().success());
    pending_action(&line, "NULL");
    let daemon = line.start();
    wait_for_state(&line, "done", 1);
    assert_eq!(std::fs::read_to_string(line.path("out/told")).unwrap(), "nan 1.5 []\n");
    assert!(daemon.stop().success());
}

#[test]
fn actions_of_a_product_without_on_ng_do_not_wait_for_ever() {
    let line = line("echo run >>\"$OUT/runs\"", "max_age: 24h");
    let daemon = line.start();
    line.wait_for_bank("disc");
    assert!(daemon.stop().success());
    pending_action(&line, "2.5");
    let config = std::fs::read_to_string(line.config()).unwrap();
    let without: Vec<&str> = config.lines().filter(|line| !line.contains("on_ng")).collect();
    std::fs::write(line.config(), without.join("\n")).unwrap();
    let daemon = line.start();
    wait_for_state(&line, "cancelled", 1);
    let (level, detail) = event(&line, "on_ng_cancelled");
    assert!(level == "warn" && detail.contains("/gone/bad.png"), "{detail}");
    assert_eq!(runs(&line), 0);
    assert!(daemon.stop().success());
}

#[test]
fn a_stop_lets_a_running_command_end_and_kills_one_that_does_not() {
    let line = line(BLOCKED, "timeout: 60s, max_age: 24h");
    let mut daemon = line.start();
    line.wait_for_bank("disc");
    drop_defect(&line, "bad.png");
    wait_for_file(&line.path("out/runs"));
    // Once: a second time means at once.
    daemon.signal(Signal::TERM);
    std::fs::write(line.path("out/go"), "").unwrap();
    assert!(daemon.wait().success());
    assert_eq!(line.sql("SELECT state FROM actions").unwrap(), "done");

    std::fs::remove_file(line.path("out/go")).unwrap();
    let daemon = line.start();
    drop_defect(&line, "worse.png");
    wait_for_state(&line, "started", 1);
    drop_defect(&line, "later.png");
    wait_for_state(&line, "pending", 1);
    assert!(daemon.stop().success());
    assert_eq!(line.sql("SELECT reason FROM actions WHERE state = 'failed'").unwrap(), "was killed, as the daemon stopped before it ended");
    wait_for_state(&line, "pending", 1);
    std::fs::write(line.path("out/go"), "").unwrap();
    let daemon = line.start();
    wait_for_state(&line, "done", 2);
    assert!(daemon.stop().success());
}

#[test]
fn a_reload_waits_for_the_running_command_and_loses_none_that_waits() {
    let line = line(BLOCKED, "timeout: 60s, max_age: 24h");
    let daemon = line.start();
    line.wait_for_bank("disc");
    drop_defect(&line, "bad.png");
    wait_for_state(&line, "started", 1);
    drop_defect(&line, "worse.png");
    wait_for_state(&line, "pending", 1);
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'reload'", "1");
    std::fs::write(line.path("out/go"), "").unwrap();
    wait_for_state(&line, "done", 2);
    assert_eq!(runs(&line), 2);
    assert!(daemon.stop().success());
}
