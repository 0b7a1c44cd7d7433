//! The health of the database: full disks, which pass, and other errors, which do not.

use super::rows::time_text;
use super::{HistoryError, HistoryErrorKind, HistoryStore};
use crate::codes::EventKind;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use sqlx::{Connection, SqliteConnection};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A disk that took every write for this long has space again. This is longer than the pause between two tries of a large write, so small
/// writes that still fit do not count as the end.
const CALM: Duration = Duration::from_secs(3);

/// What the calls on one store found.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    lost: Notify,
    /// Somebody asked the daemon to stop.
    pub(super) stops: AtomicBool,
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl HistoryStore {
    /// The time since when the disk of the database is full; `None` when the last calls found space.
    pub fn full_since(&self) -> Option<Timestamp> {
        self.health.lock().full.map(|full| full.since)
    }

    /// The last error of a call on this store, if it is not older than `past`.
    pub fn error_within(&self, past: Duration) -> Option<HistoryError> {
        let last = self.health.lock().last.clone();
        last.filter(|(_, at)| at.elapsed() <= past).map(|(error, _)| error)
    }

    /// Writes the events `disk_full` and `disk_full_over` once the disk has had space for a few seconds. True when it wrote them.
    ///
    /// # Errors
    /// When the events cannot be written. The disk then counts as full again.
    pub async fn record_full_disk(&self) -> Result<bool, HistoryError> {
        let full = self.health.lock().full;
        let Some(full) = full.filter(|full| full.last.elapsed() >= CALM) else { return Ok(false) };
        let mut connection = self.writer().await?;
        let file = self.file().display().to_string();
        let result = insert_both(&mut connection, full.since, &file).await;
        self.settle(connection, result).await?;
        self.health.lock().full = None;
        Ok(true)
    }

    /// Reads, takes the write lock and gives it back. A program that cannot do this cannot record anything either. Writes nothing.
    ///
    /// # Errors
    /// Of the kind [`HistoryErrorKind::Busy`] when another program holds the lock for more than a moment.
    pub async fn answers(&self) -> Result<(), HistoryError> {
        sqlx::query("SELECT 1 FROM events LIMIT 1").fetch_optional(&self.read).await.map_err(|e| self.error(e))?;
        let mut connection = self.writer().await?;
        let locked = async { connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await };
        let result = locked.await;
        self.settle(connection, result).await
    }

    /// Fails when the open file is not the file of its name any more, or when its log is gone. [`HistoryStore::lost`] then reports it too.
    ///
    /// # Errors
    /// Of the kind [`HistoryErrorKind::Moved`].
    pub fn in_place(&self) -> Result<(), HistoryError> {
        let Some(what) = self.place.moved() else { return Ok(()) };
        let error = HistoryError::saying(self.file(), HistoryErrorKind::Moved, what);
        self.health.note(&error);
        Err(error)
    }

    /// Resolves with the first error that waiting does not repair; see [`HistoryErrorKind::is_fatal`].
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

async fn insert_both(connection: &mut SqliteConnection, since: Timestamp, file: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (at, kind) in [(since, EventKind::DiskFull), (Timestamp::now(), EventKind::DiskFullOver)] {
        sqlx::query("INSERT INTO events (at, level, kind, place, detail) VALUES (?, ?, ?, ?, ?)")
            .bind(time_text(at))
            .bind(kind.level().as_str())
            .bind(kind.as_str())
            .bind(file)
            .bind(format!("{file}: the disk of the database was full; intake and inspecting paused"))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}
