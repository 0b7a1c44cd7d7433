//! What the history says of the line, all as of one moment. [`crate::snapshot`] adds what the memory of the daemon says.

use super::bank_work::{BankWorkRow, bank_work};
use super::events::{EventRow, since_start};
use super::held_up::held_up;
use super::queue::NO_BANK;
use super::rows::{parse_time, time_text};
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::domain::{FalseAlarms, HeldUp};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sqlx::SqliteConnection;

/// What the history says of the line at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineRecord {
    /// Every product that has pending images, whether or not the configuration has it.
    pub pending: Vec<PendingOf>,
    /// Every bank in use.
    pub banks: Vec<BankInUse>,
    /// Defects of all products that wait to be acted on.
    pub actions_waiting: i64,
    /// Messages that the MQTT broker has not acknowledged.
    pub messages_waiting: i64,
    /// Empty in a brief record.
    pub details: RecordDetails,
}

/// What a person asks for, and the daemon does not need every few seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordDetails {
    /// In the order in which they were asked for.
    pub products: Vec<ProductRecord>,
    /// Events of the kinds asked for, oldest first, since the line last started.
    pub events: Vec<EventRow>,
    /// Images, defects and messages that wait for what does not come by itself.
    pub held_up: Vec<HeldUp>,
}

/// How much is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Backlogs, banks and what waits: a look into small indices, however long the history is.
    Brief,
    /// The details too. Each costs a few looks into an index, or a count of the entries of one day.
    Full {
        /// Of these products.
        products: &'a [&'a str],
        /// The events of these kinds.
        events: &'a [EventKind],
        /// The day ends now.
        now: Timestamp,
    },
}

/// The pending images of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingOf {
    /// Its name.
    pub product: String,
    /// How many there are.
    pub pending: i64,
    /// When the first of them was seen.
    pub oldest_seen_at: Timestamp,
}

/// The details of one product.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductRecord {
    /// The pending image that was seen first.
    pub oldest_pending: Option<OldestPending>,
    /// True when images wait for a bank.
    pub images_wait_for_bank: bool,
    /// What the daemon does about its bank; only true while it runs.
    pub bank_work: Option<BankWorkRow>,
    /// Defects that wait to be acted on.
    pub actions_waiting: i64,
    /// The newest decision.
    pub last_decision: Option<LastDecision>,
    /// Ends of the last 24 hours.
    pub day: EndCounts,
    /// Ends of the last 10 minutes.
    pub ten_minutes: EndCounts,
}

/// A bank in use; fields are columns of `banks`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct BankInUse {
    #[serde(skip)]
    pub product: String,
    pub version: i64,
    pub created_at: String,
    /// If the bank says so.
    #[serde(skip)]
    pub rows: Option<i64>,
    /// It was put back in use by a rollback, and no bank is built by itself until the ok folder changes.
    pub after_rollback: bool,
    /// Good parts of 1000 that it is expected to reject, and the bound with 95 % confidence.
    pub expected_false_alarms: Option<f64>,
    pub false_alarms_bound: Option<f64>,
    /// Recent images that it judged again before it was used …
    pub compared_images: Option<i64>,
    /// … those of them that were ok and became ng …
    pub compared_to_ng: Option<i64>,
    /// … and those that were ng and became ok.
    pub compared_to_ok: Option<i64>,
    /// Which planted defects it finds, one sentence per line.
    pub self_test: Option<String>,
}

/// A pending image; fields are columns of `inspections`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct OldestPending {
    pub id: i64,
    pub image_path: String,
    pub seen_at: String,
    pub reason: Option<String>,
}

/// A decided image; fields are columns of `inspections`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct LastDecision {
    pub id: i64,
    pub image_path: String,
    pub decided_at: String,
    pub decision: String,
    pub image_score: Option<f64>,
    pub image_tau: Option<f64>,
}

/// How many images ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct EndCounts {
    /// Decided `ok`.
    pub ok: i64,
    /// Decided `ng`.
    pub ng: i64,
    /// Given up.
    pub failed: i64,
}

/// The record of the line.
#[derive(Debug, Clone)]
pub struct LineRecords {
    pub(super) database: Connections,
}

impl LineRecords {
    /// What the history says now, all of it as of one moment.
    pub async fn take(&self, scope: Scope<'_>) -> Result<LineRecord, HistoryError> {
        let read = async {
            // What is pending for one question must not be decided for the next.
            let mut transaction = self.database.read().begin().await?;
            let pending: Vec<(String, i64, String)> = sqlx::query_as(PENDING).fetch_all(&mut *transaction).await?;
            let pending_of = |(product, pending, seen_at): (String, i64, String)| {
                Ok::<_, sqlx::Error>(PendingOf { product, pending, oldest_seen_at: parse_time(&seen_at)? })
            };
            let banks = sqlx::query_as(BANKS).fetch_all(&mut *transaction).await?;
            let (actions_waiting, messages_waiting) = sqlx::query_as(WAITING).fetch_one(&mut *transaction).await?;
            let details = match scope {
                Scope::Brief => RecordDetails::default(),
                Scope::Full { products, events, now } => details(&mut transaction, products, events, now).await?,
            };
            let pending = pending.into_iter().map(pending_of).collect::<Result<_, _>>()?;
            Ok(LineRecord { pending, banks, actions_waiting, messages_waiting, details })
        };
        read.await.map_err(|e| self.database.error(e))
    }

    /// All that waits, by product and reason, without waits that end by themselves
    /// ([`ReasonCode::ends_by_itself`](crate::codes::ReasonCode::ends_by_itself)).
    pub async fn held_up(&self) -> Result<Vec<HeldUp>, HistoryError> {
        let mut connection = self.database.read().acquire().await.map_err(|e| self.database.error(e))?;
        held_up(&mut connection).await.map_err(|e| self.database.error(e))
    }
}

impl BankInUse {
    /// What it promises about good parts.
    pub fn promise(&self) -> Option<FalseAlarms> {
        Some(FalseAlarms { expected: self.expected_false_alarms?, bound: self.false_alarms_bound? })
    }
}

impl LineRecord {
    /// All pending images.
    pub fn all_pending(&self) -> i64 {
        self.pending.iter().map(|of| of.pending).sum()
    }

    /// The pending images of this product; `None` when it has none.
    pub fn pending_of(&self, product: &str) -> Option<&PendingOf> {
        self.pending.iter().find(|of| of.product == product)
    }

    /// The bank that this product uses.
    pub fn bank_of(&self, product: &str) -> Option<&BankInUse> {
        self.banks.iter().find(|bank| bank.product == product)
    }
}

/// Reads only the partial index of pending rows.
const PENDING: &str = "SELECT product, count(*), min(seen_at) FROM inspections WHERE state = 'pending' GROUP BY product ORDER BY product";
/// Reads only the active row of each product.
const BANKS: &str = "SELECT product, version, created_at, rows, held_ok IS NOT NULL AS after_rollback, expected_false_alarms,
            false_alarms_bound, compared_images, compared_to_ng, compared_to_ok, self_test
     FROM banks WHERE state = 'active' ORDER BY product";
const WAITING: &str = "SELECT (SELECT count(*) FROM actions WHERE state = 'pending'), (SELECT count(*) FROM mqtt_outbox)";

async fn details(
    connection: &mut SqliteConnection,
    products: &[&str],
    kinds: &[EventKind],
    now: Timestamp,
) -> Result<RecordDetails, sqlx::Error> {
    let (events, held_up) = (since_start(connection, kinds).await?, held_up(connection).await?);
    let mut details = RecordDetails { products: Vec::new(), events, held_up };
    for product in products {
        details.products.push(stand(connection, product, now).await?);
    }
    Ok(details)
}

async fn stand(connection: &mut SqliteConnection, product: &str, now: Timestamp) -> Result<ProductRecord, sqlx::Error> {
    let images_wait_for_bank =
        sqlx::query_scalar("SELECT ifnull(max(reason IS ?), 0) FROM inspections WHERE state = 'pending' AND product = ?")
            .bind(NO_BANK)
            .bind(product)
            .fetch_one(&mut *connection)
            .await?;
    let oldest_pending = sqlx::query_as(
        "SELECT id, image_path, seen_at, reason FROM inspections WHERE state = 'pending' AND product = ? ORDER BY seen_at, id LIMIT 1",
    )
    .bind(product)
    .fetch_optional(&mut *connection)
    .await?;
    let actions_waiting = sqlx::query_scalar("SELECT count(*) FROM actions WHERE state = 'pending' AND product = ?")
        .bind(product)
        .fetch_one(&mut *connection)
        .await?;
    Ok(ProductRecord {
        oldest_pending,
        images_wait_for_bank,
        bank_work: bank_work(connection, product).await?,
        actions_waiting,
        last_decision: last_decision(connection, product).await?,
        day: ends(connection, product, now, SignedDuration::from_hours(24)).await?,
        ten_minutes: ends(connection, product, now, SignedDuration::from_mins(10)).await?,
    })
}

/// The newest of the two that the index gives without a search, the last `ok` and the last `ng`.
async fn last_decision(connection: &mut SqliteConnection, product: &str) -> Result<Option<LastDecision>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, image_path, decided_at, decision, image_score, image_tau FROM inspections
         WHERE id IN (
           SELECT id FROM (SELECT id FROM inspections WHERE product = ?1 AND state = 'done' AND decision = 'ok' ORDER BY decided_at DESC LIMIT 1)
           UNION ALL
           SELECT id FROM (SELECT id FROM inspections WHERE product = ?1 AND state = 'done' AND decision = 'ng' ORDER BY decided_at DESC LIMIT 1))
         ORDER BY decided_at DESC, id DESC LIMIT 1",
    )
    .bind(product)
    .fetch_optional(connection)
    .await
}

async fn ends(connection: &mut SqliteConnection, product: &str, now: Timestamp, past: SignedDuration) -> Result<EndCounts, sqlx::Error> {
    // Written out for each end, so that every count is one range of the index.
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM inspections WHERE product = ?1 AND state = 'done' AND decision = 'ok' AND decided_at >= ?2) AS ok,
                (SELECT count(*) FROM inspections WHERE product = ?1 AND state = 'done' AND decision = 'ng' AND decided_at >= ?2) AS ng,
                (SELECT count(*) FROM inspections WHERE product = ?1 AND state = 'failed' AND decision IS NULL AND decided_at >= ?2) AS failed",
    )
    .bind(product)
    .bind(time_text(now.checked_sub(past).unwrap_or(Timestamp::MIN)))
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryStore;

    #[tokio::test]
    async fn a_brief_record_does_not_go_through_the_whole_history() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        for (question, plan) in [(PENDING, "SCAN inspections USING COVERING INDEX inspections_queue"), (BANKS, "USING INDEX banks_active")]
        {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {question}"));
            let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(store.read()).await.unwrap();
            let said: Vec<String> = rows.into_iter().map(|(.., detail)| detail).collect();
            assert!(said.len() == 1 && said[0].contains(plan), "{said:?}");
        }
        assert_eq!(store.records().take(Scope::Brief).await.unwrap(), LineRecord::default());
    }
}
