//! The history of a line in SQLite: the queue of arrived images, what was decided about them, their banks, and events.
//!
//! [`HistoryStore`] owns the connections and all SQL; nothing outside this folder names sqlx. The schema is in `migrations/`.
//!
//! Invariants, each with a test:
//! - arrived = done + failed + pending, after any sequence of operations and any crash between two of them;
//! - an arrival (path, size, time) has one row, however often it is reported;
//! - a row that is `done` never changes again but to tell when its files were deleted, and one that is `failed` only when somebody
//!   requeues it;
//! - a result counts only for the file it was made from: when a file changes under a running attempt, the attempt does not
//!   count and the row stays pending.
//!
//! There is one writing connection, so that writers wait for one another here and not in SQLite, and a few that only read.

mod actions;
mod arrivals;
mod bank_requests;
mod banks;
mod decisions;
mod error;
mod health;
mod open;
mod outbox;
mod profiles;
mod queue;
mod report;
mod requeue;
mod retention;
mod rows;
mod snapshot;
mod standing;

pub use actions::{ActionEnd, Defect, GivenUp, Waiting};
pub use bank_requests::{BankRequest, BankRequestKind, RequestEnd};
pub use error::{HistoryError, HistoryErrorKind};
pub use outbox::Message;
pub use profiles::ProfileChange;
pub use queue::NO_BANK;
pub use requeue::{RequeueFilter, Requeued};
pub use retention::{KeptCursor, KeptFiles, KeptOutput};
pub use rows::{
    ActiveBank, Arrival, ArrivalState, Counts, Distance, EarlierBank, Finished, FollowUp, InspectionFilter, InspectionResult,
    InspectionRow, NewBank, PendingImage, ProductCounts, Recorded,
};
pub use snapshot::{BankInUse, Ends, EventRow, LastDecision, OldestPending, PendingOf, ProductSnapshot, Snapshot};
pub use standing::{Backlog, BankStanding, Standing};

use health::Health;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};
use std::path::Path;
use std::sync::Arc;

/// The history database. Cheap to clone; all clones share the connections, and [`HistoryStore::close`] closes them for all.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    file: Arc<Path>,
    /// One connection. In a store opened read-only it is the reading pool, and SQLite refuses what is asked of it.
    write: SqlitePool,
    read: SqlitePool,
    read_only: bool,
    health: Arc<Health>,
}

impl HistoryStore {
    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn error(&self, source: sqlx::Error) -> HistoryError {
        let error = HistoryError::from_sqlx(&self.file, source);
        self.health.note(&error);
        error
    }

    async fn writer(&self) -> Result<PoolConnection<Sqlite>, HistoryError> {
        self.write.acquire().await.map_err(|e| self.error(e))
    }

    /// Ends a transaction's use of the writing connection.
    ///
    /// SQLite itself rolls back on a full disk or an I/O error; sqlx does not learn of it and would refuse to begin again on
    /// this connection. A connection that saw an error is therefore closed, and the pool makes a fresh one.
    async fn settle<T>(&self, connection: PoolConnection<Sqlite>, result: Result<T, sqlx::Error>) -> Result<T, HistoryError> {
        if result.is_err() {
            let _ = connection.close().await;
        }
        result.map_err(|e| self.error(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn arrivals(names: std::ops::Range<i64>) -> Vec<Arrival> {
        names
            .map(|i| Arrival {
                path: format!("/drop/{i}.jpg").into(),
                product: Some("prod1".into()),
                size: 1,
                mtime_ns: i,
                seen_at: Timestamp::UNIX_EPOCH,
                give_up_at: Timestamp::UNIX_EPOCH,
                state: ArrivalState::Pending,
                reason: None,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_recording_goes_on_when_there_is_space() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        store.record_arrivals(&arrivals(0..10)).await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&store.write).await.unwrap();
        let error = store.record_arrivals(&arrivals(0..5000)).await.unwrap_err();
        assert_eq!(error.kind, HistoryErrorKind::DiskFull, "{error}");
        assert_eq!(store.counts().await.unwrap().arrived, 10);
        sqlx::raw_sql("PRAGMA max_page_count = 1000000").execute(&store.write).await.unwrap();
        let recorded = store.record_arrivals(&arrivals(0..5000)).await.unwrap();
        assert_eq!(recorded.iter().filter(|r| matches!(r, Recorded::New(_))).count(), 4990);
        assert_eq!(store.counts().await.unwrap(), Counts { arrived: 5000, pending: 5000, ..Counts::default() });
    }

    #[tokio::test]
    async fn the_store_outlives_a_transaction_that_sqlite_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        // What SQLite does on an I/O error, and sometimes on a full disk.
        let trigger = "CREATE TEMP TRIGGER gone BEFORE INSERT ON inspections BEGIN SELECT RAISE(ROLLBACK, 'gone'); END";
        sqlx::raw_sql(trigger).execute(&store.write).await.unwrap();
        store.record_arrivals(&arrivals(0..3)).await.unwrap_err();
        sqlx::raw_sql("DROP TRIGGER IF EXISTS gone").execute(&store.write).await.unwrap();
        assert_eq!(store.record_arrivals(&arrivals(0..3)).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn futures_can_be_spawned() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        let clone = store.clone();
        let task = tokio::spawn(async move {
            clone.record_arrivals(&arrivals(0..3)).await?;
            clone.touch(1, 2, 2, Timestamp::UNIX_EPOCH).await?;
            clone.due_products(&["prod1"], Timestamp::UNIX_EPOCH).await
        });
        assert_eq!(task.await.unwrap().unwrap(), ["prod1"]);
    }
}
