//! Hours in minutes: a line that runs with changing OK images, faults, restarts and reloads, and what it holds on to meanwhile.
//!
//! The daemon is stopped or killed, and started again, in the first third alone: a slope needs one process, which then has a sixth of
//! the time to reach its size before the slopes are taken of the second half.

use super::ledger::check_dead;
use super::plant::{PRODUCTS, Plant};
use super::process::{Held, last_lines};
use crate::helper::{Daemon, Part, jpeg_bytes, number, scaled_seconds, wait_for, write_image};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SAMPLE: Duration = Duration::from_secs(10);
const REPORT: Duration = Duration::from_secs(60);
const TROUBLE: Duration = Duration::from_secs(10);
const RESTART: Duration = Duration::from_secs(25);
/// Between two looks at what is due.
const TURN: Duration = Duration::from_millis(400);
/// For so long the machine has no time for the daemon.
const HANG: Duration = Duration::from_secs(2);
/// Images are taken away, with what was written beside them, when they were decided so long ago.
const KEEP: &str = "-60 seconds";

/// One look at the daemon.
struct Sample {
    hours: f64,
    held: Held,
    database: f64,
    backlog: f64,
}

/// `make soak MINUTES=30`.
#[test]
#[ignore = "takes as long as it is told to; run by `make soak`"]
fn soak_run() {
    let minutes = number("MINUTES").unwrap_or(30);
    let length = Duration::from_secs(minutes * 60);
    let mut rng = ChaCha8Rng::seed_from_u64(minutes);
    let mut plant = Plant::new();
    let config = std::fs::read_to_string(plant.line.config()).unwrap();
    std::fs::write(plant.line.config(), config.replace(&format!("give_up_after: {}", scaled_seconds(120)), "give_up_after: 10s")).unwrap();
    let mut daemon = plant.ear.start(&plant.line);
    plant.ear.wait_ready(&plant.line);

    let begin = Instant::now();
    let (mut samples, mut faults): (Vec<Sample>, u32) = (Vec::new(), 0);
    let (mut next_sample, mut next_report, mut next_fault, mut next_restart) = (begin, begin, begin, begin + RESTART);
    let (mut turn, mut restarts) = (0, 0);
    println!("minute   RSS MiB   heap MiB   descriptors   watches   threads   database MiB   backlog   images");
    while begin.elapsed() < length {
        plant.ear.drain();
        plant.shoot(1, &mut rng);
        std::thread::sleep(TURN);
        let now = Instant::now();
        if now >= next_fault {
            next_fault = now + TROUBLE;
            turn += 1;
            faults += trouble(&plant, &daemon, turn, &mut rng);
            tidy_up(&plant);
        }
        if now >= next_restart && now < begin + length / 3 {
            next_restart = now + RESTART;
            restarts += 1;
            daemon = restart(&plant, daemon, restarts % 2 == 0);
        }
        if now >= next_sample {
            next_sample = now + SAMPLE;
            samples.push(sample(&plant, &daemon, begin));
        }
        if now >= next_report {
            next_report = now + REPORT;
            show(samples.last().unwrap(), plant.book.images());
        }
    }
    plant.finish_cameras();
    let images = plant.book.images();
    let expected = format!("{images} done, {faults} failed");
    wait_for("all images to be decided", || {
        plant.ear.drain();
        let counts = "SELECT sum(state = 'done') || ' done, ' || sum(state = 'failed') || ' failed' FROM inspections WHERE (SELECT count(*) FROM inspections WHERE state = 'pending') = 0";
        match plant.line.sql(counts) {
            Ok(seen) if seen == expected => Ok(()),
            other => Err(format!("{other:?}, expected {expected}\n{}", last_lines(&plant.line.log()))),
        }
    });
    samples.push(sample(&plant, &daemon, begin));
    show(samples.last().unwrap(), images);
    assert!(daemon.stop().success());
    assert_eq!(check_dead(&plant.line, &PRODUCTS), Vec::<String>::new());
    println!(
        "lost 0, duplicated 0; {expected}; restarts {restarts}; faults and changes {turn}; banks {}",
        plant.line.sql("SELECT group_concat(t) FROM (SELECT state || ' ' || count(*) AS t FROM banks GROUP BY state)").unwrap()
    );
    slopes(&samples);
}

/// By SIGKILL or by SIGTERM.
fn restart(plant: &Plant, daemon: Daemon, killed: bool) -> Daemon {
    if killed {
        daemon.kill()
    } else {
        assert!(daemon.stop().success())
    }
    let daemon = plant.ear.start(&plant.line);
    plant.ear.wait_ready(&plant.line);
    daemon
}

/// Something that happens on a line now and then; returns how many files have to fail because of it.
fn trouble(plant: &Plant, daemon: &Daemon, turn: u32, rng: &mut ChaCha8Rng) -> u32 {
    let drop = |product: usize| plant.line.drop(PRODUCTS[product]);
    match turn % 8 {
        0 => daemon.signal(Signal::HUP),
        1 | 4 => plant.change_ok(rng),
        // For want of memory, as it were; the build is tried again.
        6 => {
            plant.change_ok(rng);
            wait_for("a build to kill", || if daemon.kill_build() { Ok(()) } else { Err(last_lines(&plant.line.log())) });
        }
        // The machine has no time for the daemon, or hangs.
        7 => {
            daemon.signal(Signal::STOP);
            std::thread::sleep(HANG);
            daemon.signal(Signal::CONT);
        }
        2 => {
            let jpeg = jpeg_bytes(Part::ok(turn));
            std::fs::write(drop(0).join(format!("cut{turn}.jpg")), &jpeg[..jpeg.len() / 2]).unwrap();
            return 1;
        }
        3 => {
            std::fs::write(drop(3).join(format!("junk{turn}.jpg")), "this is not an image, whatever its name says").unwrap();
            return 1;
        }
        // A folder within the drop folder is taken away and made again under its name.
        _ => {
            let folder = drop(0).join("shift");
            let done = format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '{}/%'", folder.display());
            plant.line.wait_sql(&done, &plant.book.images_below(&folder).to_string());
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
            for number in 0..3 {
                let path = folder.join(format!("{turn}-{number}.png"));
                write_image(&path, Part::ok(number));
                plant.book.dropped(&path);
            }
        }
    }
    0
}

/// Takes decided images away, as plants do.
fn tidy_up(plant: &Plant) {
    let old = format!(
        "SELECT json_group_array(image_path) FROM inspections WHERE decided_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{KEEP}')
         AND decided_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{KEEP}', '-120 seconds') AND image_path NOT LIKE '%latest.png'"
    );
    let paths: Vec<PathBuf> = serde_json::from_str(&plant.line.sql(&old).unwrap()).unwrap();
    for path in paths {
        for suffix in ["", ".mask.png", ".overlay.png", ".scores.json", ".done"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
        // A folder of its own goes with it; others are not empty, or the cameras need them.
        if path.parent().is_some_and(|folder| folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"NewFolder"))) {
            let _ = std::fs::remove_dir(path.parent().unwrap_or(Path::new("")));
        }
    }
}

fn sample(plant: &Plant, daemon: &Daemon, begin: Instant) -> Sample {
    let size = |name: &str| std::fs::metadata(plant.line.path(name)).map_or(0, |meta| meta.len());
    Sample {
        hours: begin.elapsed().as_secs_f64() / 3600.0,
        held: Held::of(daemon.pid()),
        database: (size("history.db") + size("history.db-wal")) as f64 / f64::from(1 << 20),
        backlog: f64::from(plant.pending()),
    }
}

fn show(sample: &Sample, images: u32) {
    let held = &sample.held;
    println!(
        "{:6.1} {:9.1} {:10.1} {:13} {:9} {:9} {:14.2} {:9} {:8}",
        sample.hours * 60.0,
        held.resident,
        held.anonymous,
        held.descriptors,
        held.watches,
        held.threads,
        sample.database,
        sample.backlog,
        images
    );
}

/// Least squares over the second half of the samples.
fn slopes(samples: &[Sample]) {
    let rest = &samples[samples.len() / 2..];
    type Figure = fn(&Sample) -> f64;
    let figures: [(&str, Figure); 7] = [
        ("RSS MiB", |s| s.held.resident),
        ("heap MiB", |s| s.held.anonymous),
        ("descriptors", |s| s.held.descriptors),
        ("watches", |s| s.held.watches),
        ("threads", |s| s.held.threads),
        ("database MiB", |s| s.database),
        ("backlog", |s| s.backlog),
    ];
    println!("slopes per hour, by least squares, and their standard errors, of the {} samples of the second half:", rest.len());
    for (name, figure) in figures {
        let points: Vec<(f64, f64)> = rest.iter().map(|sample| (sample.hours, figure(sample))).collect();
        let (slope, error) = slope(&points);
        println!("  {name:14} {slope:+.2} ± {error:.2}");
    }
}

/// With its standard error: what merely goes up and down, as watched folders do, has a slope too.
fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    (slope, (rest / (count - 2.0) / spread).sqrt())
}

#[test]
fn the_slope_of_a_line_is_found() {
    let line = |bend: fn(u32) -> f64| (0..4).map(|i| (f64::from(i), 5.0 + 2.5 * f64::from(i) + bend(i))).collect::<Vec<_>>();
    let (straight, error) = slope(&line(|_| 0.0));
    assert!((straight - 2.5).abs() < 1e-9 && error < 1e-9);
    // Four residuals of one half: √(4·¼ / (4 - 2) / 5).
    let (bent, error) = slope(&line(|i| if i == 0 || i == 3 { 0.5 } else { -0.5 }));
    assert!((bent - 2.5).abs() < 1e-9 && (error - 0.1_f64.sqrt()).abs() < 1e-9);
}
