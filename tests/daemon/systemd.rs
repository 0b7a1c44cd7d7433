//! What systemd is told of a daemon that is well. With one that is not, see `watchdog`.

use crate::helper::{Line, Part, Product, Systemd, at_once, write_image};
use rustix::process::Signal;
use std::time::Duration;

/// Far longer than anything takes here, so that the watchdog is not fed by the way.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn the_phases_of_a_daemon_are_told_in_their_order() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let systemd = Systemd::new(&line);
    let daemon = systemd.start(&line, LONG);
    let ready = systemd.wait(0, "READY=1", 1);
    let start = systemd.since(0);
    assert_eq!(start.iter().filter(|entry| entry.starts_with("EXTEND_TIMEOUT_USEC=3600000000")).count(), 1, "{start:?}");
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    systemd.wait(ready, "STATUS=backlog 0, ok 1, ng 0, failed 0, 1.0/min, last disc ok ", 1);

    // One that is refused is none.
    let good = std::fs::read_to_string(line.config()).unwrap();
    std::fs::write(line.config(), good.replace("shorter: 64", "shorter: sixty-four")).unwrap();
    systemd.note("(SIGHUP, with a configuration that cannot be used)");
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'reload_refused'", "1");
    assert_eq!(systemd.count(0, "RELOADING=1"), 0, "{}", systemd.transcript());
    std::fs::write(line.config(), &good).unwrap();
    systemd.note("(SIGHUP)");
    daemon.signal(Signal::HUP);
    let reloading = systemd.wait(0, "RELOADING=1", 1);
    let reloaded = systemd.wait(reloading, "READY=1", 1);
    let between = systemd.since(reloading);
    assert!(between[0].strip_prefix("MONOTONIC_USEC=").is_some_and(|now| now.parse::<u64>().is_ok()), "{between:?}");
    assert_eq!(systemd.count(0, "READY=1"), 2);
    assert!(systemd.since(reloading)[..reloaded - reloading].iter().any(|entry| entry.starts_with("EXTEND_TIMEOUT_USEC=")));

    systemd.note("(SIGTERM)");
    assert!(daemon.stop().success());
    systemd.wait(reloaded, "STOPPING=1", 1);
    println!("{}", systemd.transcript());
}

#[test]
fn the_watchdog_is_fed_as_often_as_its_time_asks_for() {
    // Between two of these the daemon waits five seconds by its own clock, on a busy machine too.
    const STATUS: &str = "STATUS=backlog ";
    // How often it is fed between so many of them, the transcript, and whether it was fed at all.
    let fed = |statuses: usize, environment: &[(&str, &str)]| {
        let line = Line::new(&[Product::new("disc")]);
        let systemd = Systemd::new(&line);
        let daemon = systemd.start_with(&line, |command| {
            command.envs(environment.iter().copied());
        });
        let begin = systemd.wait(0, STATUS, 1);
        let end = systemd.wait(begin, STATUS, statuses);
        assert!(daemon.stop().success());
        let between = systemd.since(begin)[..end - begin].iter().filter(|entry| *entry == "WATCHDOG=1").count();
        println!("{}", systemd.transcript());
        (between, systemd.count(0, "WATCHDOG=1"), systemd.transcript())
    };
    at_once(["often", "seldom", "of another process", "without"], |case| match case {
        "often" => {
            let (often, _, transcript) = fed(2, &[("WATCHDOG_USEC", "4000000")]);
            assert!(often >= 5, "within 10 s at least every 2 s, half of its time: {often}\n{transcript}");
        }
        "seldom" => {
            let (seldom, _, transcript) = fed(1, &[("WATCHDOG_USEC", "3600000000")]);
            assert_eq!(seldom, 0, "{transcript}");
        }
        case => {
            let environment: &[_] = if case == "without" { &[] } else { &[("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", "1")] };
            let (_, at_all, transcript) = fed(1, environment);
            assert_eq!(at_all, 0, "{transcript}");
        }
    });
}
