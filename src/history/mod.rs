//! The history of a line in SQLite: the queue of arrived images, what was decided about them, their banks, and events.
//!
//! [`HistoryStore`] owns the connections and all SQL; nothing outside this folder names sqlx. The schema is in `migrations/`.
//!
//! Invariants, each with a test:
//! - arrived = done + failed + pending, after any sequence of operations and any crash between two of them;
//! - an arrival has one row, however often it is reported, moved or touched; `sightings.rs` says what an arrival is;
//! - a row that is `done` never changes again but to tell when its files were deleted, and one that is `failed` only when somebody
//!   requeues it;
//! - a result counts only for the file it was made from: when a file changes under a running attempt, the attempt does not
//!   count and the row stays pending.
//!
//! There is one writing connection, so that writers wait for one another here and not in SQLite, and a few that only read.

mod actions;
mod arrivals;
mod bank_requests;
mod bank_rows;
mod banks;
mod clock;
mod decisions;
mod error;
mod health;
mod held_up;
mod in_hand;
mod known;
mod open;
mod outbox;
mod place;
mod profiles;
mod queue;
mod readers;
mod report;
mod requeue;
mod retention;
mod rows;
mod sightings;
mod snapshot;
mod soundness;
mod standing;

pub use actions::{ActionEnd, Defect, GivenUp, Waiting};
pub use bank_requests::{BankRequest, BankRequestKind, RequestEnd};
pub use bank_rows::{ActiveBank, EarlierBank, NewBank, RecordedFiles};
pub use banks::Edited;
pub use clock::{ClockJump, ClockRecord, ClockStamp, TimeSpan};
pub use error::{HistoryError, HistoryErrorKind};
pub use held_up::{HeldUp, MQTT, ON_NG};
pub use in_hand::{Aftermath, DEATHS, Killer};
pub use outbox::Message;
pub use profiles::ProfileChange;
pub use queue::NO_BANK;
pub use requeue::{RequeueFilter, Requeued};
pub use retention::{KeptCursor, KeptFiles, KeptOutput};
pub use rows::{
    Arrival, ArrivalState, Counts, Distance, Evidence, Finished, FollowUp, InspectionFilter, InspectionResult, InspectionRow, Kin,
    PendingImage, ProductCounts, Recorded,
};
pub use sightings::WINDOW;
pub use snapshot::{BankInUse, Ends, EventRow, LastDecision, OldestPending, PendingOf, ProductSnapshot, Snapshot};
pub use standing::{Backlog, BankStanding, Standing};

use health::Health;
use known::Opening;
use place::Place;
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
    place: Arc<Place>,
    opening: Arc<Opening>,
}

impl HistoryStore {
    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn error(&self, source: sqlx::Error) -> HistoryError {
        let mut error = HistoryError::from_sqlx(&self.file, source);
        // A file that is not there any more has many ways to fail.
        if error.kind.is_fatal()
            && let Some(what) = self.place.moved()
        {
            error = HistoryError::saying(&self.file, HistoryErrorKind::Moved, what);
        }
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
        // One to a file that was moved commits nothing more, and is needed to fold the log into it.
        if result.is_err() && self.place.moved().is_none() {
            self.place.disconnects();
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
        names.map(|i| Arrival { product: Some("prod1".into()), ..Arrival::sample(i) }).collect()
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
