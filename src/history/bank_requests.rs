//! What people ask the line to do with a product's bank, and how it ended.
//!
//! A request is a row before the daemon acts on it, and it stays pending until it is done. So a killed daemon or a closed terminal does not
//! lose it.

use super::events::insert_event;
use super::rows::{parse_time, time_text};
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::telemetry::Event;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

/// The kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankRequestKind {
    /// Build a new bank from the ok folder as it is now.
    Rebuild {
        /// From scratch, whatever the state and the image count of the bank in use.
        anew: bool,
    },
    /// Put this version in use again.
    Rollback {
        /// The folder `versions/NNNNNN`.
        version: i64,
    },
}

/// A pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankRequest {
    /// The row id; later requests have larger ids.
    pub id: i64,
    /// When it was asked for.
    pub at: Timestamp,
    /// Its product.
    pub product: String,
    /// Its kind.
    pub kind: BankRequestKind,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEnd {
    /// False when the request could not be done.
    pub done: bool,
    /// The outcome in words.
    pub outcome: String,
}

/// The value of the column `kind` for a rebuild from scratch.
const REBUILD_ANEW: &str = "rebuild_anew";

/// The requests of people for a bank.
#[derive(Debug, Clone)]
pub struct BankRequests {
    pub(super) database: Connections,
}

impl BankRequests {
    /// Adds a request and returns its id.
    pub async fn ask(&self, product: &str, kind: BankRequestKind) -> Result<i64, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = insert(&mut connection, product, kind).await;
        self.database.settle(connection, result).await
    }

    /// The pending requests, oldest first.
    pub async fn pending_requests(&self) -> Result<Vec<BankRequest>, HistoryError> {
        let read = async {
            let rows: Vec<(i64, String, String, String, Option<i64>)> =
                sqlx::query_as("SELECT id, at, product, kind, version FROM requests WHERE state = 'pending' ORDER BY id")
                    .fetch_all(self.database.read())
                    .await?;
            let request = |(id, at, product, kind, version): (i64, String, String, String, Option<i64>)| {
                let rebuild = BankRequestKind::Rebuild { anew: kind == REBUILD_ANEW };
                let kind = version.map_or(rebuild, |version| BankRequestKind::Rollback { version });
                Ok(BankRequest { id, at: parse_time(&at)?, product, kind })
            };
            rows.into_iter().map(request).collect::<Result<_, sqlx::Error>>()
        };
        read.await.map_err(|e| self.database.error(e))
    }

    /// Ends a request. An ended one does not change.
    pub async fn end_request(&self, id: i64, end: &RequestEnd) -> Result<(), HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = end_in(&mut connection, id, end).await;
        self.database.settle(connection, result).await
    }

    /// How this request ended; `None` while it is pending.
    pub async fn request_end(&self, id: i64) -> Result<Option<RequestEnd>, HistoryError> {
        let row: Option<(bool, String)> =
            sqlx::query_as("SELECT state = 'done', outcome FROM requests WHERE id = ? AND state <> 'pending'")
                .bind(id)
                .fetch_optional(self.database.read())
                .await
                .map_err(|e| self.database.error(e))?;
        Ok(row.map(|(done, outcome)| RequestEnd { done, outcome }))
    }
}

async fn insert(connection: &mut SqliteConnection, product: &str, kind: BankRequestKind) -> Result<i64, sqlx::Error> {
    let (word, version) = match kind {
        BankRequestKind::Rebuild { anew: false } => ("rebuild", None),
        BankRequestKind::Rebuild { anew: true } => (REBUILD_ANEW, None),
        BankRequestKind::Rollback { version } => ("rollback", Some(version)),
    };
    let now = time_text(Timestamp::now());
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let id = sqlx::query_scalar("INSERT INTO requests (at, kind, product, version, state) VALUES (?, ?, ?, ?, 'pending') RETURNING id")
        .bind(&now)
        .bind(word)
        .bind(product)
        .bind(version)
        .fetch_one(&mut *transaction)
        .await?;
    if version.is_none() {
        insert_event(&mut *transaction, &Event::new(EventKind::RebuildRequested, format!("request {id}")).of_product(product)).await?;
    }
    transaction.commit().await?;
    Ok(id)
}

pub(super) async fn end_in(connection: &mut SqliteConnection, id: i64, end: &RequestEnd) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE requests SET state = ?, outcome = ?, done_at = ? WHERE id = ? AND state = 'pending'")
        .bind(if end.done { "done" } else { "failed" })
        .bind(&end.outcome)
        .bind(time_text(Timestamp::now()))
        .bind(id)
        .execute(connection)
        .await
        .map(|_| ())
}
