//! Kills without number: the daemon dies at random moments, and the ledger still comes out even.

use super::ledger::Findings;
use super::plant::Plant;
use crate::helper::{Daemon, number, scaled, wait_up_to};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// More than so many images waiting: the cameras pause, and the daemon lives until it has caught up.
const BACKLOG: u32 = 150;

/// A life that is to see a bank built ends after this time all the same.
fn long_life() -> Duration {
    scaled(Duration::from_secs(5))
}

#[derive(Default)]
struct Tally {
    kills: u32,
    build_kills: u32,
    stops: u32,
    hurried_stops: u32,
    reloads: u32,
    ready: Vec<Duration>,
}

#[test]
fn a_few_kills_lose_nothing() {
    let seed = any_seed();
    let (findings, tally) = chaos(15, seed);
    report(&findings, &tally);
    assert_eq!(findings, Findings::default(), "repeat the run with `make chaos N=15 SEED={seed}`");
}

/// `make chaos N=1000`, with `SEED=…` to repeat a run.
#[test]
#[ignore = "takes about a second per kill; run by `make chaos`"]
fn chaos_run() {
    let seed = number("SEED").unwrap_or_else(any_seed);
    let kills = number("N").unwrap_or(1000) as u32;
    let (findings, mut tally) = chaos(kills, seed);
    report(&findings, &tally);
    assert_eq!(findings, Findings::default());
    tally.ready.sort();
    assert!(tally.ready.last().is_none_or(|longest| *longest < scaled(Duration::from_secs(10))), "READY came after more than 10 s");
}

fn any_seed() -> u64 {
    RandomState::new().hash_one(0)
}

fn chaos(kills: u32, seed: u64) -> (Findings, Tally) {
    println!("{kills} kills, SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut plant = Plant::new();
    let mut tally = Tally::default();
    let (mut rows, mut reported) = (0, 0);
    while tally.kills < kills {
        let daemon = plant.ear.start(&plant.line);
        let behind = plant.pending() > BACKLOG;
        if !behind {
            plant.shoot(rng.random_range(0..6), &mut rng);
        }
        if rng.random_bool(0.15) {
            plant.change_ok(&mut rng);
        }
        let ready = live(&plant, &daemon, behind, &mut rng, &mut tally);
        die(daemon, ready, &mut rng, &mut tally);
        plant.check_dead();
        let now = plant.line.sql("SELECT count(*) FROM inspections").map_or(0, |count| count.parse::<u32>().unwrap());
        assert!(now >= rows, "there were {rows} rows and are {now}");
        rows = now;
        if tally.kills >= reported + 50 {
            reported = tally.kills;
            println!("{} kills, {} images, {} pending", tally.kills, plant.book.images(), plant.pending());
        }
    }
    let findings = plant.settle();
    println!("images {}, rows {}", plant.book.images(), plant.line.sql("SELECT count(*) FROM inspections").unwrap());
    println!(
        "banks by state {}",
        plant.line.sql("SELECT group_concat(t) FROM (SELECT state || ' ' || count(*) AS t FROM banks GROUP BY state)").unwrap()
    );
    (findings, tally)
}

/// Some die before they are ready, most soon after, a few see a bank built. True when READY was awaited.
fn live(plant: &Plant, daemon: &Daemon, behind: bool, rng: &mut ChaCha8Rng, tally: &mut Tally) -> bool {
    if rng.random_bool(0.15) && !behind {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..600)));
        return false;
    }
    tally.ready.push(plant.ear.wait_ready(&plant.line));
    let begin = Instant::now();
    if behind {
        wait_up_to(long_life(), || (plant.pending() <= BACKLOG / 3).then_some(()));
    } else if rng.random_bool(0.1) {
        let banks = || plant.line.sql("SELECT count(*) FROM banks WHERE state <> 'failed'");
        let before = banks();
        let mut build_killed = !rng.random_bool(0.3);
        while banks() == before && begin.elapsed() < long_life() {
            if !build_killed && rng.random_bool(0.1) && daemon.kill_build() {
                build_killed = true;
                tally.build_kills += 1;
            }
            std::thread::sleep(Duration::from_millis(rng.random_range(5..50)));
        }
    }
    std::thread::sleep(Duration::from_millis(rng.random_range(0..400)));
    true
}

fn die(daemon: Daemon, ready: bool, rng: &mut ChaCha8Rng, tally: &mut Tally) {
    match rng.random_range(0..100) {
        0..6 => {
            tally.stops += 1;
            stop(daemon, ready);
        }
        6..10 => {
            tally.hurried_stops += 1;
            daemon.signal(Signal::TERM);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..30)));
            stop(daemon, ready);
        }
        10..15 => {
            tally.reloads += 1;
            daemon.signal(Signal::HUP);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..1000)));
            tally.kills += 1;
            daemon.kill();
        }
        _ => {
            tally.kills += 1;
            daemon.kill();
        }
    }
}

fn stop(daemon: Daemon, ready: bool) {
    let status = daemon.stop();
    // Before it listens to signals, SIGTERM ends it as it ends any program.
    assert!(status.success() || !ready, "stopped with {status}");
}

fn report(findings: &Findings, tally: &Tally) {
    let mut ready: Vec<u128> = tally.ready.iter().map(Duration::as_millis).collect();
    ready.sort_unstable();
    let at = |share: f64| ready.get(((ready.len() as f64 * share) as usize).min(ready.len().saturating_sub(1))).copied().unwrap_or(0);
    println!(
        "kills {}, of the build alone {}, SIGTERM {}, twice {}, SIGHUP {}",
        tally.kills, tally.build_kills, tally.stops, tally.hurried_stops, tally.reloads
    );
    println!(
        "lost {}, duplicated {}, torn {}, undecided {}, litter {}, damage {}",
        findings.lost.len(),
        findings.duplicated.len(),
        findings.torn.len(),
        findings.undecided.len(),
        findings.litter.len(),
        findings.damage.len()
    );
    println!("start to READY, ms, of {} starts: p50 {}, p99 {}, longest {}", ready.len(), at(0.5), at(0.99), at(1.0));
}
