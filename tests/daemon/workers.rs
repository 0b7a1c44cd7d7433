//! Every worker of the daemon is watched: one that ends by itself ends the daemon, which names it.

use crate::helper::{Line, Product, at_once, scaled_seconds, script};
use std::collections::BTreeSet;

/// A line in which every kind of worker runs.
fn full_line() -> Line {
    let mut product = Product::new("disc");
    product.extra = "    retention: {ok_outputs: 1d}\n".to_owned();
    let line = Line::new(&[product]);
    let command = script(&line, "act", "exit 0");
    let on_ng = format!("    on_ng: {{command: [{}], timeout: {}}}\n", command.display(), scaled_seconds(5));
    line.change_config("    retention:", &format!("{on_ng}    retention:"));
    // Nobody listens there, which is none of the worker's business.
    line.configure_also("mqtt: {broker: 'mqtt://127.0.0.1:9', topic: 't/{product}'}\n");
    line
}

/// The names in the log of a daemon with this line, in which the folder of the line is `ROOT`.
fn workers(line: &Line) -> BTreeSet<String> {
    let daemon = line.start_with(|command| {
        command.env("RUST_LOG", "info,patchcored=debug");
    });
    line.wait_for_log(" ready ");
    daemon.stop();
    let log = line.log();
    let name = |entry: &str| Some(entry.split_once("worker started worker=\"")?.1.split_once('"')?.0.to_owned());
    log.lines().filter_map(name).collect()
}

#[test]
fn a_worker_that_ends_by_itself_ends_the_daemon_with_its_name() {
    let line = full_line();
    let drop = format!("intake of {}", line.drop("disc").display());
    let all = workers(&line);
    let expected = [
        "systemd",
        "database keeper",
        "bank keeper of disc",
        "rebuilder of disc",
        "processes of on_ng",
        "on_ng of disc",
        "mqtt",
        "mqtt.keep",
        "dispatcher",
        "engine",
        "recorder",
        &drop,
        "watchdog",
        "full disk",
        "clock",
        "requests",
        "waits",
        "retention",
    ];
    assert_eq!(all, expected.iter().map(|name| (*name).to_owned()).collect());
    at_once(expected, |name| {
        let line = full_line();
        let name = name.replace(&drop, &format!("intake of {}", line.drop("disc").display()));
        let mut daemon = line.start_with(|command| {
            command.env("PATCHCORED_END_WORKER", &name);
        });
        let status = daemon.wait();
        let log = line.log();
        assert_eq!(status.code(), Some(1), "{name}: {log}");
        assert!(log.contains(&format!("error[worker_ended]: worker `{name}` ended: ")), "{name}: {log}");
    });
}
