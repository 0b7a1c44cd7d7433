//! Failed images that the daemon is to try again.

use super::events::insert_event;
use super::queue::NO_BANK;
use super::rows::{PathColumns, time_text};
use crate::codes::EventKind;
use crate::database::{Connections, HistoryError};
use crate::domain::{RequeueFilter, Requeued, SaidWhole};
use crate::telemetry::Event;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Rows changed in one hold of the write lock, so that a running daemon can decide meanwhile.
const BATCH: usize = 500;

/// The failed images.
#[derive(Debug, Clone)]
pub struct FailedImages {
    pub(super) database: Connections,
}

impl FailedImages {
    /// failed → pending, as if the images had just arrived, except that a person says that they are whole. `give_up_after` starts again.
    /// `route` finds the present product from the path and the former product.
    ///
    /// Safe while the daemon runs: it finds these rows like all others. An image whose file is gone fails again, with that reason. One
    /// `requeue` event says how many there were.
    pub async fn requeue(
        &self,
        filter: &RequeueFilter,
        route: impl Fn(&Path, Option<&str>) -> Option<String>,
        give_up_after: Duration,
    ) -> Result<Requeued, HistoryError> {
        let mut sum = Requeued::default();
        let mut rows = Vec::new();
        for row in self.failed(filter).await? {
            match route(&row.path.clone().into_path(), row.product.as_deref()) {
                None => sum.unrouted += u64::from(filter.product.is_none()),
                Some(product) if filter.product.as_ref().is_none_or(|wanted| *wanted == product) => rows.push((row.id, product)),
                Some(_) => {}
            }
        }
        let give_up_at = Timestamp::now().checked_add(give_up_after).unwrap_or(Timestamp::MAX);
        for batch in rows.chunks(BATCH) {
            let mut connection = self.database.writer().await?;
            let result = back_to_pending(&mut connection, batch, give_up_at).await;
            let changed = self.database.settle(connection, result).await?;
            sum.requeued += changed;
            sum.replaced += batch.len() as u64 - changed;
        }
        if sum.requeued > 0 {
            let detail = format!("{} failed images are tried again", sum.requeued);
            let event = Event { product: filter.product.clone(), ..Event::new(EventKind::Requeue, detail) };
            insert_event(self.database.write(), &event).await.map_err(|e| self.database.error(e))?;
        }
        Ok(sum)
    }

    async fn failed(&self, filter: &RequeueFilter) -> Result<Vec<Failed>, HistoryError> {
        let ids: HashSet<i64> = filter.ids.iter().copied().collect();
        type Row = (i64, Option<String>, String, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, product, image_path, image_path_raw FROM inspections WHERE state = 'failed' AND (?1 IS NULL OR decided_at >= ?1) ORDER BY id",
        )
        .bind(filter.since.map(time_text))
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))?;
        let wanted = rows.into_iter().filter(|(id, ..)| ids.is_empty() || ids.contains(id));
        Ok(wanted.map(|(id, product, shown, raw)| Failed { id, product, path: PathColumns { shown, raw } }).collect())
    }
}

struct Failed {
    id: i64,
    product: Option<String>,
    path: PathColumns,
}

async fn back_to_pending(connection: &mut SqliteConnection, rows: &[(i64, String)], give_up_at: Timestamp) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut changed = 0;
    for (id, product) in rows {
        // OR IGNORE: a path has only one pending row. If there is one, it is for a newer file.
        changed += sqlx::query(
            "UPDATE OR IGNORE inspections
             SET state = 'pending', product = ?1, give_up_at = ?2, attempts = 0, started_at = NULL, retry_at = NULL, decided_at = NULL, deaths = NULL,
                 said_whole = ?5,
                 (reason, reason_code) = (SELECT waits, waits FROM (
                     SELECT CASE WHEN EXISTS (SELECT 1 FROM banks WHERE product = ?1 AND state = 'active') THEN NULL ELSE ?3 END AS waits))
             WHERE id = ?4 AND state = 'failed'",
        )
        .bind(product)
        .bind(time_text(give_up_at))
        .bind(NO_BANK)
        .bind(id)
        .bind(SaidWhole::Person as i64)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    }
    transaction.commit().await?;
    Ok(changed)
}
