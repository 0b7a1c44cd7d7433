//! The queue of pending images: what is due, what waits, and attempts.

use super::rows::{PathColumns, PendingImage, parse_time, time_text};
use super::{HistoryError, HistoryStore};
use crate::codes::{Reason, ReasonCode};
use jiff::Timestamp;
use std::path::PathBuf;

/// The reason of rows that wait for their product's first bank.
///
/// Such a row is not due until it is released. Publishing a bank releases its product's rows in the same transaction, so a
/// crash cannot leave a bank in use with images waiting for it; releasing what does not wait changes nothing.
pub const NO_BANK: &str = ReasonCode::NoBank.as_str();

impl HistoryStore {
    /// Those of `products` that have due images, in the order given. Each costs one look into the index, however long its backlog.
    pub async fn due_products(&self, products: &[&str], now: Timestamp) -> Result<Vec<String>, HistoryError> {
        sqlx::query_scalar(
            "SELECT p.value FROM json_each(?) AS p
             WHERE EXISTS (SELECT 1 FROM inspections AS i
                           WHERE i.state = 'pending' AND i.product = p.value AND i.reason IS NOT ?
                             AND (i.retry_at IS NULL OR i.retry_at <= ?))
             ORDER BY p.key",
        )
        .bind(serde_json::Value::from(products).to_string())
        .bind(NO_BANK)
        .bind(time_text(now))
        .fetch_all(&self.read)
        .await
        .map_err(|e| self.error(e))
    }

    /// The oldest images of a product that are due, without those in `exclude` (already in work) and those below a folder in `avoid`.
    pub async fn next_pending(
        &self,
        product: &str,
        now: Timestamp,
        limit: u32,
        exclude: &[i64],
        avoid: &[PathBuf],
    ) -> Result<Vec<PendingImage>, HistoryError> {
        let avoid: Vec<String> = avoid.iter().map(|folder| PathColumns::of(folder).shown + "/").collect();
        type Row = (i64, String, Option<Vec<u8>>, i64, i64, String, i64, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, image_path, image_path_raw, file_size, mtime_ns, seen_at, attempts, give_up_at
             FROM inspections
             WHERE state = 'pending' AND product = ? AND reason IS NOT ? AND (retry_at IS NULL OR retry_at <= ?)
               AND id NOT IN (SELECT value FROM json_each(?))
               AND NOT EXISTS (SELECT 1 FROM json_each(?) AS f WHERE substr(image_path, 1, length(f.value)) = f.value)
             ORDER BY seen_at, id
             LIMIT ?",
        )
        .bind(product)
        .bind(NO_BANK)
        .bind(time_text(now))
        .bind(serde_json::Value::from(exclude).to_string())
        .bind(serde_json::Value::from(avoid).to_string())
        .bind(limit)
        .fetch_all(&self.read)
        .await
        .map_err(|e| self.error(e))?;
        rows.into_iter()
            .map(|(id, shown, raw, size, mtime_ns, seen_at, attempts, give_up_at)| {
                Ok(PendingImage {
                    id,
                    path: PathColumns { shown, raw }.into_path(),
                    size: size as u64,
                    mtime_ns,
                    seen_at: parse_time(&seen_at)?,
                    attempts,
                    give_up_at: parse_time(&give_up_at)?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|e| self.error(e))
    }

    /// An attempt begins now: call it before the file is read. False when the row is no longer pending.
    ///
    /// [`HistoryStore::finish`] and [`HistoryStore::fail`] count only for an attempt under which the file did not change.
    pub async fn start_attempt(&self, id: i64) -> Result<bool, HistoryError> {
        let changed = sqlx::query("UPDATE inspections SET attempts = attempts + 1, started_at = ? WHERE id = ? AND state = 'pending'")
            .bind(time_text(Timestamp::now()))
            .bind(id)
            .execute(&self.write)
            .await;
        Ok(changed.map_err(|e| self.error(e))?.rows_affected() == 1)
    }

    /// The attempt ended without a result; the row is due again at `retry_at`. False when the row is no longer pending.
    pub async fn retry_later(&self, id: i64, reason: &Reason, retry_at: Timestamp) -> Result<bool, HistoryError> {
        let changed = sqlx::query("UPDATE inspections SET reason = ?, reason_code = ?, retry_at = ? WHERE id = ? AND state = 'pending'")
            .bind(&reason.text)
            .bind(reason.code.as_str())
            .bind(time_text(retry_at))
            .bind(id)
            .execute(&self.write)
            .await;
        Ok(changed.map_err(|e| self.error(e))?.rows_affected() == 1)
    }

    /// The product has no bank: its pending images wait. Returns how many began to.
    pub async fn set_waiting_for_bank(&self, product: &str) -> Result<u64, HistoryError> {
        let changed = sqlx::query(
            "UPDATE inspections SET reason = ?1, reason_code = ?1, retry_at = NULL WHERE state = 'pending' AND product = ?2 AND reason IS NOT ?1",
        )
        .bind(NO_BANK)
        .bind(product)
        .execute(&self.write)
        .await;
        Ok(changed.map_err(|e| self.error(e))?.rows_affected())
    }

    /// The product has a bank: images that waited for it are due. Returns how many. Safe to call at any time.
    pub async fn release_waiting(&self, product: &str) -> Result<u64, HistoryError> {
        let changed = sqlx::query(RELEASE).bind(product).bind(NO_BANK).execute(&self.write).await;
        Ok(changed.map_err(|e| self.error(e))?.rows_affected())
    }
}

/// Parameters: product, [`NO_BANK`].
pub(super) const RELEASE: &str =
    "UPDATE inspections SET reason = NULL, reason_code = NULL WHERE state = 'pending' AND product = ? AND reason = ?";
