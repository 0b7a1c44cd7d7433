//! A small synthetic line on this machine, end to end.
//!
//! Draws two products with known defects ([`plan`]), makes the folders and the configuration of a line ([`mod@line`]), starts the
//! real daemon as a child ([`child`]), gives it OK images, plays the cameras ([`camera`]) while it builds and rebuilds banks,
//! and compares what the database then says with the truth ([`report`]). The daemon is not helped in any way: the demo only
//! writes files, sends SIGTERM and reads the database.

pub mod camera;
pub mod child;
pub mod defects;
pub mod disc;
pub mod line;
pub mod photo;
pub mod picture;
pub mod plan;
pub mod report;
pub mod watch;
pub mod weave;

use anyhow::{Context, anyhow};
use camera::CameraSignals;
use child::Daemon;
use indicatif::{ProgressBar, ProgressStyle};
use line::DemoLine;
use plan::{Product, ProductPlan};
use report::{DemoTally, Find};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use watch::DropWatch;

/// For the daemon to start: it loads libtorch and opens its database.
const START: Duration = Duration::from_secs(60);
/// For the first two banks, on a slow machine.
const BUILD: Duration = Duration::from_secs(300);
/// Without any new decision or bank while some are owed, the line counts as stuck.
const STALL: Duration = Duration::from_secs(180);
/// From SIGTERM to the end of the daemon.
const STOP: Duration = Duration::from_secs(30);

/// Runs the demo in `dir` and prints to `out`. `true` when every file that the cameras sent came to its right end and both
/// banks were rebuilt; false alarms and misses are reported and do not count against it.
///
/// Blocks for about a minute; not to be called from within a runtime.
pub fn run(dir: &Path, seed: u64, out: &mut dyn Write) -> anyhow::Result<bool> {
    let clock = Instant::now();
    let line = DemoLine::prepare(dir)?;
    say(out, clock, "drawing two products, their OK images and a stream of parts with known defects")?;
    let plans = draw(seed)?;
    line.write_truth(&plans)?;

    let mut daemon = Daemon::start(&line.file("config.yaml"), &line.file("patchcored.log"))?;
    say(out, clock, &format!("started `patchcored run --config {}` (pid {})", line.file("config.yaml").display(), daemon.id()))?;
    let mut watch = None;
    daemon.wait_until("the daemon to open its database", START, || {
        watch = DropWatch::open(&line.file("history.db"))?;
        Ok(watch.is_some())
    })?;
    let watch = watch.context("the history was open a moment ago")?;

    for plan in &plans {
        add_ok(&line, plan.product, &plan.ok)?;
    }
    let images = plans.iter().map(|plan| plan.ok.len()).sum::<usize>();
    say(out, clock, &format!("dropped {images} OK images into ok/; the daemon now builds a bank for each product"))?;
    daemon.wait_until("the first banks", BUILD, || all_banks(&watch, 1))?;

    let total: usize = plans.iter().map(|plan| plan.stream.len()).sum();
    say(out, clock, &format!("banks are there; two cameras send {total} files, and more OK images come in half-way"))?;
    let rebuilt = stream(&line, &plans, &mut daemon, &watch)?;
    say(out, clock, "stopping the daemon")?;
    daemon.stop(STOP)?;
    say(out, clock, "the daemon has stopped; this is what its database says against the truth\n")?;
    let complete = conclude(&line, &plans, &watch, out)?;
    if !rebuilt {
        writeln!(out, "  NOT REBUILT: a bank did not take in the added OK images; see {}", line.file("patchcored.log").display())?;
    }
    Ok(complete && rebuilt)
}

fn say(out: &mut dyn Write, clock: Instant, what: &str) -> std::io::Result<()> {
    writeln!(out, "[{:5.1} s] {what}", clock.elapsed().as_secs_f32())?;
    out.flush()
}

/// One thread per product: drawing is most of the work before the daemon starts.
fn draw(seed: u64) -> anyhow::Result<Vec<ProductPlan>> {
    thread::scope(|scope| {
        let workers = Product::ALL.map(|product| scope.spawn(move || ProductPlan::draw(product, seed)));
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("drawing the parts failed; this is a bug"))?).collect()
    })
}

fn add_ok(line: &DemoLine, product: Product, frames: &[plan::Frame]) -> anyhow::Result<()> {
    let folder = line.ok_folder(product);
    frames.iter().try_for_each(|frame| {
        let path = folder.join(&frame.name);
        std::fs::write(&path, &frame.bytes).with_context(|| format!("cannot write {}", path.display()))
    })
}

fn all_banks(watch: &DropWatch, version: i64) -> anyhow::Result<bool> {
    for product in Product::ALL {
        if watch.bank_version(product.name())? < version {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Plays the cameras and waits until everything is decided, or nothing moves any more. True when both banks were rebuilt.
fn stream(line: &DemoLine, plans: &[ProductPlan], daemon: &mut Daemon, watch: &DropWatch) -> anyhow::Result<bool> {
    let signals = CameraSignals::default();
    thread::scope(|scope| {
        let cameras: Vec<_> = plans
            .iter()
            .map(|plan| {
                let signals = &signals;
                let halfway = || add_ok(line, plan.product, &plan.added);
                scope.spawn(move || camera::play(&plan.stream, &line.drop_folder(plan.product), signals, halfway))
            })
            .collect();
        let total = plans.iter().map(|plan| plan.stream.len() as u64).sum();
        let watched = follow(total, &signals, daemon, watch);
        signals.stop.store(true, Ordering::Relaxed);
        for camera in cameras {
            camera.join().map_err(|_| anyhow!("a camera of the demo failed; this is a bug"))??;
        }
        watched
    })
}

fn follow(total: u64, signals: &CameraSignals, daemon: &mut Daemon, watch: &DropWatch) -> anyhow::Result<bool> {
    let bar =
        ProgressBar::new(total).with_style(ProgressStyle::with_template("  [{bar:40}] {pos}/{len} decided, {msg}")?.progress_chars("=> "));
    let mut moved = Instant::now();
    let mut last = (0, 0, false);
    loop {
        daemon.check_running()?;
        let counts = watch.counts()?;
        let sent = signals.sent.load(Ordering::Relaxed);
        let decided = u64::try_from(counts.done + counts.failed).unwrap_or(0);
        let rebuilt = all_banks(watch, 2)?;
        bar.set_position(decided);
        bar.set_message(format!("{sent} sent{}", if rebuilt { ", banks rebuilt" } else { "" }));
        if last != (sent, decided, rebuilt) {
            last = (sent, decided, rebuilt);
            moved = Instant::now();
        }
        let finished = sent == total && decided >= total && rebuilt;
        if finished || moved.elapsed() > STALL {
            bar.finish_and_clear();
            return Ok(rebuilt);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Prints the report and the places to look at; true when nothing was lost or mistaken.
fn conclude(line: &DemoLine, plans: &[ProductPlan], watch: &DropWatch, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for plan in plans {
        rows.push(watch.inspections(plan.product.name())?);
    }
    let tallies: Vec<(Product, DemoTally)> =
        plans.iter().zip(&rows).map(|(plan, rows)| (plan.product, report::tally(plan, rows))).collect();
    report::print(&tallies, out)?;

    let finds: Vec<Vec<Find<'_>>> = plans.iter().zip(&rows).map(|(plan, rows)| report::finds(plan, rows)).collect();
    let dir = line.dir.display();
    writeln!(out, "\nLook at the overlays, for example")?;
    for find in finds.iter().flat_map(|finds| finds.iter().take(2)).take(3) {
        writeln!(out, "  {}", find.overlay)?;
    }
    let found: Vec<Find<'_>> = finds.into_iter().flatten().collect();
    if !found.is_empty() {
        picture::write(&found, &line.file("picture.jpg"))?;
        writeln!(out, "  {dir}/picture.jpg")?;
    }
    writeln!(out, "and at the history")?;
    writeln!(out, "  sqlite3 {dir}/history.db 'select * from defect_history'")?;
    writeln!(out, "  patchcored history --config {dir}/config.yaml --ng")?;
    writeln!(out, "The truth is in {dir}/truth.csv, the daemon's log in {dir}/patchcored.log")?;

    let complete = tallies.iter().all(|(_, tally)| tally.complete());
    if !complete {
        writeln!(out, "  NOT COMPLETE: some files were lost, counted twice, or failed that should not have; see the log")?;
    }
    Ok(complete)
}
