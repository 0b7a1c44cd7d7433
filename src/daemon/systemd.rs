//! What systemd is told of the daemon as a whole, and when: ready, reloading, stopping, and that it gets on.

use super::progress::Progress;
use super::service::tell;
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a step of a worker may take when systemd sets no `WatchdogSec=`.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
/// The watchdog is fed this many times within its time; twice is what systemd asks for.
const FEEDS: u32 = 4;

/// What the daemon as a whole is doing.
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

/// Tells systemd of the phases, and between them again and again that every worker gets on, as long as that is so.
#[derive(Debug)]
pub struct Systemd {
    phase: watch::Sender<Phase>,
    progress: Arc<Progress>,
}

impl Systemd {
    /// Begins with [`Phase::Starting`].
    pub fn start() -> Self {
        // The time is ours only if WATCHDOG_PID says so, or says nothing.
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        let progress = Progress::new(watchdog.unwrap_or(DEFAULT_LIMIT));
        let (phase, phases) = watch::channel(Phase::Starting);
        tell(&[NotifyState::Status("starts: checks the database and loads banks")]);
        tokio::spawn(feed(Arc::clone(&progress), phases, watchdog.is_some()));
        Self { phase, progress }
    }

    /// The workers to watch.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Tells of the next phase.
    pub fn enter(&self, phase: Phase) {
        match phase {
            Phase::Starting => {}
            Phase::Running => tell(&[NotifyState::Ready]),
            Phase::Reloading => {
                let status = NotifyState::Status("reloads: finishes the images in hand and takes up the new configuration");
                // Since 253, systemd wants to know that the message is newer than its request.
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

/// Runs until the [`Systemd`] is gone. It shares the runtime with the tasks of the line: a runtime that is blocked does not feed.
async fn feed(progress: Arc<Progress>, mut phases: watch::Receiver<Phase>, watchdog: bool) {
    let mut known = BTreeSet::new();
    let limit = progress.limit();
    // It must stay below 2^32 µs, 71 minutes.
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
            // A start, reload or stop takes its time, and the watchdog goes on over a reload.
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
