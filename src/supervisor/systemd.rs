//! The messages of the whole daemon to systemd: ready, reloading, stopping, and that it is alive.

use super::{Stage, Supervisor, Wakes, Worker};
use crate::telemetry::Progress;
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The time limit for a step of a worker when systemd sets no `WatchdogSec=`.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
/// The daemon feeds the watchdog this many times within its time; systemd asks for two.
const FEEDS: u32 = 4;

/// What the whole daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Opens the history and loads banks.
    Starting,
    /// The line runs.
    Running,
    /// Stops the line and starts it again with another configuration.
    Reloading,
    /// Finishes the images in hand.
    Stopping,
}

/// Reports the phases to systemd, and in between, again and again, that no worker is stuck, if so.
#[derive(Debug)]
pub struct Systemd {
    phase: watch::Sender<Phase>,
    progress: Arc<Progress>,
}

impl Systemd {
    /// Begins with [`Phase::Starting`].
    pub fn start(supervisor: &mut Supervisor) -> Self {
        // The time is for this process only if WATCHDOG_PID names it, or is not set.
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        let progress = Progress::new(watchdog.unwrap_or(DEFAULT_LIMIT));
        let (phase, phases) = watch::channel(Phase::Starting);
        tell(&[NotifyState::Status("starts: checks the database and loads banks")]);
        let feeder = Worker::new("systemd", Stage::Process, Wakes::OnOrEvery("the next phase", progress.limit() / FEEDS));
        supervisor.start(feeder, feed(Arc::clone(&progress), phases, watchdog.is_some()));
        Self { phase, progress }
    }

    /// The workers to watch.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Reports the next phase.
    pub fn enter(&self, phase: Phase) {
        match phase {
            Phase::Starting => {}
            Phase::Running => tell(&[NotifyState::Ready]),
            Phase::Reloading => {
                let status = NotifyState::Status("reloads: finishes the images in hand and takes up the new configuration");
                // Since 253, systemd must know that the message is newer than its request.
                match NotifyState::monotonic_usec_now() {
                    Ok(now) => tell(&[NotifyState::Reloading, now, status]),
                    Err(_) => tell(&[NotifyState::Reloading, status]),
                }
            }
            Phase::Stopping => tell(&[NotifyState::Stopping, NotifyState::Status("stops: finishes the images in hand")]),
        }
        self.phase.send_replace(phase);
    }
}

/// Runs until the [`Systemd`] is dropped. It shares the runtime with the tasks of the line, so a blocked runtime does not feed.
async fn feed(progress: Arc<Progress>, mut phases: watch::Receiver<Phase>, watchdog: bool) {
    let mut known = BTreeSet::new();
    let limit = progress.limit();
    // The value must stay below 2^32 µs, 71 minutes.
    let more_time = NotifyState::ExtendTimeoutUsec(u32::try_from(limit.as_micros()).unwrap_or(u32::MAX));
    loop {
        let phase = *phases.borrow_and_update();
        let stuck = progress.stuck();
        for worker in &stuck {
            if !known.contains(&worker.worker) {
                let silent_s = worker.silent_for.as_secs();
                tracing::error!(worker = %worker.worker, silent_s, "a worker is stuck; systemd is not told any more that the daemon is alive");
            }
        }
        if stuck.is_empty() {
            if !known.is_empty() {
                tracing::info!(workers = ?known, "no worker is stuck any more");
            }
            // A start, reload or stop needs more time, and the watchdog stays on during a reload.
            match (phase, watchdog) {
                (Phase::Running, true) => tell(&[NotifyState::Watchdog]),
                (Phase::Running, false) => {}
                (_, true) => tell(&[more_time.clone(), NotifyState::Watchdog]),
                (_, false) => tell(std::slice::from_ref(&more_time)),
            }
        }
        known = stuck.into_iter().map(|worker| worker.worker).collect();
        tokio::select! {
            changed = phases.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(limit / FEEDS) => {}
        }
    }
}

/// Tells systemd what the daemon is doing, in one line.
pub fn tell_status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Sends messages to systemd; without a `NOTIFY_SOCKET` this does nothing.
///
/// Not `sd_notify::notify`: it waits for room when nobody reads the socket, and signals would wait too.
fn tell(states: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send(&socket, &message) {
        tracing::warn!(%error, "systemd not told");
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.connect(socket)?;
    sender.send(message.as_bytes()).map(drop)
}
