//! The opened history, which hands out the handles.

use super::actions::Actions;
use super::ages::Ages;
use super::arrivals::Arrivals;
use super::bank_requests::BankRequests;
use super::banks::Banks;
use super::calendar::Calendar;
use super::clock::StoredClock;
use super::events::RecordedEvents;
use super::outbox::Outbox;
use super::profiles::Profiles;
use super::queue::InspectionQueue;
use super::record::LineRecords;
use super::report::InspectionLists;
use super::requeue::FailedImages;
use super::retention::DeletableFiles;
use crate::database::{Connections, Database, DatabaseLock, HistoryError};
use crate::platform::clock::LineClock;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The opened history. It does nothing itself: each task takes its handles from it.
///
/// Cheap to clone; all clones and handles share the connections, and [`HistoryStore::close`] closes them for all.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    database: Database,
    ages: Ages,
    /// Somebody asked the daemon to stop.
    stops: Arc<AtomicBool>,
}

impl HistoryStore {
    /// Opens the history for the daemon; see [`Database::open`].
    pub async fn open(file: &Path) -> Result<Self, HistoryError> {
        Database::open(file).await.map(Self::of)
    }

    /// [`HistoryStore::open`] for a database that this process has locked; see [`Database::open_telling`].
    pub async fn open_telling(
        file: &Path,
        lock: &DatabaseLock,
        on_progress: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, HistoryError> {
        Database::open_telling(file, lock, on_progress).await.map(Self::of)
    }

    /// Opens the history to change a few rows, beside a running daemon or without one. The file must be there, and of this version.
    pub async fn open_to_change(file: &Path) -> Result<Self, HistoryError> {
        Database::open_to_change(file).await.map(Self::of)
    }

    /// Opens the history for reports, whether or not the daemon runs. Every attempt to write is refused.
    pub async fn open_read_only(file: &Path) -> Result<Self, HistoryError> {
        Database::open_read_only(file).await.map(Self::of)
    }

    fn of(database: Database) -> Self {
        Self { database, ages: Ages::default(), stops: Arc::default() }
    }

    /// Closes the history; see [`Database::close`].
    pub async fn close(self) -> Result<(), HistoryError> {
        self.database.close().await
    }

    /// From now on this clock tells how long ago a time of the history was, even when the wall clock jumps.
    pub fn go_by(&self, clock: &Arc<LineClock>) {
        self.ages.go_by(clock);
    }

    /// The database file, for those who look after it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    fn connections(&self) -> Connections {
        self.database.connections().clone()
    }

    #[cfg(test)]
    pub(crate) fn read(&self) -> &sqlx::SqlitePool {
        self.database.connections().read()
    }

    #[cfg(test)]
    pub(crate) fn write(&self) -> &sqlx::SqlitePool {
        self.database.connections().write()
    }

    /// For the recorder: the files that arrive.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals { database: self.connections(), ages: self.ages.clone() }
    }

    /// For the dispatcher and the inspectors: the pending images.
    pub fn queue(&self) -> InspectionQueue {
        InspectionQueue { database: self.connections(), ages: self.ages.clone(), stops: Arc::clone(&self.stops) }
    }

    /// For those who put banks in use.
    pub fn banks(&self) -> Banks {
        Banks { database: self.connections() }
    }

    /// For those who ask for a bank, and those who serve them.
    pub fn bank_requests(&self) -> BankRequests {
        BankRequests { database: self.connections() }
    }

    /// For the commands of `on_ng`.
    pub fn actions(&self) -> Actions {
        Actions { database: self.connections() }
    }

    /// For the publisher.
    pub fn outbox(&self) -> Outbox {
        Outbox { database: self.connections() }
    }

    /// For the views that count by local days and shifts.
    pub fn calendar(&self) -> Calendar {
        Calendar { database: self.connections() }
    }

    /// For the change-over from one profile to another.
    pub fn profiles(&self) -> Profiles {
        Profiles { database: self.connections() }
    }

    /// For the watch over the wall clock.
    pub fn clock(&self) -> StoredClock {
        StoredClock { database: self.connections() }
    }

    /// For telemetry: the events.
    pub fn events(&self) -> RecordedEvents {
        RecordedEvents { database: self.connections() }
    }

    /// For retention: the files that may go some day.
    pub fn deletable_files(&self) -> DeletableFiles {
        DeletableFiles { database: self.connections() }
    }

    /// For `patchcored requeue`.
    pub fn failed_images(&self) -> FailedImages {
        FailedImages { database: self.connections() }
    }

    /// For people: counts and lists of inspections.
    pub fn lists(&self) -> InspectionLists {
        InspectionLists { database: self.connections() }
    }

    /// For all who tell how the line stands.
    pub fn records(&self) -> LineRecords {
        LineRecords { database: self.connections() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Arrival, Counts, HistoryErrorKind, Recorded};
    use jiff::Timestamp;

    fn arrivals(names: std::ops::Range<i64>) -> Vec<Arrival> {
        names.map(|i| Arrival { product: Some("prod1".into()), ..Arrival::sample(i) }).collect()
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_recording_goes_on_when_there_is_space() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        store.arrivals().record_arrivals(&arrivals(0..10)).await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(store.write()).await.unwrap();
        let error = store.arrivals().record_arrivals(&arrivals(0..5000)).await.unwrap_err();
        assert_eq!(error.kind, HistoryErrorKind::DiskFull, "{error}");
        assert_eq!(store.lists().counts().await.unwrap().arrived, 10);
        sqlx::raw_sql("PRAGMA max_page_count = 1000000").execute(store.write()).await.unwrap();
        let recorded = store.arrivals().record_arrivals(&arrivals(0..5000)).await.unwrap();
        assert_eq!(recorded.iter().filter(|r| matches!(r, Recorded::New(_))).count(), 4990);
        assert_eq!(store.lists().counts().await.unwrap(), Counts { arrived: 5000, pending: 5000, ..Counts::default() });
    }

    #[tokio::test]
    async fn the_store_outlives_a_transaction_that_sqlite_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        // SQLite itself does this on an I/O error, and sometimes on a full disk.
        let trigger = "CREATE TEMP TRIGGER gone BEFORE INSERT ON inspections BEGIN SELECT RAISE(ROLLBACK, 'gone'); END";
        sqlx::raw_sql(trigger).execute(store.write()).await.unwrap();
        store.arrivals().record_arrivals(&arrivals(0..3)).await.unwrap_err();
        sqlx::raw_sql("DROP TRIGGER IF EXISTS gone").execute(store.write()).await.unwrap();
        assert_eq!(store.arrivals().record_arrivals(&arrivals(0..3)).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn futures_can_be_spawned() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        let clone = store.clone();
        let task = tokio::spawn(async move {
            clone.arrivals().record_arrivals(&arrivals(0..3)).await?;
            clone.queue().touch(1, (2, 2), None, Timestamp::UNIX_EPOCH).await?;
            clone.queue().due_products(&["prod1"], Timestamp::UNIX_EPOCH).await
        });
        assert_eq!(task.await.unwrap().unwrap(), ["prod1"]);
    }
}
