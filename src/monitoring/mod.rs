//! Monitoring: metrics for Prometheus and the health of the line, over a port or socket of this machine.
//!
//! It looks on and never stands in the way. It has a thread and a runtime of its own; the line counts into [`Counters`] without waiting,
//! and every question to history and folders is bounded in time and kept for a moment, however many ask. It lives as long as the
//! process: a reload changes the line that is looked at, and the address, but sets no counter back.

mod disks;
mod exposition;
mod listener;
mod pages;
mod problems;
mod process;
mod shared;
mod snapshot;
mod socket;
mod trial;

pub use trial::address_problem;

use crate::config::MetricsAddress;
use crate::snapshot::{LineView, NotRunning};
use crate::telemetry::{Counters, Event};
use shared::{MonitoringNews, Shared};
use snapshot::{LinePhase, SnapshotTaker};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Events that wait for a line to record them. The log has those beyond.
const NEWS: usize = 16;
/// How long the end of the process waits for the address to be given back.
const PATIENCE: Duration = Duration::from_secs(1);

/// Monitoring of this process.
pub struct Monitoring {
    shared: Arc<Shared>,
    address: Option<watch::Sender<Option<MetricsAddress>>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitoring {
    /// Starts with no line and no address. Without a thread there is no monitoring, and the log says so.
    pub fn start() -> Self {
        process::started();
        let (news, inbox) = mpsc::channel(NEWS);
        let phase = watch::Sender::new(LinePhase::NotRunning(NotRunning::Starting, Instant::now()));
        let shared = Arc::new(Shared { counters: Arc::default(), phase, snapshots: SnapshotTaker::default(), news });
        let (address, changes) = watch::channel(None);
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("monitoring".to_owned()).spawn(move || serve(served, changes, inbox));
        if let Err(error) = &thread {
            tracing::error!(%error, "no thread for monitoring; the line runs without it");
        }
        Self { shared, address: Some(address), thread: thread.ok() }
    }

    /// What the line counts into.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Listens there from now on; nothing happens when it does already.
    pub fn listen(&self, address: Option<&MetricsAddress>) {
        if let Some(sender) = &self.address {
            sender.send_if_modified(|present| {
                let changes = present.as_ref() != address;
                *present = address.cloned();
                changes
            });
        }
    }

    /// This line runs now.
    pub fn line_runs(&self, line: LineView) {
        self.shared.phase.send_replace(LinePhase::Running(Arc::new(line)));
    }

    /// No line runs from now on.
    pub fn line_ends(&self, why: NotRunning) {
        self.shared.phase.send_replace(LinePhase::NotRunning(why, Instant::now()));
    }
}

/// Gives the address back.
impl Drop for Monitoring {
    fn drop(&mut self) {
        self.address = None;
        let Some(thread) = self.thread.take() else { return };
        let begin = Instant::now();
        while !thread.is_finished() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(shared: Arc<Shared>, address: watch::Receiver<Option<MetricsAddress>>, inbox: mpsc::Receiver<MonitoringNews>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "no monitoring; the line runs without it"),
    };
    runtime.block_on(async {
        tokio::select! {
            () = listener::run(Arc::clone(&shared), address) => {}
            () = record(&shared, inbox) => {}
        }
    });
    // A question to a folder that hangs ends with the process.
    runtime.shutdown_background();
}

/// Has events recorded by the line that runs, or the next that will.
async fn record(shared: &Shared, mut inbox: mpsc::Receiver<MonitoringNews>) {
    let mut phase = shared.phase.subscribe();
    while let Some(MonitoringNews { kind, detail }) = inbox.recv().await {
        let running = phase.wait_for(|phase| matches!(phase, LinePhase::Running(_))).await.map(|phase| phase.clone());
        match running {
            Ok(LinePhase::Running(line)) => line.telemetry.events.tell(Event::new(kind, detail)).await,
            _ => return,
        }
    }
}
