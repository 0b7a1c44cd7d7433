//! The actions on defects: one row for each, from the decision to the end of the command.
//!
//! The daemon starts an action at most once. `started` is on disk before the command exists, and nothing turns it back into `pending`. When
//! the daemon dies after that, the action becomes `interrupted`: the daemon reports it and never runs it again.

use super::ages::spans_json;
use super::rows::{PathColumns, time_text};
use crate::database::{Connections, HistoryError};
use crate::domain::{ActionEnd, Defect, TimeSpan};
use jiff::Timestamp;

/// An action that the daemon gave up before its end.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct GivenUp {
    /// Its product.
    pub product: String,
    /// The inspection.
    pub inspection_id: i64,
    /// The path as people see it.
    pub image_path: String,
}

/// The actions on defects.
#[derive(Debug, Clone)]
pub struct Actions {
    pub(super) database: Connections,
}

impl Actions {
    /// True when the product has an action that is not started.
    pub async fn has_pending_action(&self, product: &str) -> Result<bool, HistoryError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM actions WHERE product = ? AND state = 'pending')")
            .bind(product)
            .fetch_one(self.database.read())
            .await
            .map_err(|e| self.database.error(e))
    }

    /// pending → started: the oldest action of the product whose image did not arrive in a `too_old` time. From here on it counts as run.
    /// Returns its id.
    pub async fn start_action(&self, product: &str, too_old: &[TimeSpan], now: Timestamp) -> Result<Option<i64>, HistoryError> {
        sqlx::query_scalar(
            "UPDATE actions SET state = 'started', started_at = ?
             WHERE id = (SELECT id FROM actions
                         WHERE product = ? AND state = 'pending'
                           AND NOT EXISTS (SELECT 1 FROM json_each(?) WHERE arrived_at BETWEEN value ->> 0 AND value ->> 1)
                         ORDER BY id LIMIT 1)
             RETURNING id",
        )
        .bind(time_text(now))
        .bind(product)
        .bind(spans_json(too_old))
        .fetch_optional(self.database.write())
        .await
        .map_err(|e| self.database.error(e))
    }

    /// The defect that this action is about.
    pub async fn defect(&self, action: i64) -> Result<Defect, HistoryError> {
        let row: Row = sqlx::query_as(
            "SELECT a.inspection_id, i.image_path, i.image_path_raw, i.image_score, i.image_tau, i.pixel_tau,
                    ifnull(i.mask_pixels, 0) AS mask_pixels, ifnull(i.mask_regions, 0) AS mask_regions, i.mask_path, a.mask_path_raw,
                    i.overlay_path, a.overlay_path_raw, ifnull(b.version, 0) AS bank_version, i.decided_at
             FROM actions AS a
             JOIN inspections AS i ON i.id = a.inspection_id
             LEFT JOIN banks AS b ON b.id = i.bank_id
             WHERE a.id = ?",
        )
        .bind(action)
        .fetch_one(self.database.read())
        .await
        .map_err(|e| self.database.error(e))?;
        let path = |shown: Option<String>, raw| shown.map(|shown| PathColumns { shown, raw }.into_path());
        Ok(Defect {
            inspection_id: row.inspection_id,
            image: PathColumns { shown: row.image_path, raw: row.image_path_raw }.into_path(),
            image_score: row.image_score,
            image_tau: row.image_tau,
            pixel_tau: row.pixel_tau,
            mask_pixels: row.mask_pixels,
            mask_regions: row.mask_regions,
            mask: path(row.mask_path, row.mask_path_raw),
            overlay: path(row.overlay_path, row.overlay_path_raw),
            bank_version: row.bank_version,
            decided_at: row.decided_at,
        })
    }

    /// started → done or failed.
    pub async fn end_action(&self, id: i64, end: &ActionEnd, ended_at: Timestamp) -> Result<(), HistoryError> {
        sqlx::query(
            "UPDATE actions SET state = ?, reason = ?, exit_code = ?, signal = ?, stderr = ?, ended_at = ?
             WHERE id = ? AND state = 'started'",
        )
        .bind(if end.failure.is_none() { "done" } else { "failed" })
        .bind(&end.failure)
        .bind(end.exit_code)
        .bind(end.signal)
        .bind(&end.stderr)
        .bind(time_text(ended_at))
        .bind(id)
        .execute(self.database.write())
        .await
        .map(|_| ())
        .map_err(|e| self.database.error(e))
    }

    /// pending → expired: every action of the product whose image arrived in one of the `too_old` times. Oldest first.
    pub async fn expire_actions(&self, product: &str, too_old: &[TimeSpan], reason: &str) -> Result<Vec<GivenUp>, HistoryError> {
        let which = "state = 'pending' AND product = ?4
            AND EXISTS (SELECT 1 FROM json_each(?5) WHERE arrived_at BETWEEN value ->> 0 AND value ->> 1)";
        self.give_up_actions("expired", reason, which, product, too_old).await
    }

    /// started → interrupted: actions that a dead process had started. For a start of the daemon, before any action starts. Oldest first.
    pub async fn interrupt_actions(&self, reason: &str) -> Result<Vec<GivenUp>, HistoryError> {
        self.give_up_actions("interrupted", reason, "state = 'started'", "", &[]).await
    }

    /// pending → cancelled: the actions of all products that are not in the list. Oldest first.
    pub async fn cancel_actions(&self, acting_products: &[&str], reason: &str) -> Result<Vec<GivenUp>, HistoryError> {
        let products = serde_json::Value::from(acting_products).to_string();
        let which = "state = 'pending' AND product NOT IN (SELECT value FROM json_each(?4))";
        self.give_up_actions("cancelled", reason, which, &products, &[]).await
    }

    async fn give_up_actions(
        &self,
        state: &str,
        reason: &str,
        which: &'static str,
        products: &str,
        too_old: &[TimeSpan],
    ) -> Result<Vec<GivenUp>, HistoryError> {
        let update = format!(
            "UPDATE actions SET state = ?1, reason = ?2, ended_at = ?3 WHERE {which}
             RETURNING product, inspection_id, (SELECT image_path FROM inspections AS i WHERE i.id = inspection_id) AS image_path"
        );
        let mut given_up: Vec<GivenUp> = sqlx::query_as(sqlx::AssertSqlSafe(update))
            .bind(state)
            .bind(reason)
            .bind(time_text(Timestamp::now()))
            .bind(products)
            .bind(spans_json(too_old))
            .fetch_all(self.database.write())
            .await
            .map_err(|e| self.database.error(e))?;
        // SQLite returns changed rows in no order.
        given_up.sort_by_key(|action| action.inspection_id);
        Ok(given_up)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    inspection_id: i64,
    image_path: String,
    image_path_raw: Option<Vec<u8>>,
    image_score: Option<f64>,
    image_tau: Option<f64>,
    pixel_tau: Option<f64>,
    mask_pixels: i64,
    mask_regions: i64,
    mask_path: Option<String>,
    mask_path_raw: Option<Vec<u8>>,
    overlay_path: Option<String>,
    overlay_path_raw: Option<Vec<u8>>,
    bank_version: i64,
    decided_at: String,
}
