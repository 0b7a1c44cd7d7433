//! The health of the database: full disks, which pass, and other errors, which do not.

use super::error::{HistoryError, HistoryErrorKind};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A disk that took every write for this long has space again. This is longer than the pause between two tries of a large write, so small
/// writes that still fit do not count as the end.
const CALM: Duration = Duration::from_secs(3);

/// What the calls on one open database found.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    lost: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The last error of any kind, and its time.
    last: Option<(HistoryError, Instant)>,
    full: Option<FullDisk>,
    lost: Option<HistoryError>,
}

#[derive(Debug, Clone, Copy)]
struct FullDisk {
    since: Timestamp,
    last: Instant,
}

impl Health {
    pub(super) fn note(&self, error: &HistoryError) {
        let mut state = self.lock();
        state.last = Some((error.clone(), Instant::now()));
        if error.kind == HistoryErrorKind::DiskFull {
            let since = state.full.map_or_else(Timestamp::now, |full| full.since);
            state.full = Some(FullDisk { since, last: Instant::now() });
        } else if error.kind.is_fatal() && state.lost.is_none() {
            state.lost = Some(error.clone());
            self.lost.notify_waiters();
        }
    }

    pub(super) fn full_since(&self) -> Option<Timestamp> {
        self.lock().full.map(|full| full.since)
    }

    /// Since when the disk was full, if it has had space for a few seconds and nobody has recorded that yet.
    pub(crate) fn full_disk_is_over(&self) -> Option<Timestamp> {
        self.lock().full.filter(|full| full.last.elapsed() >= CALM).map(|full| full.since)
    }

    /// The end of the full disk is recorded.
    pub(crate) fn full_disk_recorded(&self) {
        self.lock().full = None;
    }

    pub(super) fn error_within(&self, past: Duration) -> Option<HistoryError> {
        let last = self.lock().last.clone();
        last.filter(|(_, at)| at.elapsed() <= past).map(|(error, _)| error)
    }

    pub(super) async fn lost(&self) -> HistoryError {
        loop {
            let news = self.lost.notified();
            if let Some(error) = self.lock().lost.clone() {
                return error;
            }
            news.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
