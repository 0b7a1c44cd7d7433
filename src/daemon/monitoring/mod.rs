//! Monitoring: metrics for Prometheus and the health of the line, over a port or socket of this machine.
//!
//! It looks on and never stands in the way. It has a thread and a runtime of its own; the line counts into [`Meters`] without waiting, and
//! every question to history and folders is bounded in time and kept for a moment, however many ask. It lives as long as the
//! process: a reload changes the line that is looked at, and the address, but sets no counter back.

mod clients;
mod disks;
mod exposition;
mod facts;
mod listener;
mod meters;
mod pages;
mod process;
mod sight;
mod socket;
mod trial;

pub use facts::NotRunning;
pub use meters::{Meters, NotRebuilt};
pub use trial::address_problem;

use super::line::Line;
use crate::codes::EventKind;
use crate::config::MetricsAddress;
use crate::intake::Pulse;
use sight::{Looker, Phase, Sight, Watched};
use std::path::PathBuf;
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

/// What the pages are made from.
struct Shared {
    meters: Arc<Meters>,
    phase: watch::Sender<Phase>,
    looker: Looker,
    news: mpsc::Sender<News>,
}

/// Something to be recorded as an event.
struct News {
    kind: EventKind,
    detail: String,
}

impl Monitoring {
    /// Starts with no line and no address. Without a thread there is no monitoring, and the log says so.
    pub fn start() -> Self {
        process::started();
        let (news, inbox) = mpsc::channel(NEWS);
        let phase = watch::Sender::new(Phase::NotRunning(NotRunning::Starting, Instant::now()));
        let shared = Arc::new(Shared { meters: Arc::default(), phase, looker: Looker::default(), news });
        let (address, changes) = watch::channel(None);
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("monitoring".to_owned()).spawn(move || serve(served, changes, inbox));
        if let Err(error) = &thread {
            tracing::error!(%error, "no thread for monitoring; the line runs without it");
        }
        Self { shared, address: Some(address), thread: thread.ok() }
    }

    /// What the line counts into.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.shared.meters)
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

    /// This line runs now, with these threads for its drop folders.
    pub(super) fn line_runs(&self, line: &Arc<Line>, roots: Vec<(PathBuf, Arc<Pulse>)>) {
        self.shared.phase.send_replace(Phase::Running(Arc::new(Watched::new(line, roots))));
    }

    /// No line runs from now on.
    pub fn line_ends(&self, why: NotRunning) {
        self.shared.phase.send_replace(Phase::NotRunning(why, Instant::now()));
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

impl Shared {
    async fn look(&self) -> Sight {
        let phase = self.phase.borrow().clone();
        self.looker.look(phase).await
    }

    fn tell(&self, news: News) {
        if let Err(error) = self.news.try_send(news) {
            let News { kind, detail, .. } = error.into_inner();
            tracing::warn!(kind = kind.as_str(), detail, "event not recorded");
        }
    }
}

fn serve(shared: Arc<Shared>, address: watch::Receiver<Option<MetricsAddress>>, inbox: mpsc::Receiver<News>) {
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
async fn record(shared: &Shared, mut inbox: mpsc::Receiver<News>) {
    let mut phase = shared.phase.subscribe();
    while let Some(News { kind, detail }) = inbox.recv().await {
        let running = phase.wait_for(|phase| matches!(phase, Phase::Running(_))).await.map(|phase| phase.clone());
        match running {
            Ok(Phase::Running(watched)) => {
                if let Some(line) = watched.line() {
                    line.event(kind, None, &detail).await;
                }
            }
            _ => return,
        }
    }
}
