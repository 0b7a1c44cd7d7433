//! What people ask of the line about a product's bank, and what became of it.
//!
//! A request is a row before anything is done for it, and pending until it is done, so that neither a killed daemon nor a closed
//! terminal makes it forgotten.

use super::report::insert_event;
use super::rows::{parse_time, time_text};
use super::{HistoryError, HistoryStore};
use crate::codes::EventKind;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankRequestKind {
    /// A new bank from the ok folder as it is.
    Rebuild {
        /// Whatever became of the bank in use, and however many images it was built from.
        anew: bool,
    },
    /// This version in use again.
    Rollback {
        /// The folder `versions/NNNNNN`.
        version: i64,
    },
}

/// A pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankRequest {
    /// Row id; later requests have larger ones.
    pub id: i64,
    /// When it was asked for.
    pub at: Timestamp,
    /// Whose bank.
    pub product: String,
    /// What.
    pub kind: BankRequestKind,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEnd {
    /// False when it could not be done.
    pub done: bool,
    /// What became of it, in words.
    pub outcome: String,
}

/// How the column `kind` names a rebuild from scratch.
const REBUILD_ANEW: &str = "rebuild_anew";

impl HistoryStore {
    /// Asks; returns the id of the request.
    pub async fn ask(&self, product: &str, kind: BankRequestKind) -> Result<i64, HistoryError> {
        let mut connection = self.writer().await?;
        let result = insert(&mut connection, product, kind).await;
        self.settle(connection, result).await
    }

    /// The pending requests, oldest first.
    pub async fn pending_requests(&self) -> Result<Vec<BankRequest>, HistoryError> {
        let read = async {
            let rows: Vec<(i64, String, String, String, Option<i64>)> =
                sqlx::query_as("SELECT id, at, product, kind, version FROM requests WHERE state = 'pending' ORDER BY id")
                    .fetch_all(&self.read)
                    .await?;
            let request = |(id, at, product, kind, version): (i64, String, String, String, Option<i64>)| {
                let rebuild = BankRequestKind::Rebuild { anew: kind == REBUILD_ANEW };
                let kind = version.map_or(rebuild, |version| BankRequestKind::Rollback { version });
                Ok(BankRequest { id, at: parse_time(&at)?, product, kind })
            };
            rows.into_iter().map(request).collect::<Result<_, sqlx::Error>>()
        };
        read.await.map_err(|e| self.error(e))
    }

    /// Ends a request. One that has ended stays as it is.
    pub async fn end_request(&self, id: i64, end: &RequestEnd) -> Result<(), HistoryError> {
        let mut connection = self.writer().await?;
        let result = end_in(&mut connection, id, end).await;
        self.settle(connection, result).await
    }

    /// How a request ended; `None` while it is pending.
    pub async fn request_end(&self, id: i64) -> Result<Option<RequestEnd>, HistoryError> {
        let row: Option<(bool, String)> =
            sqlx::query_as("SELECT state = 'done', outcome FROM requests WHERE id = ? AND state <> 'pending'")
                .bind(id)
                .fetch_optional(&self.read)
                .await
                .map_err(|e| self.error(e))?;
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
        insert_event(&mut *transaction, EventKind::RebuildRequested, Some(product), &format!("request {id}")).await?;
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
