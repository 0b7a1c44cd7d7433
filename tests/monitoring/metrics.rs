//! What is counted is what the history has.

use super::{Metrics, Pages, promtool};
use crate::helper::{Daemon, Line, Part, Product, arg, write_image};
use rustix::process::Signal;

/// `disc` has a bank; `late` has none.
fn line() -> Line {
    let line = Line::new(&[Product::new("disc"), Product::new("late")]);
    line.fill_ok("disc", 0..6);
    line
}

/// Good and bad parts, files that are no images, and one for `late`.
fn drop_files(line: &Line, run: u32) {
    for number in 0..4 {
        write_image(&line.drop("disc").join(format!("good{run}-{number}.png")), Part::ok(number));
    }
    for number in 0..2 {
        write_image(&line.drop("disc").join(format!("bad{run}-{number}.png")), Part::ng(number));
    }
    std::fs::write(line.drop("disc").join(format!("list{run}.jpg")), "this is a shopping list, not an image").unwrap();
    std::fs::write(line.drop("disc").join(format!("cut{run}.png")), b"\x89PNG\r\n\x1a\n half").unwrap();
    write_image(&line.drop("late").join(format!("early{run}.png")), Part::ok(1));
}

fn wait_for_run(line: &Line, run: u32) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(6 * run).to_string());
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", &(2 * run).to_string());
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'pending'", &run.to_string());
}

fn number(line: &Line, query: &str) -> f64 {
    line.sql(query).unwrap().parse().unwrap()
}

/// Every counter is compared with the rows that it stands for. Decisions are counted right after they are recorded, so this is for a
/// line at rest; see [`settled`].
fn compare(line: &Line, metrics: &Metrics) -> Result<(), String> {
    let count = |of: &str| number(line, &format!("SELECT count(*) FROM {of}"));
    let mut wrong = Vec::new();
    let mut same = |sample: &str, expected: f64| {
        let seen = metrics.get(sample);
        if seen != Some(expected) {
            wrong.push(format!("{sample}: {seen:?}, but the history has {expected}"));
        }
    };
    for product in ["disc", "late"] {
        let of = format!("inspections WHERE product = '{product}'");
        same(&format!("patchcored_arrivals_total{{product=\"{product}\"}}"), count(&of));
        for decision in ["ok", "ng"] {
            let sample = format!("patchcored_inspections_total{{product=\"{product}\",decision=\"{decision}\"}}");
            same(&sample, count(&format!("{of} AND decision = '{decision}'")));
        }
        let done = count(&format!("{of} AND state = 'done'"));
        same(&format!("patchcored_inspection_latency_seconds_count{{product=\"{product}\"}}"), done);
        for (reason, text) in [("not_an_image", "is not a JPEG%"), ("incomplete", "incomplete%")] {
            let sample = format!("patchcored_failures_total{{product=\"{product}\",reason=\"{reason}\"}}");
            same(&sample, count(&format!("{of} AND state = 'failed' AND reason LIKE '{text}'")));
        }
        let built = count(&format!("banks WHERE product = '{product}' AND state <> 'failed'"));
        same(&format!("patchcored_rebuilds_total{{product=\"{product}\",outcome=\"built\"}}"), built);
        let refused = count(&format!("banks WHERE product = '{product}' AND reason LIKE 'refused%'"));
        same(&format!("patchcored_rebuilds_total{{product=\"{product}\",outcome=\"refused\"}}"), refused);
        same(&format!("patchcored_pending_images{{product=\"{product}\"}}"), count(&format!("{of} AND state = 'pending'")));
        same(&format!("patchcored_bank_in_use{{product=\"{product}\"}}"), built.min(1.0));
    }
    for stage in ["decode", "engine", "write"] {
        same(&format!("patchcored_stage_duration_seconds_count{{stage=\"{stage}\"}}"), count("inspections WHERE state = 'done'"));
    }
    same("patchcored_events_total{level=\"info\",kind=\"start\"}", count("events WHERE kind = 'start'"));
    same("patchcored_reloads_total{outcome=\"accepted\"}", count("events WHERE kind = 'reload'"));
    same("patchcored_reloads_total{outcome=\"refused\"}", count("events WHERE kind = 'reload_refused'"));
    for (name, of) in [("events", "events"), ("failures", "inspections WHERE state = 'failed'"), ("arrivals", "inspections")] {
        let sum = metrics.sum(&format!("patchcored_{name}_total"), &[]);
        if sum != count(of) {
            wrong.push(format!("{name}: {sum} in all, but the history has {}", count(of)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Waits until all counters are what the history has; returns them.
fn settled(line: &Line, pages: &Pages) -> Metrics {
    crate::helper::wait_for("metrics and history to agree", || {
        let metrics = pages.metrics();
        compare(line, &metrics).map(|()| metrics)
    })
}

fn started(line: &Line) -> Daemon {
    let daemon = line.start();
    line.wait_for_bank("disc");
    daemon
}

#[test]
fn counters_are_what_the_history_has() {
    let line = line();
    let pages = Pages::port(&line);
    let daemon = started(&line);
    drop_files(&line, 1);
    wait_for_run(&line, 1);
    let metrics = settled(&line, &pages);

    let decide = "SELECT round(sum((julianday(decided_at) - julianday(seen_at)) * 86400), 1) FROM inspections WHERE state = 'done'";
    let latency = metrics.get("patchcored_inspection_latency_seconds_sum{product=\"disc\"}").unwrap();
    assert!((latency - number(&line, decide)).abs() < 0.2, "{latency}");
    let engine = metrics.get("patchcored_stage_duration_seconds_sum{stage=\"engine\"}").unwrap();
    let recorded = number(&line, "SELECT sum(engine_ms) / 1000 FROM inspections WHERE state = 'done'");
    assert!((engine - recorded).abs() < 1e-6, "{engine} {recorded}");
    assert_eq!(metrics.get("patchcored_bank_version{product=\"disc\"}"), Some(1.0));
    assert_eq!(metrics.get("patchcored_bank_version{product=\"late\"}"), None);
    assert_eq!(metrics.get("patchcored_bank_rows{product=\"disc\"}"), Some(number(&line, "SELECT rows FROM banks WHERE state = 'active'")));
    assert!(metrics.get("patchcored_bank_age_seconds{product=\"disc\"}").is_some_and(|age| (0.0..600.0).contains(&age)));
    assert!(metrics.get("patchcored_oldest_pending_age_seconds{product=\"late\"}").is_some_and(|age| age > 0.0));
    assert_eq!(metrics.get("patchcored_oldest_pending_age_seconds{product=\"disc\"}"), Some(0.0));
    let state = |state: &str| format!("patchcored_drop_folder_state{{folder=\"{}\",state=\"{state}\"}}", arg(&line.drop("disc")));
    assert_eq!((metrics.get(&state("watched")), metrics.get(&state("lost"))), (Some(1.0), Some(0.0)));
    for (place, folder) in [("database", line.path("")), ("outputs", line.drop("disc")), ("bank", line.bank("disc"))] {
        let labels = format!("{{place=\"{place}\",folder=\"{}\"}}", arg(&folder).trim_end_matches('/'));
        let (free, size) =
            (metrics.get(&format!("patchcored_disk_free_bytes{labels}")), metrics.get(&format!("patchcored_disk_size_bytes{labels}")));
        assert!(free > Some(0.0) && size >= free, "{labels} {free:?} {size:?}");
    }
    assert_eq!(metrics.get(&format!("patchcored_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), Some(1.0));
    assert!(metrics.get("process_resident_memory_bytes") > Some(1e6));
    assert!(metrics.get("process_open_fds") > Some(5.0) && metrics.get("process_max_fds") >= metrics.get("process_open_fds"));
    assert!(metrics.get("process_cpu_seconds_total") > Some(0.0) && metrics.get("process_start_time_seconds") > Some(1.7e9));
    assert_eq!(metrics.sum("patchcored_problems", &[]), 0.0);

    let text = pages.ask("/metrics").unwrap().body;
    promtool(&["check", "metrics"], &text);
    for name in metrics.names() {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|family| text.contains(&format!("# TYPE {family} histogram")));
        let family = family.unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")) && text.contains(&format!("# TYPE {family} ")), "{family}");
    }
    assert!(daemon.stop().success());
}

#[test]
fn images_that_no_rule_takes_are_counted_without_a_product() {
    let product = Product { drop: "        match: \"a_*\"\n".to_owned(), ..Product::new("disc") };
    let line = Line::new(&[product]);
    let pages = Pages::socket(&line);
    let daemon = line.start();
    write_image(&line.drop("disc").join("b_1.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason = 'unrouted'", "1");
    pages.wait_metric("patchcored_failures_total{product=\"\",reason=\"unrouted\"}", 1.0);
    pages.wait_metric("patchcored_arrivals_total{product=\"\"}", 1.0);
    assert!(daemon.stop().success());
}

#[test]
fn a_reload_keeps_the_counters_and_moves_the_address() {
    let line = line();
    let port = Pages::port(&line);
    let daemon = started(&line);
    drop_files(&line, 1);
    wait_for_run(&line, 1);
    settled(&line, &port);

    let good = std::fs::read_to_string(line.config()).unwrap();
    std::fs::write(line.config(), good.replace("shorter: 64", "shorter: sixty-four")).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'reload_refused'", "1");
    settled(&line, &port);

    let socket = Pages::Socket(line.path("metrics.sock"));
    std::fs::write(line.config(), good.replace(&port.section(), &socket.section())).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "2");
    socket.wait();
    assert!(port.ask("/metrics").is_err(), "the old address is given back");
    drop_files(&line, 2);
    wait_for_run(&line, 2);
    let metrics = settled(&line, &socket);
    assert_eq!(metrics.get("patchcored_reloads_total{outcome=\"accepted\"}"), Some(1.0));

    std::fs::write(line.config(), good.replace(&port.section(), "")).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "3");
    crate::helper::wait_for("the socket to go", || if line.path("metrics.sock").exists() { Err("there".to_owned()) } else { Ok(()) });
    // Counted also while nobody can ask.
    drop_files(&line, 3);
    wait_for_run(&line, 3);
    std::fs::write(line.config(), good.replace(&port.section(), &socket.section())).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "4");
    socket.wait();
    settled(&line, &socket);
    assert!(daemon.stop().success());
    assert!(!line.path("metrics.sock").exists(), "the socket is removed at the end");
}
