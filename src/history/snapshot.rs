//! How products stand, all as of one moment.

use super::queue::NO_BANK;
use super::rows::time_text;
use super::{HistoryError, HistoryStore};
use crate::codes::EventKind;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sqlx::SqliteConnection;

/// How the products stand, and what was said of the folders.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// In the order in which they were asked for.
    pub products: Vec<ProductSnapshot>,
    /// Events of the kinds asked for, oldest first, since the line last started.
    pub events: Vec<EventRow>,
    /// Messages that the MQTT broker has not acknowledged.
    pub messages_waiting: i64,
    /// Every product that has pending images, whether or not it was asked for.
    pub pending: Vec<PendingOf>,
}

/// The pending images of one product.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PendingOf {
    /// Its name.
    pub product: String,
    /// How many there are.
    pub pending: i64,
    /// When the first of them was seen.
    pub oldest_seen_at: String,
}

/// How one product stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductSnapshot {
    /// The bank in use.
    pub bank: Option<BankInUse>,
    /// Images still to be decided.
    pub pending: i64,
    /// The one that was seen first.
    pub oldest_pending: Option<OldestPending>,
    /// True when images wait for a bank.
    pub images_wait_for_bank: bool,
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
    pub version: i64,
    pub created_at: String,
    /// It was put back in use by a rollback, and no bank is built by itself until the ok folder changes.
    pub after_rollback: bool,
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

impl HistoryStore {
    /// Every product that has pending images.
    pub async fn pending_by_product(&self) -> Result<Vec<PendingOf>, HistoryError> {
        sqlx::query_as(PENDING).fetch_all(&self.read).await.map_err(|e| self.error(e))
    }

    /// How these products stand at `now`, and the events of these kinds since the line last started. Each question costs a few looks
    /// into an index, or a count of the entries of one day, however long the history is.
    pub async fn snapshot(&self, products: &[&str], event_kinds: &[EventKind], now: Timestamp) -> Result<Snapshot, HistoryError> {
        let read = async {
            // What is pending for one question must not be decided for the next.
            let mut transaction = self.read.begin().await?;
            let messages_waiting = sqlx::query_scalar("SELECT count(*) FROM mqtt_outbox").fetch_one(&mut *transaction).await?;
            let events = events(&mut transaction, event_kinds).await?;
            let pending = sqlx::query_as(PENDING).fetch_all(&mut *transaction).await?;
            let mut snapshot = Snapshot { events, messages_waiting, pending, ..Snapshot::default() };
            for product in products {
                snapshot.products.push(stand(&mut transaction, product, now).await?);
            }
            Ok(snapshot)
        };
        read.await.map_err(|e| self.error(e))
    }
}

/// Read from the index of pending rows alone.
const PENDING: &str = "SELECT product, count(*) AS pending, min(seen_at) AS oldest_seen_at FROM inspections WHERE state = 'pending' GROUP BY product ORDER BY product";

async fn events(connection: &mut SqliteConnection, kinds: &[EventKind]) -> Result<Vec<EventRow>, sqlx::Error> {
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

async fn stand(connection: &mut SqliteConnection, product: &str, now: Timestamp) -> Result<ProductSnapshot, sqlx::Error> {
    let bank = sqlx::query_as(
        "SELECT version, created_at, held_ok IS NOT NULL AS after_rollback FROM banks WHERE product = ? AND state = 'active'",
    )
    .bind(product)
    .fetch_optional(&mut *connection)
    .await?;
    let (pending, images_wait_for_bank) =
        sqlx::query_as("SELECT count(*), ifnull(max(reason IS ?), 0) FROM inspections WHERE state = 'pending' AND product = ?")
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
    Ok(ProductSnapshot {
        bank,
        pending,
        oldest_pending,
        images_wait_for_bank,
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
