//! The connections to an open database, which all handles share.

use super::error::{HistoryError, HistoryErrorKind};
use super::health::Health;
use super::place::Place;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Sqlite, SqlitePool};
use std::path::Path;
use std::sync::Arc;

/// The connections to an open database. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Connections {
    file: Arc<Path>,
    /// One connection. In a database opened read-only this is the reading pool, and SQLite refuses every write on it.
    write: SqlitePool,
    read: SqlitePool,
    read_only: bool,
    health: Arc<Health>,
    place: Arc<Place>,
}

impl Connections {
    /// The only way to make them. Without `write` every attempt to write is refused.
    pub(super) fn new(file: &Path, place: Arc<Place>, read: SqlitePool, write: Option<SqlitePool>) -> Self {
        let read_only = write.is_none();
        let write = write.unwrap_or_else(|| read.clone());
        Self { file: file.into(), write, read, read_only, health: Arc::default(), place }
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// For questions.
    pub(crate) fn read(&self) -> &SqlitePool {
        &self.read
    }

    /// For single statements that change something. For transactions there is [`Connections::writer`].
    pub(crate) fn write(&self) -> &SqlitePool {
        &self.write
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What the calls on these connections found.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// The error for a failed call, which counts for the health of the database.
    pub(crate) fn error(&self, source: sqlx::Error) -> HistoryError {
        let mut error = HistoryError::from_sqlx(&self.file, source);
        // When the file is gone, a call can fail in many ways.
        if error.kind.is_fatal()
            && let Some(what) = self.place.moved()
        {
            error = HistoryError::saying(&self.file, HistoryErrorKind::Moved, what);
        }
        self.health.note(&error);
        error
    }

    /// The writing connection, for a transaction that ends in [`Connections::settle`].
    pub(crate) async fn writer(&self) -> Result<PoolConnection<Sqlite>, HistoryError> {
        self.write.acquire().await.map_err(|e| self.error(e))
    }

    /// Ends a transaction's use of the writing connection.
    ///
    /// SQLite itself rolls back on a full disk or an I/O error. sqlx does not notice that and would refuse to begin again on this
    /// connection. So a connection that saw an error is closed, and the pool makes a new one.
    pub(crate) async fn settle<T>(&self, connection: PoolConnection<Sqlite>, result: Result<T, sqlx::Error>) -> Result<T, HistoryError> {
        // A connection to a moved file commits nothing more, but it must still fold the log into that file.
        if result.is_err() && self.place.moved().is_none() {
            self.place.disconnects();
            let _ = connection.close().await;
        }
        result.map_err(|e| self.error(e))
    }

    /// Reads, takes the write lock and gives it back. Writes nothing.
    pub(super) async fn answers(&self) -> Result<(), HistoryError> {
        sqlx::query("SELECT 1 FROM events LIMIT 1").fetch_optional(&self.read).await.map_err(|e| self.error(e))?;
        let mut connection = self.writer().await?;
        let locked = async { connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await };
        let result = locked.await;
        self.settle(connection, result).await
    }

    /// Fails when the open file is not the file of its name any more, or when its log is gone.
    pub(super) fn in_place(&self) -> Result<(), HistoryError> {
        let Some(what) = self.place.moved() else { return Ok(()) };
        let error = HistoryError::saying(&self.file, HistoryErrorKind::Moved, what);
        self.health.note(&error);
        Err(error)
    }
}
