//! What the daemon does about the bank of each product right now, for the people who ask.

use super::banks::Banks;
use super::rows::time_text;
use crate::database::HistoryError;
use crate::domain::BankWork;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;

/// A row of `bank_work`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct BankWorkRow {
    pub step: String,
    pub since: String,
    pub done: Option<i64>,
    pub total: Option<i64>,
}

impl Banks {
    /// Records what the daemon does about the bank of a product; `None` = nothing. A step that goes on keeps its beginning.
    pub async fn note_work(&self, product: &str, work: Option<BankWork>) -> Result<(), HistoryError> {
        let (step, done, total) = match work {
            None => ("", None, None),
            Some(BankWork::WaitsForImages { there, needed }) => ("waits_for_images", Some(there as i64), Some(needed as i64)),
            Some(BankWork::WaitsForTurn) => ("waits_for_turn", None, None),
            Some(BankWork::Builds { percent }) => ("builds", Some(i64::from(percent)), Some(100)),
        };
        let mut connection = self.database.writer().await?;
        let result = if step.is_empty() {
            sqlx::query("DELETE FROM bank_work WHERE product = ?").bind(product).execute(&mut *connection).await
        } else {
            sqlx::query(
                "INSERT INTO bank_work (product, step, since, done, total) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (product) DO UPDATE SET
                   since = CASE WHEN step = excluded.step THEN since ELSE excluded.since END,
                   step = excluded.step, done = excluded.done, total = excluded.total",
            )
            .bind(product)
            .bind(step)
            .bind(time_text(Timestamp::now()))
            .bind(done)
            .bind(total)
            .execute(&mut *connection)
            .await
        };
        self.database.settle(connection, result.map(|_| ())).await
    }
}

/// What is recorded for a product.
pub(super) async fn bank_work(connection: &mut SqliteConnection, product: &str) -> Result<Option<BankWorkRow>, sqlx::Error> {
    sqlx::query_as("SELECT step, since, done, total FROM bank_work WHERE product = ?").bind(product).fetch_optional(connection).await
}
