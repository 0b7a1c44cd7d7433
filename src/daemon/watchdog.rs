//! Watches over the line: folders that do not answer, workers that are stuck, a database that takes nothing.
//!
//! A share that hangs holds up its own images; it is reported, and systemd is told all the same that the daemon is alive: a restart does
//! not make a file server answer. A thread that hangs in anything else is a stuck worker, see [`super::progress`].

mod intake_thread;

use super::Line;
use crate::codes::EventKind;
use crate::history::HistoryErrorKind;
use crate::intake::Pulse;
use intake_thread::IntakeThread;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A folder that has not answered for this long is reported. Longer than a slow share takes to list a large folder.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How often the threads and the workers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the status says of a drop folder.
pub(super) const STUCK: &str = "does not answer";

/// Runs until it is aborted; touches no folder itself.
pub(super) async fn run(line: Arc<Line>, threads: Vec<(PathBuf, Arc<Pulse>)>) {
    let threads: Vec<_> = threads.into_iter().map(|(root, pulse)| Arc::new(IntakeThread::new(root, pulse))).collect();
    let _watches: Vec<_> = threads
        .iter()
        .map(|thread| {
            let asked = Arc::clone(thread);
            line.progress.watch(format!("intake of {}", thread.root().display()), move || asked.silence())
        })
        .collect();
    tokio::join!(folders(&line, &threads), workers(&line), database(&line));
}

/// Reports the drop folders that do not answer.
async fn folders(line: &Line, threads: &[Arc<IntakeThread>]) {
    let mut stuck = HashSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        for thread in threads {
            let root = thread.root();
            let is_stuck = thread.waits_for_folder() >= STUCK_AFTER;
            if is_stuck && stuck.insert(root) {
                line.status.folder(root, STUCK, true);
                let detail =
                    format!("{}: does not answer; its new images wait, other folders go on; check the share or the disk", root.display());
                line.event(EventKind::DropFolderStuck, None, &detail).await;
            } else if !is_stuck && stuck.remove(root) {
                line.status.folder(root, STUCK, false);
                line.event(EventKind::DropFolderStuckOver, None, &format!("{}: answers again", root.display())).await;
            }
        }
    }
}

/// Records which workers are stuck, for whoever finds the daemon restarted.
async fn workers(line: &Line) {
    let mut known: BTreeMap<String, Duration> = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let stuck = line.progress.stuck();
        for worker in &stuck {
            let (name, seconds) = (&worker.worker, worker.silent_for.as_secs());
            if known.insert(name.clone(), worker.silent_for).is_none() {
                let detail = format!("{name}: has work and made no step for {seconds} s; systemd restarts the daemon if that goes on");
                line.event(EventKind::WorkerStuck, None, &detail).await;
            }
        }
        let names: BTreeSet<_> = stuck.into_iter().map(|worker| worker.worker).collect();
        let over: Vec<_> = known.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in over {
            let seconds = known.remove(&name).unwrap_or_default().as_secs();
            line.event(EventKind::WorkerStuckOver, None, &format!("{name}: gets on again, after {seconds} s or more")).await;
        }
    }
}

/// Asks the database for an answer again and again: it counts as a worker that has work all the time.
async fn database(line: &Line) {
    let (pulse, _watch) = line.progress.worker("database");
    loop {
        let work = pulse.begin();
        // What is wrong otherwise is not that it hangs: a full disk is waited for, and whatever does not heal ends the daemon.
        while line.store.answers().await.is_err_and(|error| error.kind == HistoryErrorKind::Busy) {}
        drop(work);
        tokio::time::sleep(line.progress.limit() / 4).await;
    }
}
