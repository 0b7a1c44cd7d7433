//! Failed images that are to be tried again.

use super::rows::{PathColumns, time_text};
use super::{HistoryError, HistoryStore, NO_BANK};
use crate::codes::EventKind;
use crate::inspection::SaidWhole;
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Rows changed under one hold of the write lock, so that a running daemon goes on deciding meanwhile.
const BATCH: usize = 500;

/// Which failed images are tried again; what is empty or `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequeueFilter {
    /// Inspection ids.
    pub ids: Vec<i64>,
    /// Of this product, as the images are routed now.
    pub product: Option<String>,
    /// Failed at or after this time.
    pub since: Option<Timestamp>,
}

/// What became of the failed images that a [`RequeueFilter`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requeued {
    /// Pending again.
    pub requeued: u64,
    /// Still failed: no product takes them.
    pub unrouted: u64,
    /// Still failed: their path has a newer arrival that is pending.
    pub replaced: u64,
}

impl HistoryStore {
    /// failed → pending, as if the images had just arrived, but that a person says that they are whole; they get `give_up_after` anew. `route` tells whose an image is now, from its
    /// path and whose it was.
    ///
    /// Safe while the daemon runs: it finds the rows as it finds all others. A file that is gone fails again, with that reason. One
    /// `requeue` event tells how many there were.
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
            let mut connection = self.writer().await?;
            let result = back_to_pending(&mut connection, batch, give_up_at).await;
            let changed = self.settle(connection, result).await?;
            sum.requeued += changed;
            sum.replaced += batch.len() as u64 - changed;
        }
        if sum.requeued > 0 {
            let detail = format!("{} failed images are tried again", sum.requeued);
            self.record_event(EventKind::Requeue, filter.product.as_deref(), &detail).await?;
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
        .fetch_all(&self.read)
        .await
        .map_err(|e| self.error(e))?;
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
        // OR IGNORE: a path has one pending row, and the one that is there is for a newer file.
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
