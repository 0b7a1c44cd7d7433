//! A daemon that hangs for real, and what systemd is told of it.

use crate::helper::{
    Broker, Daemon, Frozen, Line, Mount, Part, Product, Systemd, WriteLock, arg, scaled_seconds, script, wait_for, write_image,
};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Short, so that a test does not wait for long; whatever stands still for a moment on a busy machine goes on again.
const WATCHDOG: Duration = Duration::from_secs(4);
/// A build may be silent for five times as long as others.
const WATCHDOG_OF_BUILDS: Duration = Duration::from_secs(2);
const FED: &str = "WATCHDOG=1";
const STATUS: &str = "STATUS=backlog ";

/// A daemon with a bank, that is alive as far as systemd knows.
fn watched_line() -> (Line, Systemd, Daemon) {
    watched(Line::new(&[Product::new("disc")]))
}

/// The same with a configuration of its own.
fn watched(line: Line) -> (Line, Systemd, Daemon) {
    line.fill_ok("disc", 0..6);
    let systemd = Systemd::new(&line);
    let daemon = systemd.start(&line, WATCHDOG);
    line.wait_for_bank("disc");
    systemd.wait(0, FED, 2);
    (line, systemd, daemon)
}

fn drop_image(line: &Line, number: u32) {
    write_image(&line.drop("disc").join(format!("{number:03}.png")), Part::ok(number));
}

/// Waits until the daemon says that this worker is stuck; from then on it must be silent for longer than systemd waits.
fn wait_until_given_up(systemd: &Systemd, line: &Line, worker: &str) -> usize {
    wait_for(&format!("`{worker}` to be found stuck"), || {
        let log = line.log();
        let found = log.lines().any(|entry| entry.contains("a worker is stuck") && entry.contains(&format!("worker={worker}")));
        if found { Ok(()) } else { Err(log) }
    });
    systemd.note(&format!("(the log says that `{worker}` is stuck)"));
    systemd.mark()
}

fn wait_done(line: &Line, images: u32) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &images.to_string());
}

#[test]
fn a_hung_engine_is_not_fed_for_until_it_goes_on() {
    let (line, systemd, daemon) = watched_line();
    systemd.note("(the engine thread is frozen)");
    let Some(frozen) = Frozen::threads(&daemon, "engine") else { return };
    // Without work it is healthy, however long it rests: longer than the watchdog's time passes between so many.
    let idle = systemd.mark();
    systemd.wait(idle, FED, 8);
    systemd.note("(an image arrives)");
    drop_image(&line, 0);
    let given_up = wait_until_given_up(&systemd, &line, "engine");
    // The rest of the daemon answers: ten seconds by its own clock.
    systemd.wait(given_up, STATUS, 3);
    assert_eq!(systemd.count(given_up, FED), 0, "{}", systemd.transcript());
    assert!(systemd.since(given_up).iter().any(|entry| entry.ends_with(", engine is stuck")), "{}", systemd.transcript());
    line.wait_sql(
        "SELECT detail LIKE 'engine: has work and made no step for % s; systemd restarts %' FROM events WHERE kind = 'worker_stuck'",
        "1",
    );
    systemd.note("(the engine thread goes on)");
    drop(frozen);
    systemd.wait(given_up, FED, 2);
    wait_done(&line, 1);
    line.wait_sql("SELECT detail LIKE 'engine: works again%' FROM events WHERE kind = 'worker_stuck_over'", "1");
    assert!(daemon.stop().success());
    println!("{}", systemd.transcript());
}

#[test]
fn a_daemon_with_a_hung_engine_is_restarted_and_loses_nothing() {
    let (line, systemd, mut daemon) = watched_line();
    let Some(frozen) = Frozen::threads(&daemon, "engine") else { return };
    for number in 0..6 {
        drop_image(&line, number);
    }
    let given_up = wait_until_given_up(&systemd, &line, "engine");
    systemd.wait(given_up, STATUS, 2);
    assert_eq!(systemd.count(given_up, FED), 0, "{}", systemd.transcript());
    systemd.note("(the watchdog's time is over: SIGABRT)");
    daemon.signal(Signal::ABORT);
    // Its tracer holds a dead thread back as it did the living one.
    drop(frozen);
    assert!(!daemon.wait().success());
    let daemon = systemd.start(&line, WATCHDOG);
    systemd.wait(given_up, FED, 2);
    wait_done(&line, 6);
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "6");
    assert!(daemon.stop().success());
    println!("{}", systemd.transcript());
}

#[test]
fn an_intake_thread_that_hangs_by_itself_is_not_fed_for() {
    let (line, systemd, daemon) = watched_line();
    let Some(frozen) = Frozen::threads(&daemon, "intake") else { return };
    let given_up = wait_until_given_up(&systemd, &line, "intake of");
    systemd.wait(given_up, STATUS, 2);
    assert_eq!(systemd.count(given_up, FED), 0, "{}", systemd.transcript());
    drop(frozen);
    systemd.wait(given_up, FED, 2);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_stuck'").unwrap(), "0", "the folder is well");
    assert!(daemon.stop().success());
}

#[test]
fn a_hung_share_does_not_have_the_daemon_restarted() {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    let Some(share) = Mount::share(&line.path("far-source"), &line.drop("far")) else { return };
    line.fill_ok("near", 0..6);
    let systemd = Systemd::new(&line);
    let daemon = systemd.start(&line, WATCHDOG);
    line.wait_for_bank("near");
    systemd.note("(the share of `far` hangs)");
    share.freeze();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_stuck'", "1");
    // The thread has long been silent for longer than the watchdog's time.
    let hung = systemd.mark();
    systemd.wait(hung, FED, 16);
    assert!(!line.log().contains("a worker is stuck"), "{}", line.log());
    write_image(&line.drop("near").join("a.png"), Part::ok(1));
    wait_done(&line, 1);
    share.thaw();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_stuck_over'", "1");
    assert!(daemon.stop().success());
    println!("{}", systemd.transcript());
}

/// Stops the build while it computes: one that is stopped in a system call seems to wait for its files.
fn stop_computing(daemon: &Daemon) -> Pid {
    wait_for("a build that computes", || {
        let build = daemon.build_process().ok_or("no build")?;
        kill_process(build, Signal::STOP).unwrap();
        let tasks = std::fs::read_dir(format!("/proc/{build}/task")).map_err(|e| e.to_string())?.flatten();
        let calls: Vec<_> = tasks.map(|task| std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default()).collect();
        if calls.iter().all(|call| call.starts_with("-1") || call.starts_with("202 ")) {
            return Ok(build);
        }
        kill_process(build, Signal::CONT).unwrap();
        Err(calls.concat())
    })
}

#[test]
fn a_build_that_does_nothing_is_not_fed_for_and_one_that_computes_is() {
    let line = Line::new(&[Product::new("disc")]);
    // Long enough in the network to be found at it, and with few patches soon done.
    line.change_config("shorter: 64, stride: 1", "shorter: 512, stride: 4");
    line.fill_ok("disc", 0..30);
    let systemd = Systemd::new(&line);
    let daemon = systemd.start(&line, WATCHDOG_OF_BUILDS);
    let build = stop_computing(&daemon);
    let stopped = systemd.mark();
    let given_up = wait_until_given_up(&systemd, &line, "build of disc");
    assert!(systemd.count(stopped, FED) >= 10, "it may read for five times as long as others work: {}", systemd.transcript());
    systemd.wait(given_up, STATUS, 2);
    assert_eq!(systemd.count(given_up, FED), 0, "{}", systemd.transcript());
    kill_process(build, Signal::CONT).unwrap();
    systemd.wait(given_up, FED, 2);
    line.wait_for_bank("disc");
    assert!(daemon.stop().success());
}

#[test]
fn a_database_that_takes_nothing_is_not_fed_for() {
    let (line, systemd, daemon) = watched_line();
    systemd.note("(another program keeps a transaction open)");
    let lock = WriteLock::take(&line.path("history.db"));
    let given_up = wait_until_given_up(&systemd, &line, "database");
    systemd.wait(given_up, STATUS, 2);
    assert_eq!(systemd.count(given_up, FED), 0, "{}", systemd.transcript());
    systemd.note("(it closes it)");
    drop(lock);
    systemd.wait(given_up, FED, 2);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'worker_stuck_over' AND detail LIKE 'database: %'", "1");
    drop_image(&line, 0);
    wait_done(&line, 1);
    assert!(daemon.stop().success());
    println!("{}", systemd.transcript());
}

#[test]
fn a_daemon_whose_tasks_stand_still_is_not_fed_for() {
    let (line, systemd, daemon) = watched_line();
    // Dispatcher, recorder, rebuilders and the watchdog itself are tasks on these threads.
    let Some(frozen) = Frozen::threads(&daemon, "tokio-rt-worker") else { return };
    let given_up = systemd.mark();
    std::thread::sleep(WATCHDOG * 2);
    assert_eq!(systemd.since(given_up), [""; 0]);
    drop(frozen);
    systemd.wait(given_up, FED, 2);
    drop_image(&line, 0);
    wait_done(&line, 1);
    assert!(daemon.stop().success());
}

#[test]
fn who_hands_out_commands_is_watched_too() {
    let line = Line::new(&[Product::new("disc")]);
    let waits = script(&line, "waits", "while [ ! -e \"$OUT/go\" ]; do sleep 0.1; done");
    line.configure_also(&format!(
        "    on_ng: {{command: [{}], concurrent: 1, timeout: {}, max_age: 10m}}\n",
        arg(&waits),
        scaled_seconds(60)
    ));
    let (line, systemd, daemon) = watched(line);
    for number in 0..2 {
        write_image(&line.drop("disc").join(format!("{number}.png")), Part::ng(number));
    }
    line.wait_sql("SELECT group_concat(state) FROM (SELECT state FROM actions ORDER BY state)", "pending,started");
    let lock = WriteLock::take(&line.path("history.db"));
    let given_up = wait_until_given_up(&systemd, &line, "on_ng of disc");
    drop(lock);
    systemd.wait(given_up, FED, 2);
    std::fs::write(line.path("out/go"), "").unwrap();
    line.wait_sql("SELECT count(*) FROM actions WHERE state = 'done'", "2");
    assert!(daemon.stop().success());
}

#[test]
fn who_deletes_old_files_is_watched_too() {
    let line = Line::new(&[Product::new("disc")]);
    // Long enough that the lock is taken before the time has come.
    line.configure_also("    retention: {ok_outputs: 10s, keep_at_least: 10s}\n");
    let (line, systemd, daemon) = watched(line);
    write_image(&line.drop("disc").join("good.png"), Part::ok(1));
    wait_done(&line, 1);
    let lock = WriteLock::take(&line.path("history.db"));
    let given_up = wait_until_given_up(&systemd, &line, "retention");
    drop(lock);
    systemd.wait(given_up, FED, 2);
    line.wait_sql("SELECT count(*) FROM inspections WHERE outputs_deleted_at IS NOT NULL", "1");
    assert!(daemon.stop().success());
}

#[test]
fn who_publishes_messages_is_watched_too() {
    let line = Line::new(&[Product::new("disc")]);
    let Some(mut broker) = Broker::new(&line.path("broker")) else { return };
    broker.start();
    line.configure_also(&broker.section("publish: all"));
    let (line, systemd, daemon) = watched(line);
    // The publisher works when it has its connection.
    drop_image(&line, 0);
    let published = "SELECT (SELECT count(*) FROM inspections WHERE state = 'done') - (SELECT count(*) FROM mqtt_outbox)";
    line.wait_sql(published, "1");
    // All that read the database for the daemon; the publisher looks for messages each second.
    let Some(frozen) = Frozen::threads(&daemon, "sqlx-sqlite-wor") else { return };
    wait_until_given_up(&systemd, &line, "mqtt");
    // What hangs first does not keep the others from being told: their rows wait, the log does not.
    let given_up = wait_until_given_up(&systemd, &line, "database");
    drop(frozen);
    systemd.wait(given_up, FED, 2);
    drop_image(&line, 1);
    line.wait_sql(published, "2");
    assert!(daemon.stop().success());
}
