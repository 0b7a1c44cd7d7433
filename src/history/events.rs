//! Events: what happened to the daemon, for people.

use super::rows::time_text;
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::telemetry::{Event, EventRows, NotRecorded};
use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::{Connection, Sqlite, SqliteConnection};

/// An event; fields are columns of `events`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct EventRow {
    pub at: String,
    pub kind: String,
    pub product: Option<String>,
    pub place: Option<String>,
    pub detail: String,
}

/// The events of the daemon.
#[derive(Debug, Clone)]
pub struct RecordedEvents {
    pub(super) database: Connections,
}

impl EventRows for RecordedEvents {
    fn record<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<(), NotRecorded>> {
        Box::pin(async move { self.record_event(event).await.map_err(NotRecorded::from) })
    }
}

impl RecordedEvents {
    /// Records an event of the daemon, with the present time.
    pub async fn record_event(&self, event: &Event) -> Result<(), HistoryError> {
        insert_event(self.database.write(), event).await.map_err(|e| self.database.error(e))
    }

    /// The events of these kinds since the line last started, oldest first.
    pub async fn since_start(&self, kinds: &[EventKind]) -> Result<Vec<EventRow>, HistoryError> {
        let mut connection = self.database.read().acquire().await.map_err(|e| self.database.error(e))?;
        since_start(&mut connection, kinds).await.map_err(|e| self.database.error(e))
    }

    /// Writes the events `disk_full` and `disk_full_over` once the disk of the database has had space for a few seconds. True when it wrote
    /// them.
    ///
    /// # Errors
    /// When the events cannot be written. The disk then counts as full again.
    pub async fn record_full_disk(&self) -> Result<bool, HistoryError> {
        let health = self.database.health();
        let Some(since) = health.full_disk_is_over() else { return Ok(false) };
        let mut connection = self.database.writer().await?;
        let file = self.database.file().display().to_string();
        let result = insert_both(&mut connection, since, &file).await;
        self.database.settle(connection, result).await?;
        health.full_disk_recorded();
        Ok(true)
    }
}

/// Writes an event, alone or within a transaction.
pub(super) async fn insert_event<'e>(executor: impl sqlx::Executor<'e, Database = Sqlite>, event: &Event) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO events (at, level, kind, product, place, detail) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(time_text(Timestamp::now()))
        .bind(event.kind.level().as_str())
        .bind(event.kind.as_str())
        .bind(&event.product)
        .bind(event.place.as_ref().map(ToString::to_string))
        .bind(&event.detail)
        .execute(executor)
        .await
        .map(|_| ())
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

/// The events of these kinds since the line last started, oldest first.
pub(super) async fn since_start(connection: &mut SqliteConnection, kinds: &[EventKind]) -> Result<Vec<EventRow>, sqlx::Error> {
    // By rowid, the order of writing: clocks are set back now and then.
    sqlx::query_as(
        "SELECT at, kind, product, place, detail FROM events
         WHERE rowid > ifnull((SELECT rowid FROM events WHERE kind = 'start' ORDER BY rowid DESC LIMIT 1), 0)
           AND kind IN (SELECT value FROM json_each(?))
         ORDER BY rowid",
    )
    .bind(serde_json::json!(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()).to_string())
    .fetch_all(connection)
    .await
}
