//! The banks that were built, and which one is in use.

use super::queue::{NO_BANK, RELEASE};
use super::rows::{ActiveBank, NewBank, PathColumns, time_text};
use super::{HistoryError, HistoryStore};
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
        let row: Option<(i64, i64)> = sqlx::query_as("SELECT id, version FROM banks WHERE product = ? AND state = 'active'")
            .bind(product)
            .fetch_optional(&self.read)
            .await
            .map_err(|e| self.error(e))?;
        Ok(row.map(|(id, version)| ActiveBank { id, version }))
    }
}

async fn publish(connection: &mut SqliteConnection, bank: &NewBank) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let known: Option<i64> =
        sqlx::query_scalar("SELECT id FROM banks WHERE product = ? AND version = ? AND sha256 = ? AND state <> 'failed'")
            .bind(&bank.product)
            .bind(bank.version)
            .bind(&bank.sha256)
            .fetch_optional(&mut *transaction)
            .await?;
    // A row written later than the one that comes back is what the rollback was from.
    sqlx::query(
        "UPDATE banks SET state = CASE WHEN id > ?1 THEN 'rolled_back' ELSE 'superseded' END
         WHERE product = ?2 AND state = 'active' AND id IS NOT ?1",
    )
    .bind(known)
    .bind(&bank.product)
    .execute(&mut *transaction)
    .await?;
    let id = match known {
        Some(id) => {
            sqlx::query("UPDATE banks SET state = 'active' WHERE id = ?").bind(id).execute(&mut *transaction).await?;
            id
        }
        None => insert(&mut transaction, bank).await?,
    };
    sqlx::query(RELEASE).bind(&bank.product).bind(NO_BANK).execute(&mut *transaction).await?;
    transaction.commit().await?;
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
