//! How the database has been doing: full disks that pass, and trouble that does not.

use super::rows::time_text;
use super::{HistoryError, HistoryErrorKind, HistoryStore};
use crate::codes::EventKind;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A disk that took everything for this long has space again. Longer than the pause between two tries of a large write, so that
/// small writes that still fit do not count as the end.
const CALM: Duration = Duration::from_secs(3);

/// What the calls on one store have met.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    lost: Notify,
    /// The daemon was asked to stop.
    pub(super) stops: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The last error of any kind, and when.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so the state is whole whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HistoryStore {
    /// Since when the disk of the database is full; `None` when it is not, as far as the last calls told.
    pub fn full_since(&self) -> Option<Timestamp> {
        self.health.lock().full.map(|full| full.since)
    }

    /// The last error that a call on this store has met, if that is not longer ago than this.
    pub fn error_within(&self, past: Duration) -> Option<HistoryError> {
        let last = self.health.lock().last.clone();
        last.filter(|(_, at)| at.elapsed() <= past).map(|(error, _)| error)
    }

    /// Writes the events `disk_full` and `disk_full_over` once there has been space for a few seconds. True when it did so.
    ///
    /// # Errors
    /// When they cannot be written; the disk then counts as full again.
    pub async fn record_full_disk(&self) -> Result<bool, HistoryError> {
        let full = self.health.lock().full;
        let Some(full) = full.filter(|full| full.last.elapsed() >= CALM) else { return Ok(false) };
        let mut connection = self.writer().await?;
        let detail = format!("{}: the disk of the database was full; intake and inspecting paused", self.file().display());
        let result = insert_both(&mut connection, full.since, &detail).await;
        self.settle(connection, result).await?;
        self.health.lock().full = None;
        Ok(true)
    }

    /// Reads, and takes the write lock and gives it back: whoever is kept from that can record nothing either. Writes nothing.
    ///
    /// # Errors
    /// Of the kind [`HistoryErrorKind::Busy`] when another program holds the lock for longer than a moment.
    pub async fn answers(&self) -> Result<(), HistoryError> {
        sqlx::query("SELECT 1 FROM events LIMIT 1").fetch_optional(&self.read).await.map_err(|e| self.error(e))?;
        let mut connection = self.writer().await?;
        let locked = async { connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await };
        let result = locked.await;
        self.settle(connection, result).await
    }

    /// Fails, and [`HistoryStore::lost`] tells, when the file that is open is not the one of its name any more, or its log is gone.
    ///
    /// # Errors
    /// Of the kind [`HistoryErrorKind::Moved`].
    pub fn in_place(&self) -> Result<(), HistoryError> {
        let Some(what) = self.place.moved() else { return Ok(()) };
        let error = HistoryError::saying(self.file(), HistoryErrorKind::Moved, what);
        self.health.note(&error);
        Err(error)
    }

    /// Resolves with the first error after which waiting does not help; see [`HistoryErrorKind::is_fatal`].
    pub async fn lost(&self) -> HistoryError {
        loop {
            let news = self.health.lost.notified();
            if let Some(error) = self.health.lock().lost.clone() {
                return error;
            }
            news.await;
        }
    }
}

async fn insert_both(connection: &mut SqliteConnection, since: Timestamp, detail: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (at, kind) in [(since, EventKind::DiskFull), (Timestamp::now(), EventKind::DiskFullOver)] {
        sqlx::query("INSERT INTO events (at, level, kind, detail) VALUES (?, ?, ?, ?)")
            .bind(time_text(at))
            .bind(kind.level().as_str())
            .bind(kind.as_str())
            .bind(detail)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}
