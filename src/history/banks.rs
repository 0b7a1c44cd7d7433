//! The banks that were built, and which one is in use.

use super::bank_requests::{RequestEnd, end_in};
use super::queue::{NO_BANK, RELEASE};
use super::report::insert_event;
use super::rows::{ActiveBank, EarlierBank, NewBank, PathColumns, time_text};
use super::{HistoryError, HistoryStore};
use crate::codes::EventKind;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

impl HistoryStore {
    /// Records the bank now in use, makes the one before it `superseded`, and releases the images that waited for a bank, all in
    /// one transaction. Returns its row id.
    ///
    /// Calling it again with the same (product, version, sha256) gives the same id. When that row was an older bank it becomes
    /// active again, and the newer one that it replaces is `rolled_back`.
    pub async fn publish_bank(&self, bank: &NewBank) -> Result<i64, HistoryError> {
        let mut connection = self.writer().await?;
        let result = publish(&mut connection, bank).await;
        self.settle(connection, result).await
    }

    /// [`HistoryStore::publish_bank`] for a bank that a request put back in use, with the end of the request and an event in the same
    /// transaction. `held_ok` is the fingerprint of the ok folder of which no bank is to be built by itself; empty when it is not known.
    pub async fn publish_rollback(&self, bank: &NewBank, held_ok: &str, request: i64, end: &RequestEnd) -> Result<i64, HistoryError> {
        let mut connection = self.writer().await?;
        let result = publish_rollback(&mut connection, bank, held_ok, request, end).await;
        self.settle(connection, result).await
    }

    /// Records a build that gave no bank. The bank in use stays.
    pub async fn failed_bank(
        &self,
        product: &str,
        version: Option<i64>,
        trigger: &str,
        reason: &str,
        seconds: f64,
    ) -> Result<(), HistoryError> {
        sqlx::query("INSERT INTO banks (product, version, created_at, trigger, state, reason, seconds) VALUES (?, ?, ?, ?, 'failed', ?, ?)")
            .bind(product)
            .bind(version)
            .bind(time_text(Timestamp::now()))
            .bind(trigger)
            .bind(reason)
            .bind(seconds)
            .execute(&self.write)
            .await
            .map(|_| ())
            .map_err(|e| self.error(e))
    }

    /// The bank in use for `product`, as last published.
    pub async fn active_bank(&self, product: &str) -> Result<Option<ActiveBank>, HistoryError> {
        sqlx::query_as("SELECT id, version, held_ok FROM banks WHERE product = ? AND state = 'active'")
            .bind(product)
            .fetch_optional(&self.read)
            .await
            .map_err(|e| self.error(e))
    }

    /// The banks that were in use before the present one and gave way to a newer one, the newest first. A bank that a rollback left
    /// is not among them.
    pub async fn earlier_banks(&self, product: &str) -> Result<Vec<EarlierBank>, HistoryError> {
        sqlx::query_as(
            "SELECT version, sha256 FROM banks
             WHERE product = ?1 AND state = 'superseded' AND id < (SELECT id FROM banks WHERE product = ?1 AND state = 'active')
             ORDER BY id DESC",
        )
        .bind(product)
        .fetch_all(&self.read)
        .await
        .map_err(|e| self.error(e))
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
    insert_event(&mut *transaction, EventKind::Rollback, Some(&bank.product), &format!("request {request}: {}", end.outcome)).await?;
    transaction.commit().await?;
    Ok(id)
}

/// `rollback`: a bank without a row, as one that is older than the database, is older than the one that it replaces.
async fn put_in_use(transaction: &mut SqliteConnection, bank: &NewBank, rollback: bool) -> Result<i64, sqlx::Error> {
    let known: Option<i64> =
        sqlx::query_scalar("SELECT id FROM banks WHERE product = ? AND version = ? AND sha256 = ? AND state <> 'failed'")
            .bind(&bank.product)
            .bind(bank.version)
            .bind(&bank.sha256)
            .fetch_optional(&mut *transaction)
            .await?;
    // A row written later than the one that comes back is what the rollback was from.
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
            id
        }
        None => insert(transaction, bank).await?,
    };
    sqlx::query(RELEASE).bind(&bank.product).bind(NO_BANK).execute(transaction).await?;
    Ok(id)
}

async fn insert(connection: &mut SqliteConnection, bank: &NewBank) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO banks (product, version, created_at, trigger, state, images, patches, rows, pixel_tau, image_tau,
                            expected_false_alarms, false_alarms_bound, warning, seconds, path, sha256)
         VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         RETURNING id",
    )
    .bind(&bank.product)
    .bind(bank.version)
    .bind(time_text(bank.created_at))
    .bind(&bank.trigger)
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
    .fetch_one(connection)
    .await
}
