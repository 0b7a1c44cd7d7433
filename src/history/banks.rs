//! The banks that were built, and which one is in use.

use super::bank_requests::{RequestEnd, end_in};
use super::bank_rows::{ActiveBankRow, EarlierBank, NewBank, RecordedFiles};
use super::events::insert_event;
use super::queue::{NO_BANK, RELEASE, WAIT_FOR_BANK};
use super::rows::{PathColumns, time_text};
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::domain::BankTrigger;
use crate::telemetry::Event;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

/// The rows of banks, and the images that wait for one.
#[derive(Debug, Clone)]
pub struct Banks {
    pub(super) database: Connections,
}

impl Banks {
    /// Records the bank now in use, makes the one before it `superseded`, and releases the images that waited for a bank, all in
    /// one transaction. Returns its row id.
    ///
    /// A second call with the same product, version and files returns the same id. When that row was an older bank, it becomes active
    /// again, and the newer bank becomes `rolled_back`. When a known version has another `tau.json`, somebody edited it: its new row and an
    /// event say so.
    pub async fn publish_bank(&self, bank: &NewBank) -> Result<i64, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = publish(&mut connection, bank).await;
        self.database.settle(connection, result).await
    }

    /// Like [`Banks::publish_bank`], for a bank that a request put back in use. The end of the request and an event are in the same
    /// transaction. `held_ok` is a fingerprint: from an ok folder with it, the daemon builds no bank by itself. Empty when it is not known.
    pub async fn publish_rollback(&self, bank: &NewBank, held_ok: &str, request: i64, end: &RequestEnd) -> Result<i64, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = publish_rollback(&mut connection, bank, held_ok, request, end).await;
        self.database.settle(connection, result).await
    }

    /// Records that somebody edited `tau.json` of the bank in use, row `edited`: `bank` is that bank with the new thresholds. It gets its
    /// own row with the trigger `edited`, a hold from a rollback stays, and an event reports the edit, all in one transaction. `None`, with
    /// nothing changed, when another bank is in use by now.
    pub async fn publish_edit(&self, edited: i64, bank: &NewBank) -> Result<Option<Edited>, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = publish_edit(&mut connection, edited, bank).await;
        self.database.settle(connection, result).await
    }

    /// Adds to a bank's row what earlier releases did not record.
    pub async fn complete_bank(&self, id: i64, bank: &NewBank) -> Result<(), HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = complete(&mut connection, id, bank).await;
        self.database.settle(connection, result).await
    }

    /// The files of every bank of this version that was in use, newest first. Version numbers start again when somebody empties a bank
    /// folder.
    pub async fn recorded_files(&self, product: &str, version: i64) -> Result<Vec<RecordedFiles>, HistoryError> {
        sqlx::query_as("SELECT sha256, config_sha256 FROM banks WHERE product = ? AND version = ? AND state <> 'failed' ORDER BY id DESC")
            .bind(product)
            .bind(version)
            .fetch_all(self.database.read())
            .await
            .map_err(|e| self.database.error(e))
    }

    /// Records a build that failed. The bank in use stays.
    pub async fn failed_bank(
        &self,
        product: &str,
        version: Option<i64>,
        trigger: BankTrigger,
        reason: &str,
        seconds: f64,
    ) -> Result<(), HistoryError> {
        let failed =
            "INSERT INTO banks (product, version, created_at, trigger, state, reason, seconds) VALUES (?, ?, ?, ?, 'failed', ?, ?)";
        let (at, trigger) = (time_text(Timestamp::now()), trigger.as_str());
        let row = sqlx::query(failed).bind(product).bind(version).bind(at).bind(trigger).bind(reason).bind(seconds);
        row.execute(self.database.write()).await.map(|_| ()).map_err(|e| self.database.error(e))
    }

    /// Records what the self-test of a bank found, one sentence per line.
    pub async fn self_tested(&self, bank_id: i64, found: &str) -> Result<(), HistoryError> {
        let changed =
            sqlx::query("UPDATE banks SET self_test = ? WHERE id = ?").bind(found).bind(bank_id).execute(self.database.write()).await;
        changed.map(|_| ()).map_err(|e| self.database.error(e))
    }

    /// Whether no self-test of this bank was recorded.
    pub async fn is_untested(&self, bank_id: i64) -> Result<bool, HistoryError> {
        let found = sqlx::query_scalar("SELECT self_test IS NULL FROM banks WHERE id = ?").bind(bank_id);
        found.fetch_one(self.database.read()).await.map_err(|e| self.database.error(e))
    }

    /// The bank in use for `product`: the one published last.
    pub async fn active_bank(&self, product: &str) -> Result<Option<ActiveBankRow>, HistoryError> {
        sqlx::query_as(
            "SELECT id, version, held_ok, created_at, images, pixel_tau, image_tau, sha256, config_sha256, tau_sha256, shorter, side_multiple,
                    ok_fingerprint
             FROM banks WHERE product = ? AND state = 'active'",
        )
        .bind(product)
        .fetch_optional(self.database.read())
        .await
        .map_err(|e| self.database.error(e))
    }

    /// The banks that were in use before the present one and that a newer bank replaced, newest first. Without banks that a rollback left,
    /// and without the present version from before an edit of its `tau.json`.
    pub async fn earlier_banks(&self, product: &str) -> Result<Vec<EarlierBank>, HistoryError> {
        sqlx::query_as(
            "SELECT version, sha256 FROM banks
             WHERE product = ?1 AND state = 'superseded'
               AND (SELECT id FROM banks WHERE product = ?1 AND state = 'active') > id
               AND (SELECT version FROM banks WHERE product = ?1 AND state = 'active') <> version
             ORDER BY id DESC",
        )
        .bind(product)
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))
    }

    /// The product has no bank, so its pending images wait. Returns how many began to wait.
    pub async fn set_waiting_for_bank(&self, product: &str) -> Result<u64, HistoryError> {
        let changed = sqlx::query(WAIT_FOR_BANK).bind(NO_BANK).bind(product).execute(self.database.write()).await;
        Ok(changed.map_err(|e| self.database.error(e))?.rows_affected())
    }

    /// The product has a bank, so the images that waited for it are due. Returns how many. Safe to call at any time.
    pub async fn release_waiting(&self, product: &str) -> Result<u64, HistoryError> {
        let changed = sqlx::query(RELEASE).bind(product).bind(NO_BANK).execute(self.database.write()).await;
        Ok(changed.map_err(|e| self.database.error(e))?.rows_affected())
    }
}

async fn publish(connection: &mut SqliteConnection, bank: &NewBank) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let id = put_in_use(&mut transaction, bank, false).await?;
    transaction.commit().await?;
    Ok(id)
}

async fn publish_rollback(
    connection: &mut SqliteConnection,
    bank: &NewBank,
    held_ok: &str,
    request: i64,
    end: &RequestEnd,
) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let id = put_in_use(&mut transaction, bank, true).await?;
    sqlx::query("UPDATE banks SET held_ok = ? WHERE id = ?").bind(held_ok).bind(id).execute(&mut *transaction).await?;
    end_in(&mut transaction, request, end).await?;
    let event = Event::new(EventKind::Rollback, format!("request {request}: {}", end.outcome)).of_product(&bank.product);
    insert_event(&mut *transaction, &event).await?;
    transaction.commit().await?;
    Ok(id)
}

/// How an edit was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its new row.
    pub bank_id: i64,
    /// The text of the event.
    pub detail: String,
}

async fn publish_edit(connection: &mut SqliteConnection, edited: i64, bank: &NewBank) -> Result<Option<Edited>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let before: Option<(Option<String>, f64, f64)> =
        sqlx::query_as("SELECT held_ok, pixel_tau, image_tau FROM banks WHERE id = ? AND state = 'active'")
            .bind(edited)
            .fetch_optional(&mut *transaction)
            .await?;
    let Some((held_ok, pixel_tau, image_tau)) = before else { return Ok(None) };
    sqlx::query("UPDATE banks SET state = 'superseded' WHERE id = ?").bind(edited).execute(&mut *transaction).await?;
    let (bank_id, detail) = insert_edited(&mut transaction, bank, (pixel_tau, image_tau)).await?;
    sqlx::query("UPDATE banks SET held_ok = ? WHERE id = ?").bind(held_ok).bind(bank_id).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some(Edited { bank_id, detail }))
}

/// Inserts a row with the new thresholds (pixel and image) for a known bank, and the event.
async fn insert_edited(connection: &mut SqliteConnection, bank: &NewBank, before: (f64, f64)) -> Result<(i64, String), sqlx::Error> {
    let mut edited = NewBank { trigger: BankTrigger::Edited, seconds: None, ..bank.clone() };
    if before != (bank.pixel_tau, bank.image_tau) {
        // The estimate was measured with the old thresholds.
        edited.expected_false_alarms = None;
        edited.false_alarms_bound = None;
        edited.warning = Some("tau.json was edited by hand: how many good parts it rejects is not known".to_owned());
    }
    let id = insert(connection, &edited).await?;
    let detail = format!(
        "version {}: tau.json was edited: image {:.4} -> {:.4}, pixel {:.4} -> {:.4}; the new values are in use",
        bank.version, before.1, bank.image_tau, before.0, bank.pixel_tau
    );
    insert_event(connection, &Event::new(EventKind::BankEdited, detail.clone()).of_product(&bank.product)).await?;
    Ok((id, detail))
}

/// `rollback`: a bank without a row is older than the database, and so older than the bank that it replaces.
async fn put_in_use(transaction: &mut SqliteConnection, bank: &NewBank, rollback: bool) -> Result<i64, sqlx::Error> {
    let known: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM banks
         WHERE product = ?1 AND version = ?2 AND sha256 = ?3 AND state <> 'failed' AND ifnull(config_sha256, ?4) = ?4
           AND (tau_sha256 = ?5 OR (tau_sha256 IS NULL AND pixel_tau = ?6 AND image_tau = ?7))
         ORDER BY id DESC LIMIT 1",
    )
    .bind(&bank.product)
    .bind(bank.version)
    .bind(&bank.sha256)
    .bind(&bank.config_sha256)
    .bind(&bank.tau_sha256)
    .bind(bank.pixel_tau)
    .bind(bank.image_tau)
    .fetch_optional(&mut *transaction)
    .await?;
    // If the active row is later than the one that comes back, it is rolled back.
    sqlx::query(
        "UPDATE banks SET state = CASE WHEN id > ?1 OR (?1 IS NULL AND ?3 AND version > ?4) THEN 'rolled_back' ELSE 'superseded' END
         WHERE product = ?2 AND state = 'active' AND id IS NOT ?1",
    )
    .bind(known)
    .bind(&bank.product)
    .bind(rollback)
    .bind(bank.version)
    .execute(&mut *transaction)
    .await?;
    let id = match known {
        Some(id) => {
            sqlx::query("UPDATE banks SET state = 'active' WHERE id = ?").bind(id).execute(&mut *transaction).await?;
            complete(transaction, id, bank).await?;
            id
        }
        None => match thresholds_before(transaction, bank).await? {
            Some(before) => insert_edited(transaction, bank, before).await?.0,
            None => insert(transaction, bank).await?,
        },
    };
    sqlx::query(RELEASE).bind(&bank.product).bind(NO_BANK).execute(transaction).await?;
    Ok(id)
}

/// The thresholds, pixel and image, of this same bank when it was last in use.
async fn thresholds_before(connection: &mut SqliteConnection, bank: &NewBank) -> Result<Option<(f64, f64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT pixel_tau, image_tau FROM banks
         WHERE product = ?1 AND version = ?2 AND sha256 = ?3 AND state <> 'failed' AND ifnull(config_sha256, ?4) = ?4
         ORDER BY id DESC",
    )
    .bind(&bank.product)
    .bind(bank.version)
    .bind(&bank.sha256)
    .bind(&bank.config_sha256)
    .fetch_optional(connection)
    .await
}

async fn complete(connection: &mut SqliteConnection, id: i64, bank: &NewBank) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE banks SET config_sha256 = ifnull(config_sha256, ?), tau_sha256 = ifnull(tau_sha256, ?), shorter = ifnull(shorter, ?),
                          ok_fingerprint = ifnull(ok_fingerprint, ?)
         WHERE id = ?",
    )
    .bind(&bank.config_sha256)
    .bind(&bank.tau_sha256)
    .bind(bank.size.shorter())
    .bind(&bank.ok_fingerprint)
    .bind(id)
    .execute(connection)
    .await
    .map(|_| ())
}

async fn insert(connection: &mut SqliteConnection, bank: &NewBank) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO banks (product, version, created_at, trigger, state, images, patches, rows, pixel_tau, image_tau,
                            expected_false_alarms, false_alarms_bound, warning, seconds, path, sha256, config_sha256, tau_sha256,
                            shorter, side_multiple, ok_fingerprint, compared_images, compared_to_ng, compared_to_ok)
         VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         RETURNING id",
    )
    .bind(&bank.product)
    .bind(bank.version)
    .bind(time_text(bank.created_at))
    .bind(bank.trigger.as_str())
    .bind(bank.images)
    .bind(bank.patches)
    .bind(bank.rows)
    .bind(bank.pixel_tau)
    .bind(bank.image_tau)
    .bind(bank.expected_false_alarms)
    .bind(bank.false_alarms_bound)
    .bind(&bank.warning)
    .bind(bank.seconds)
    .bind(PathColumns::of(&bank.path).shown)
    .bind(&bank.sha256)
    .bind(&bank.config_sha256)
    .bind(&bank.tau_sha256)
    .bind(bank.size.shorter())
    .bind(bank.size.multiple())
    .bind(&bank.ok_fingerprint)
    .bind(bank.comparison.map(|found| found.images))
    .bind(bank.comparison.map(|found| found.to_ng))
    .bind(bank.comparison.map(|found| found.to_ok))
    .fetch_one(connection)
    .await
}
