//! The messages that the MQTT broker has not acknowledged yet, in the order of the decisions.

use super::events::insert_event;
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::telemetry::Event;
use serde::Serialize;
use sqlx::{Connection, SqliteConnection};

/// A message as it is published: a JSON object with these keys. Names and meanings are those of the columns of `inspections` and
/// `defect_history`. Keys stay; new ones may come.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Message {
    /// The place in the outbox, for [`Outbox::forget_messages`].
    #[serde(skip)]
    pub id: i64,
    pub inspection_id: i64,
    pub product: String,
    pub image_path: String,
    pub decision: String,
    pub image_score: Option<f64>,
    pub image_tau: Option<f64>,
    pub image_margin: Option<f64>,
    pub pixel_tau: Option<f64>,
    pub pixel_margin: Option<f64>,
    pub mask_pixels: Option<i64>,
    pub mask_regions: Option<i64>,
    pub mask_path: Option<String>,
    pub overlay_path: Option<String>,
    pub bank_version: Option<i64>,
    pub seen_at: String,
    pub decided_at: String,
}

/// The messages for the MQTT broker.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(super) database: Connections,
}

impl Outbox {
    /// The oldest messages after the one with the id `after`.
    pub async fn next_messages(&self, after: i64, limit: u32) -> Result<Vec<Message>, HistoryError> {
        sqlx::query_as(
            "SELECT o.id, o.inspection_id, i.product, i.image_path, i.decision, i.image_score, i.image_tau,
                    i.image_score - i.image_tau AS image_margin, i.pixel_tau, i.image_score - i.pixel_tau AS pixel_margin,
                    i.mask_pixels, i.mask_regions, i.mask_path, i.overlay_path, b.version AS bank_version, i.seen_at, i.decided_at
             FROM mqtt_outbox AS o
             JOIN inspections AS i ON i.id = o.inspection_id
             LEFT JOIN banks AS b ON b.id = i.bank_id
             WHERE o.id > ?
             ORDER BY o.id
             LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))
    }

    /// Removes the messages that the broker has acknowledged.
    pub async fn forget_messages(&self, ids: &[i64]) -> Result<(), HistoryError> {
        sqlx::query("DELETE FROM mqtt_outbox WHERE id IN (SELECT value FROM json_each(?))")
            .bind(serde_json::Value::from(ids).to_string())
            .execute(self.database.write())
            .await
            .map(|_| ())
            .map_err(|e| self.database.error(e))
    }

    /// Removes all messages except the newest `keep`. The same transaction writes an event `kind` with the number of lost messages;
    /// `detail` puts that number into words.
    pub async fn drop_messages(&self, keep: u64, kind: EventKind, detail: impl Fn(u64) -> String + Send) -> Result<u64, HistoryError> {
        let kept = i64::try_from(keep).unwrap_or(i64::MAX);
        let excess: i64 = sqlx::query_scalar("SELECT max(count(*) - ?, 0) FROM mqtt_outbox")
            .bind(kept)
            .fetch_one(self.database.read())
            .await
            .map_err(|e| self.database.error(e))?;
        if excess == 0 {
            return Ok(0);
        }
        let mut connection = self.database.writer().await?;
        let result = drop_oldest(&mut connection, kept, kind, detail).await;
        self.database.settle(connection, result).await
    }
}

async fn drop_oldest(
    connection: &mut SqliteConnection,
    keep: i64,
    kind: EventKind,
    detail: impl Fn(u64) -> String,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let dropped = sqlx::query("DELETE FROM mqtt_outbox WHERE id <= (SELECT id FROM mqtt_outbox ORDER BY id DESC LIMIT 1 OFFSET ?)")
        .bind(keep)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if dropped == 0 {
        transaction.rollback().await?;
        return Ok(0);
    }
    insert_event(&mut *transaction, &Event::new(kind, detail(dropped))).await?;
    transaction.commit().await?;
    Ok(dropped)
}
