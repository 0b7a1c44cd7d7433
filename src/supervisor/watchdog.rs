//! Watches over the line: folders that do not answer, stuck workers, a database that does not answer.
//!
//! A share that hangs holds up its own images. The daemon reports it, and still tells systemd that it is alive: a restart does not make a
//! file server answer. A thread that hangs in anything else is a stuck worker, see [`crate::telemetry::Progress`].

use super::intake_thread::IntakeThread;
use crate::codes::EventKind;
use crate::database::{Database, HistoryErrorKind};
use crate::domain::{FolderTrouble, Trouble};
use crate::intake::IntakePulse;
use crate::telemetry::{Event, Telemetry};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The daemon reports a folder that has not answered for this long. A slow share needs less to list a large folder.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How often the watchdog looks at the threads and the workers.
pub const LOOK: Duration = Duration::from_secs(1);

/// The context of the watchdog.
pub struct Watchdog {
    /// The database: it must answer again and again.
    pub database: Database,
    /// Where the findings go.
    pub telemetry: Telemetry,
    /// The drop folders, and the pulse of the thread of each.
    pub threads: Vec<(PathBuf, Arc<IntakePulse>)>,
}

impl Watchdog {
    /// Runs until it is aborted; touches no folder itself.
    pub async fn run(self) {
        let Self { database: answering, telemetry, threads } = self;
        let threads: Vec<_> = threads.into_iter().map(|(root, pulse)| Arc::new(IntakeThread::new(root, pulse))).collect();
        let _watches: Vec<_> = threads
            .iter()
            .map(|thread| {
                let asked = Arc::clone(thread);
                telemetry.progress.watch(format!("intake of {}", thread.root().display()), move || asked.silence())
            })
            .collect();
        let (rows, mut told) = unbounded_channel();
        let findings = Findings { telemetry: &telemetry, rows };
        let record = async {
            while let Some(event) = told.recv().await {
                telemetry.events.tell_row(&event).await;
            }
        };
        tokio::join!(folders(&findings, &threads), workers(&findings), database(&answering, &telemetry), record);
    }
}

/// What the watchdog found. A finding is logged at once; its row may wait for the database, which may be what hangs.
struct Findings<'a> {
    telemetry: &'a Telemetry,
    rows: UnboundedSender<Event>,
}

impl Findings<'_> {
    fn tell(&self, event: Event) {
        self.telemetry.events.log(&event);
        let _ = self.rows.send(event);
    }
}

/// Reports the drop folders that do not answer.
async fn folders(findings: &Findings<'_>, threads: &[Arc<IntakeThread>]) {
    let mut stuck = HashSet::new();
    let no_answer = Trouble::Folder(FolderTrouble::NoAnswer);
    loop {
        tokio::time::sleep(LOOK).await;
        for thread in threads {
            let (root, shown) = (thread.root(), thread.root().display());
            let is_stuck = thread.waits_for_folder() >= STUCK_AFTER;
            if is_stuck && stuck.insert(root) {
                findings.telemetry.status.trouble(root.into(), no_answer, true);
                let detail = format!("{shown}: does not answer; its new images wait, other folders go on; check the share or the disk");
                findings.tell(Event::new(EventKind::DropFolderStuck, detail).at(root));
            } else if !is_stuck && stuck.remove(root) {
                findings.telemetry.status.trouble(root.into(), no_answer, false);
                let detail = format!("{shown}: answers again");
                findings.tell(Event::new(EventKind::DropFolderStuckOver, detail).at(root));
            }
        }
    }
}

/// Records which workers are stuck, for the engineer who finds the daemon restarted.
async fn workers(findings: &Findings<'_>) {
    let mut known: BTreeMap<String, Duration> = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let stuck = findings.telemetry.progress.stuck();
        for worker in &stuck {
            let (name, seconds) = (&worker.worker, worker.silent_for.as_secs());
            if known.insert(name.clone(), worker.silent_for).is_none() {
                let detail = format!("{name}: has work and made no step for {seconds} s; systemd restarts the daemon if that goes on");
                findings.tell(Event::new(EventKind::WorkerStuck, detail));
            }
        }
        let names: BTreeSet<_> = stuck.into_iter().map(|worker| worker.worker).collect();
        let over: Vec<_> = known.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in over {
            let seconds = known.remove(&name).unwrap_or_default().as_secs();
            let detail = format!("{name}: works again, after {seconds} s or more");
            findings.tell(Event::new(EventKind::WorkerStuckOver, detail));
        }
    }
}

/// Asks the database for an answer again and again: it counts as a worker that always has work.
async fn database(database: &Database, telemetry: &Telemetry) {
    let (pulse, _watch) = telemetry.progress.worker("database");
    loop {
        let work = pulse.begin();
        // With other errors the database does not hang: a full disk is waited for, and errors that do not heal end the daemon.
        while database.answers().await.is_err_and(|error| error.kind == HistoryErrorKind::Busy) {}
        drop(work);
        tokio::time::sleep(telemetry.progress.limit() / 4).await;
    }
}
