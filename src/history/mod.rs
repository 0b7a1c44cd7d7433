//! The history of a line in SQLite: the queue of arrived images, the decisions on them, the banks, and the events.
//!
//! [`HistoryStore`] owns the connections and all SQL; nothing outside this folder uses sqlx. The schema is in `migrations/`.
//!
//! Invariants, each with a test:
//! - arrived = done + failed + pending, after any sequence of operations and any crash between two of them;
//! - an arrival has one row, however often it is reported, moved or touched; `sightings.rs` says what an arrival is;
//! - a row that is `done` changes only once more, to say when its files were deleted; a row that is `failed` changes only when somebody
//!   requeues it;
//! - a result counts only for the file it was made from: when a file changes during an attempt, the attempt does not count and the row
//!   stays pending.
//!
//! There is one writing connection, so writers wait for one another here and not in SQLite. A few more connections only read.

mod actions;
mod arrivals;
mod bank_requests;
mod bank_rows;
mod bank_state;
mod banks;
mod caretaker;
mod clock;
mod connecting;
mod decisions;
mod error;
mod folder_state;
mod health;
mod held_up;
mod in_hand;
mod known;
mod lock;
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
pub use bank_rows::{ActiveBankRow, EarlierBank, NewBank, RecordedFiles};
pub use bank_state::{bank_event_kinds, bank_trouble};
pub use banks::Edited;
pub use caretaker::{LOOK as CARETAKER_LOOK, look_after};
pub use error::{HistoryError, HistoryErrorKind};
pub use folder_state::{Since, folder_event_kinds, folder_state};
pub use in_hand::{Aftermath, DEATHS, Killer};
pub use lock::{DatabaseLock, Holder, LockError, database_holder};
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
pub use snapshot::{BankInUse, EndCounts, EventRow, LastDecision, OldestPending, PendingOf, ProductSnapshot, Snapshot};
pub use standing::{Backlog, BankStanding, Standing};

use crate::platform::clock::LineClock;
use health::Health;
use known::Opening;
use place::Place;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The history database. Cheap to clone; all clones share the connections, and [`HistoryStore::close`] closes them for all.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    file: Arc<Path>,
    /// One connection. In a store opened read-only this is the reading pool, and SQLite refuses every write on it.
    write: SqlitePool,
    read: SqlitePool,
    read_only: bool,
    health: Arc<Health>,
    place: Arc<Place>,
    opening: Arc<Opening>,
    /// Tells how long ago a time was; without it the store believes the wall clock.
    clock: Arc<OnceLock<Arc<LineClock>>>,
}

impl HistoryStore {
    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn error(&self, source: sqlx::Error) -> HistoryError {
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

    async fn writer(&self) -> Result<PoolConnection<Sqlite>, HistoryError> {
        self.write.acquire().await.map_err(|e| self.error(e))
    }

    /// Ends a transaction's use of the writing connection.
    ///
    /// SQLite itself rolls back on a full disk or an I/O error. sqlx does not notice that and would refuse to begin again on this
    /// connection. So a connection that saw an error is closed, and the pool makes a new one.
    async fn settle<T>(&self, connection: PoolConnection<Sqlite>, result: Result<T, sqlx::Error>) -> Result<T, HistoryError> {
        // A connection to a moved file commits nothing more, but it must still fold the log into that file.
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
        // SQLite itself does this on an I/O error, and sometimes on a full disk.
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
            clone.touch(1, (2, 2), None, Timestamp::UNIX_EPOCH).await?;
            clone.due_products(&["prod1"], Timestamp::UNIX_EPOCH).await
        });
        assert_eq!(task.await.unwrap().unwrap(), ["prod1"]);
    }
}
