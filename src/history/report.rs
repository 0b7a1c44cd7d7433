//! The questions of people to the history: counts and lists.

use super::rows::{InspectionFilter, InspectionRow, time_text};
use crate::database::{Connections, HistoryError};
use crate::domain::{Counts, Distance, ProductCounts};
use sqlx::{QueryBuilder, Sqlite};
use std::ops::ControlFlow;

/// The rows of one page: a millisecond's work, and a megabyte.
const PAGE: u32 = 1000;

/// Counts and lists of inspections.
#[derive(Debug, Clone)]
pub struct InspectionLists {
    pub(super) database: Connections,
}

impl InspectionLists {
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

    /// Rows by state for each product, sorted by name; unrouted images come first. All from one snapshot.
    pub async fn counts_by_product(&self) -> Result<Vec<ProductCounts>, HistoryError> {
        let rows: Vec<(Option<String>, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT product, count(*), sum(state = 'done'), sum(state = 'failed'), sum(state = 'pending')
             FROM inspections GROUP BY product ORDER BY product",
        )
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))?;
        Ok(rows
            .into_iter()
            .map(|(product, arrived, done, failed, pending)| ProductCounts { product, counts: Counts { arrived, done, failed, pending } })
            .collect())
    }

    /// Inspections by the time they were seen, newest first. Returns all of them at once: for lists that are short or have a `limit`.
    pub async fn inspections(&self, filter: &InspectionFilter) -> Result<Vec<InspectionRow>, HistoryError> {
        self.page(filter, None, filter.limit, Walk::AsTheFilterSays).await
    }

    /// The same in pages. `take` gets them one by one, until it says that it has enough. A list of any length needs the memory of one page.
    ///
    /// Each page is a query of its own, so a slow reader does not hold up writes. A row is as it was when its page was read, and no row
    /// comes twice.
    pub async fn inspections_in_pages(
        &self,
        filter: &InspectionFilter,
        mut take: impl FnMut(&[InspectionRow]) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        let mut left = filter.limit;
        let mut last: Option<(String, i64)> = None;
        // One page may use any index. With more pages, each would read all earlier rows again.
        let walk = if left.is_some_and(|left| left <= PAGE) { Walk::AsTheFilterSays } else { Walk::ByTime };
        loop {
            let size = left.map_or(PAGE, |left| left.min(PAGE));
            let rows = self.page(filter, last.as_ref(), Some(size), walk).await?;
            let enough = take(&rows).is_break();
            left = left.map(|left| left.saturating_sub(rows.len() as u32));
            last = rows.last().map(|row| (row.seen_at.clone(), row.id));
            if enough || (rows.len() as u32) < size || left == Some(0) {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        filter: &InspectionFilter,
        after: Option<&(String, i64)>,
        limit: Option<u32>,
        walk: Walk,
    ) -> Result<Vec<InspectionRow>, HistoryError> {
        page_query(filter, after, limit, walk).build_query_as().fetch_all(self.database.read()).await.map_err(|e| self.database.error(e))
    }
}

/// The index that finds the rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// The index that finds them soonest.
    AsTheFilterSays,
    /// The index of the times, in the order of the list, so nothing is sorted.
    ByTime,
}

/// Rows of [`InspectionRow`]; a condition follows.
pub(super) const ROWS: &str = "SELECT i.*, i.image_score / nullif(i.image_tau, 0) AS image_ratio, b.version AS bank_version
    FROM inspections AS i LEFT JOIN banks AS b ON b.id = i.bank_id WHERE TRUE";

fn page_query(filter: &InspectionFilter, after: Option<&(String, i64)>, limit: Option<u32>, walk: Walk) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new(ROWS);
    if let Some(product) = &filter.product {
        // The plus keeps SQLite off the index of the product.
        query.push(if walk == Walk::ByTime { " AND +i.product = " } else { " AND i.product = " }).push_bind(product);
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
    if let Some((seen_at, id)) = after {
        query.push(" AND (i.seen_at, i.id) < (").push_bind(seen_at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY i.seen_at DESC, i.id DESC");
    if let Some(limit) = limit {
        query.push(" LIMIT ").push_bind(limit);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Arrival, HistoryStore};
    use jiff::Timestamp;

    async fn store_with(folder: &tempfile::TempDir, images: i64) -> HistoryStore {
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        let arrivals: Vec<_> = (0..images)
            .map(|i| Arrival {
                product: Some(if i % 3 == 0 { "p" } else { "q" }.into()),
                seen_at: Timestamp::from_second(1_795_000_000 + i / 700).unwrap(),
                ..Arrival::sample(i)
            })
            .collect();
        store.arrivals().record_arrivals(&arrivals).await.unwrap();
        store
    }

    #[tokio::test]
    async fn pages_give_each_row_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 3500).await;
        let all = InspectionFilter::default();
        let of_p = InspectionFilter { product: Some("p".into()), ..all.clone() };
        for filter in [all.clone(), of_p, InspectionFilter { limit: Some(1500), ..all.clone() }, InspectionFilter { limit: Some(7), ..all }]
        {
            let expected: Vec<i64> = store.lists().inspections(&filter).await.unwrap().iter().map(|row| row.id).collect();
            let mut ids = Vec::new();
            let mut largest = 0;
            let take = |rows: &[InspectionRow]| {
                largest = largest.max(rows.len());
                ids.extend(rows.iter().map(|row| row.id));
                ControlFlow::Continue(())
            };
            store.lists().inspections_in_pages(&filter, take).await.unwrap();
            assert_eq!(ids, expected);
            assert!(largest <= PAGE as usize);
        }
        let mut pages = 0;
        let take = |_: &[InspectionRow]| {
            pages += 1;
            ControlFlow::Break(())
        };
        store.lists().inspections_in_pages(&InspectionFilter::default(), take).await.unwrap();
        assert_eq!(pages, 1, "whoever has enough gets no more");
    }

    #[tokio::test]
    async fn a_page_goes_on_where_the_one_before_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 1).await;
        let filter = InspectionFilter { product: Some("p".into()), ..InspectionFilter::default() };
        let after = ("2026-11-18T11:08:20.000Z".to_owned(), 5);
        let query = page_query(&filter, Some(&after), Some(PAGE), Walk::ByTime).into_sql();
        let query = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sqlx::SqlSafeStr::into_sql_str(query).as_str()));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(query).fetch_all(store.read()).await.unwrap();
        let steps: Vec<String> = plan.into_iter().map(|(.., step)| step).collect();
        assert!(steps.iter().any(|step| step.contains("SEARCH i USING INDEX inspections_seen (seen_at<?")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
