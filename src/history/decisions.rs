//! How an inspection ends. Each end is one transaction, with everything that follows from it.

use super::queue::InspectionQueue;
use super::rows::{PathColumns, time_text};
use super::sightings::{WINDOW, twin};
use crate::codes::{Reason, ReasonCode};
use crate::database::HistoryError;
use crate::domain::{Decision, Finished, FollowUp, Publish};
use jiff::Timestamp;
use sqlx::{Connection, Sqlite, SqliteConnection};
use std::path::Path;

impl InspectionQueue {
    /// pending → done, with the actions and messages that follow. False, with nothing changed, when the row was not pending any more, the
    /// file changed during the attempt, or a rollback left the bank meanwhile (the row is then still pending and due).
    ///
    /// Also false when the image is the same arrival as a decided one; the row then fails as a duplicate. So nothing follows twice,
    /// whatever happened between the sighting of the file and its reading.
    pub async fn finish(&self, finished: &Finished) -> Result<bool, HistoryError> {
        // A part without a score never passes.
        let decision = if finite(finished.image_score).is_none() { Decision::Ng } else { finished.decision };
        let follow_up = &finished.follow_up;
        let acts = decision == Decision::Ng && follow_up.act_since.is_some();
        let publishes = matches!((follow_up.publish, decision), (Some(Publish::All), _) | (Some(Publish::Ng), Decision::Ng));
        let mut connection = self.database.writer().await?;
        let long_ago = self.ages.long_ago(WINDOW);
        let result = finish(&mut connection, finished, decision, (acts, publishes), &long_ago).await;
        self.database.settle(connection, result).await
    }

    /// True when [`InspectionQueue::finish`] failed the row as a duplicate.
    pub async fn is_duplicate(&self, id: i64) -> Result<bool, HistoryError> {
        let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM inspections WHERE id = ? AND state = 'failed' AND reason_code = ?)");
        found.bind(id).bind(ReasonCode::Duplicate.as_str()).fetch_one(self.database.read()).await.map_err(|e| self.database.error(e))
    }

    /// pending → failed. False, with nothing changed, when the row was not pending any more or the file changed during the attempt (the row
    /// is then still pending and due). A row that was never tried can fail too.
    pub async fn fail(&self, id: i64, reason: &Reason, decided_at: Timestamp) -> Result<bool, HistoryError> {
        let changed = sqlx::query(
            "UPDATE inspections SET state = 'failed', retry_at = NULL, reason = ?, reason_code = ?, decided_at = ?, in_hand = NULL, deaths = NULL
             WHERE id = ? AND state = 'pending' AND (started_at IS NOT NULL OR attempts = 0)",
        )
        .bind(&reason.text)
        .bind(reason.code.as_str())
        .bind(time_text(decided_at))
        .bind(id)
        .execute(self.database.write())
        .await;
        Ok(changed.map_err(|e| self.database.error(e))?.rows_affected() == 1)
    }
}

async fn finish(
    connection: &mut SqliteConnection,
    finished: &Finished,
    decision: Decision,
    (acts, publishes): (bool, bool),
    long_ago: &str,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(twin) = twin(&mut transaction, finished.id, &finished.content_hash, long_ago).await? {
        fail_as_duplicate(&mut transaction, finished, twin).await?;
        transaction.commit().await?;
        return Ok(false);
    }
    if !mark_done(finished, decision, &mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    if let FollowUp { act_since: Some(since), .. } = finished.follow_up
        && acts
    {
        let raw = |path: &Option<_>| path.as_deref().and_then(|path: &Path| PathColumns::of(path).raw);
        sqlx::query(
            "INSERT INTO actions (inspection_id, product, state, arrived_at, mask_path_raw, overlay_path_raw)
             SELECT id, product, 'pending', ?, ?, ? FROM inspections WHERE id = ?",
        )
        .bind(time_text(since))
        .bind(raw(&finished.mask_path))
        .bind(raw(&finished.overlay_path))
        .bind(finished.id)
        .execute(&mut *transaction)
        .await?;
    }
    if publishes {
        sqlx::query("INSERT INTO mqtt_outbox (inspection_id) VALUES (?)").bind(finished.id).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn fail_as_duplicate(connection: &mut SqliteConnection, finished: &Finished, twin: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE inspections SET state = 'failed', retry_at = NULL, reason = 'same file as inspection ' || ?, reason_code = ?, decided_at = ?
         WHERE id = ? AND state = 'pending' AND started_at IS NOT NULL",
    )
    .bind(twin)
    .bind(ReasonCode::Duplicate.as_str())
    .bind(time_text(finished.decided_at))
    .bind(finished.id)
    .execute(connection)
    .await
    .map(|_| ())
}

async fn mark_done<'e>(
    finished: &Finished,
    decision: Decision,
    executor: impl sqlx::Executor<'e, Database = Sqlite>,
) -> Result<bool, sqlx::Error> {
    let shown = |path: &Option<_>| path.as_deref().map(|path: &Path| PathColumns::of(path).shown);
    let changed = sqlx::query(
        "UPDATE inspections
         SET state = 'done', reason = NULL, reason_code = NULL, retry_at = NULL, in_hand = NULL, deaths = NULL, content_hash = ?, bank_id = ?, image_score = ?,
             image_tau = ?, pixel_tau = ?, sensitivity = ?, mask_pixels = ?, mask_regions = ?, decision = ?, decided_by = ?, mask_path = ?, overlay_path = ?,
             heat_path = ?, side_by_side_path = ?, scores_path = ?, outputs_newest_ns = ?, decode_ms = ?, engine_ms = ?, write_ms = ?, decided_at = ?
         WHERE id = ? AND state = 'pending' AND started_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM banks WHERE id = ? AND state = 'rolled_back')",
    )
    .bind(&finished.content_hash)
    .bind(finished.bank_id)
    .bind(finite(finished.image_score))
    .bind(finite(finished.image_tau))
    .bind(finite(finished.pixel_tau))
    .bind(finished.sensitivity)
    .bind(finished.mask_pixels as i64)
    .bind(finished.mask_regions as i64)
    .bind(decision.as_str())
    .bind(finished.decided_by.as_str())
    .bind(shown(&finished.mask_path))
    .bind(shown(&finished.overlay_path))
    .bind(shown(&finished.heat_path))
    .bind(shown(&finished.side_by_side_path))
    .bind(shown(&finished.scores_path))
    .bind(finished.outputs_newest_ns)
    .bind(finished.decode_ms)
    .bind(finished.engine_ms)
    .bind(finished.write_ms)
    .bind(time_text(finished.decided_at))
    .bind(finished.id)
    .bind(finished.bank_id)
    .execute(executor)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// SQLite has no NaN, and infinities would spoil an average of the column.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
