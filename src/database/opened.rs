//! The opened database file, for those who look after it. What is in its rows is the matter of the handles in [`crate::history`].

use super::connections::Connections;
use super::error::HistoryError;
use super::known::Opening;
use super::place::beside;
use super::soundness::check_the_rest;
use crate::platform::crash_point;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// At the end nobody should wait long for a reader; an unfinished checkpoint costs nothing but a larger -wal file.
const CLOSING_BUSY_TIMEOUT_MS: u32 = 500;

/// The opened database file. Cheap to clone; all clones are one, and [`Database::close`] closes it for all.
#[derive(Debug, Clone)]
pub struct Database {
    connections: Connections,
    opening: Arc<Opening>,
}

impl Database {
    pub(super) fn new(connections: Connections, opening: Opening) -> Self {
        Self { connections, opening: Arc::new(opening) }
    }

    /// Its connections, for the handles.
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Its path.
    pub fn file(&self) -> &Path {
        self.connections.file()
    }

    /// The time since when the disk of the database is full; `None` when the last calls found space.
    pub fn full_since(&self) -> Option<Timestamp> {
        self.connections.health().full_since()
    }

    /// The last error of a call on this database, if it is not older than `past`.
    pub fn error_within(&self, past: Duration) -> Option<HistoryError> {
        self.connections.health().error_within(past)
    }

    /// Resolves with the first error that waiting does not repair; see [`HistoryErrorKind::is_fatal`](super::HistoryErrorKind::is_fatal).
    pub async fn lost(&self) -> HistoryError {
        self.connections.health().lost().await
    }

    /// Reads, takes the write lock and gives it back. A program that cannot do this cannot record anything either. Writes nothing.
    ///
    /// # Errors
    /// Of the kind [`Busy`](super::HistoryErrorKind::Busy) when another program holds the lock for more than a moment.
    pub async fn answers(&self) -> Result<(), HistoryError> {
        self.connections.answers().await
    }

    /// Fails when the open file is not the file of its name any more, or when its log is gone. [`Database::lost`] then reports it too.
    ///
    /// # Errors
    /// Of the kind [`Moved`](super::HistoryErrorKind::Moved).
    pub fn in_place(&self) -> Result<(), HistoryError> {
        self.connections.in_place()
    }

    /// Checks the pages that the start did not reach, if that is due, slowly and on its own connection. True when it did so and found no
    /// damage. Ends early when the future is dropped.
    ///
    /// # Errors
    /// Of the kind [`Corrupt`](super::HistoryErrorKind::Corrupt) when it finds damage.
    pub async fn check_the_rest(&self) -> Result<bool, HistoryError> {
        check_the_rest(&self.connections, &self.opening).await
    }

    /// Writes down what is known about this history, if it changed; for the daemon alone.
    pub async fn note(&self) {
        self.opening.note(&self.connections).await;
    }

    /// Writes down that the history was closed cleanly. Called after [`Database::close`] of a clone.
    pub fn note_closed(&self) {
        self.opening.note_closed(self.file());
    }

    /// The message about the history since it was opened; returned once.
    pub fn news(&self) -> Option<String> {
        self.opening.news()
    }

    #[cfg(test)]
    pub(super) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Waits for running calls, folds the write-ahead log into the file and closes. Calls on clones and handles fail from then on.
    ///
    /// A file that was moved away gets its rows too, wherever it is now: without its log it has none of the newest.
    pub async fn close(self) -> Result<(), HistoryError> {
        let Self { connections, .. } = self;
        connections.read().close().await;
        if connections.is_read_only() {
            return Ok(());
        }
        let place = connections.place();
        if place.present_name().is_some_and(|name| name != place.opened_as() && beside(&name, "-wal").exists()) {
            // Another program works with it under its new name, and knows nothing of this log.
            connections.write().close().await;
            return Ok(());
        }
        let mut connection = connections.writer().await?;
        crash_point::reach("close_before_checkpoint");
        let checkpoint = async {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {CLOSING_BUSY_TIMEOUT_MS}")))
                .execute(&mut *connection)
                .await?;
            // A report that is being read keeps the log from being emptied; the next start empties it.
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await
        };
        let result = checkpoint.await;
        crash_point::reach("close_checkpointed");
        drop(connection);
        connections.write().close().await;
        result.map(|_| ()).map_err(|e| connections.error(e))
    }
}
