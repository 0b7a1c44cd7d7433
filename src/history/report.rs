//! What the history is asked: counts and lists; and events, which only people read.

use super::rows::{Counts, Distance, InspectionFilter, InspectionRow, ProductCounts, time_text};
use super::{HistoryError, HistoryStore};
use crate::codes::EventKind;
use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite};

/// Writes an event, also within a transaction.
pub(super) async fn insert_event<'e>(
    executor: impl sqlx::Executor<'e, Database = Sqlite>,
    kind: EventKind,
    product: Option<&str>,
    detail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO events (at, level, kind, product, detail) VALUES (?, ?, ?, ?, ?)")
        .bind(time_text(Timestamp::now()))
        .bind(kind.level().as_str())
        .bind(kind.as_str())
        .bind(product)
        .bind(detail)
        .execute(executor)
        .await
        .map(|_| ())
}

impl HistoryStore {
    /// Notes something that happened to the daemon, now.
    pub async fn record_event(&self, kind: EventKind, product: Option<&str>, detail: &str) -> Result<(), HistoryError> {
        insert_event(&self.write, kind, product, detail).await.map_err(|e| self.error(e))
    }

    /// How many images are pending, without a look at the others.
    pub async fn pending(&self) -> Result<i64, HistoryError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM inspections WHERE state = 'pending'").fetch_one(&self.read).await;
        count.map_err(|e| self.error(e))
    }

    /// All rows by state, from one snapshot.
    pub async fn counts(&self) -> Result<Counts, HistoryError> {
        let products = self.counts_by_product().await?;
        Ok(products.iter().fold(Counts::default(), |sum, ProductCounts { counts, .. }| Counts {
            arrived: sum.arrived + counts.arrived,
            done: sum.done + counts.done,
            failed: sum.failed + counts.failed,
            pending: sum.pending + counts.pending,
        }))
    }

    /// Rows by state for each product, by name; the unrouted come first. All from one snapshot.
    pub async fn counts_by_product(&self) -> Result<Vec<ProductCounts>, HistoryError> {
        let rows: Vec<(Option<String>, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT product, count(*), sum(state = 'done'), sum(state = 'failed'), sum(state = 'pending')
             FROM inspections GROUP BY product ORDER BY product",
        )
        .fetch_all(&self.read)
        .await
        .map_err(|e| self.error(e))?;
        Ok(rows
            .into_iter()
            .map(|(product, arrived, done, failed, pending)| ProductCounts { product, counts: Counts { arrived, done, failed, pending } })
            .collect())
    }

    /// Inspections by the time they were seen, newest first.
    pub async fn inspections(&self, filter: &InspectionFilter) -> Result<Vec<InspectionRow>, HistoryError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT i.*, b.version AS bank_version FROM inspections AS i LEFT JOIN banks AS b ON b.id = i.bank_id WHERE TRUE",
        );
        if let Some(product) = &filter.product {
            query.push(" AND i.product = ").push_bind(product);
        }
        if !filter.results.is_empty() {
            // A decision, or the state of an image that has none.
            let words: Vec<&str> = filter.results.iter().map(|result| result.as_str()).collect();
            query.push(" AND ifnull(i.decision, i.state) IN (SELECT value FROM json_each(");
            query.push_bind(serde_json::Value::from(words).to_string()).push("))");
        }
        if let Some(reason) = filter.reason {
            query.push(" AND i.reason_code = ").push_bind(reason.as_str());
        }
        if let Some(since) = filter.since {
            query.push(" AND i.seen_at >= ").push_bind(time_text(since));
        }
        if let Some(until) = filter.until {
            query.push(" AND i.seen_at < ").push_bind(time_text(until));
        }
        for (comparison, distance) in [(" >= ", filter.margin_from), (" <= ", filter.margin_to)] {
            let Some(distance) = distance else { continue };
            query.push(" AND i.image_score - i.image_tau").push(comparison);
            match distance {
                Distance::Score(value) => query.push_bind(value),
                Distance::OfTau(share) => query.push_bind(share).push(" * abs(i.image_tau)"),
            };
        }
        query.push(" ORDER BY i.seen_at DESC, i.id DESC");
        if let Some(limit) = filter.limit {
            query.push(" LIMIT ").push_bind(limit);
        }
        query.build_query_as().fetch_all(&self.read).await.map_err(|e| self.error(e))
    }
}
