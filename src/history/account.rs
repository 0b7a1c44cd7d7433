//! One inspection with what stands around it: its bank, and the images of its product before and after it.

use super::report::{InspectionLists, ROWS};
use super::rows::InspectionRow;
use crate::database::HistoryError;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Images on each side.
const NEIGHBOURS: u32 = 3;

/// One inspection and what explains it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InspectionAccount {
    /// The inspection.
    pub row: InspectionRow,
    /// The bank that decided it.
    pub bank: Option<DecidingBank>,
    /// The decided images of its product before it, oldest first.
    pub before: Vec<InspectionRow>,
    /// And after it.
    pub after: Vec<InspectionRow>,
}

/// The bank that decided an image; fields are columns of `banks`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct DecidingBank {
    /// The version of the bank folder.
    pub version: i64,
    /// When it was built, UTC text.
    pub created_at: String,
    /// OK images, if recorded.
    pub images: Option<i64>,
    /// Good parts of 1000 that it is expected to reject, if it says so.
    pub expected_false_alarms: Option<f64>,
    /// The bound with 95 % confidence.
    pub false_alarms_bound: Option<f64>,
    /// The version in use now, if it is another one.
    pub replaced_by: Option<i64>,
}

impl InspectionLists {
    /// The inspection of this id; `None` when there is none.
    pub async fn account(&self, id: i64) -> Result<Option<InspectionAccount>, HistoryError> {
        self.find(id).await.map_err(|e| self.database.error(e))
    }

    async fn find(&self, id: i64) -> Result<Option<InspectionAccount>, sqlx::Error> {
        let mut connection = self.database.read().acquire().await?;
        let mut query = QueryBuilder::<Sqlite>::new(ROWS);
        query.push(" AND i.id = ").push_bind(id);
        let Some(row) = query.build_query_as::<InspectionRow>().fetch_optional(&mut *connection).await? else { return Ok(None) };
        let bank = deciding_bank(&mut connection, row.bank_id).await?;
        let mut beside = [Vec::new(), Vec::new()];
        for (rows, (condition, order)) in
            beside.iter_mut().zip([(" AND i.id < ", " ORDER BY i.id DESC"), (" AND i.id > ", " ORDER BY i.id")])
        {
            let mut query = QueryBuilder::<Sqlite>::new(ROWS);
            query.push(condition).push_bind(id);
            // The plus keeps SQLite off the indices, whose rows it would have to sort.
            query.push(" AND +i.state = 'done' AND +i.product = ").push_bind(&row.product);
            query.push(order).push(" LIMIT ").push_bind(NEIGHBOURS);
            *rows = query.build_query_as().fetch_all(&mut *connection).await?;
        }
        let [mut before, after] = beside;
        before.reverse();
        Ok(Some(InspectionAccount { row, bank, before, after }))
    }
}

async fn deciding_bank(connection: &mut SqliteConnection, id: Option<i64>) -> Result<Option<DecidingBank>, sqlx::Error> {
    sqlx::query_as(
        "SELECT b.version, b.created_at, b.images, b.expected_false_alarms, b.false_alarms_bound,
                (SELECT version FROM banks WHERE product = b.product AND state = 'active' AND id <> b.id) AS replaced_by
         FROM banks AS b WHERE b.id = ?",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
}
