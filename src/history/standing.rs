//! What monitoring reads every few seconds: the backlog and the bank of each product.

use super::rows::parse_time;
use super::{HistoryError, HistoryStore};
use jiff::Timestamp;

/// The backlogs and banks of all products. A product without one of them is missing in that list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Products that have pending images.
    pub backlogs: Vec<Backlog>,
    /// Products that have a bank in use.
    pub banks: Vec<BankStanding>,
}

/// The pending images of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Its product.
    pub product: String,
    /// How many.
    pub pending: i64,
    /// When the oldest of them was seen.
    pub oldest_seen_at: Timestamp,
}

/// The bank in use by one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankStanding {
    /// Its product.
    pub product: String,
    /// The folder `versions/NNNNNN`.
    pub version: i64,
    /// When it was built.
    pub created_at: Timestamp,
    /// Its rows, if the bank says so.
    pub rows: Option<i64>,
}

/// Reads only the partial index of pending rows.
const BACKLOGS: &str = "SELECT product, count(*), min(seen_at) FROM inspections WHERE state = 'pending' GROUP BY product";
/// Reads only the active row of each product.
const BANKS: &str = "SELECT product, version, created_at, rows FROM banks WHERE state = 'active' ORDER BY product";

impl HistoryStore {
    /// The backlog and the bank of every product. Reads each pending image and product, not the rest of the history.
    pub async fn standing(&self) -> Result<Standing, HistoryError> {
        let read = async {
            let backlogs: Vec<(String, i64, String)> = sqlx::query_as(BACKLOGS).fetch_all(&self.read).await?;
            let banks: Vec<(String, i64, String, Option<i64>)> = sqlx::query_as(BANKS).fetch_all(&self.read).await?;
            Ok(Standing {
                backlogs: (backlogs.into_iter())
                    .map(|(product, pending, seen_at)| Ok(Backlog { product, pending, oldest_seen_at: parse_time(&seen_at)? }))
                    .collect::<Result<_, sqlx::Error>>()?,
                banks: (banks.into_iter())
                    .map(|(product, version, at, rows)| Ok(BankStanding { product, version, created_at: parse_time(&at)?, rows }))
                    .collect::<Result<_, sqlx::Error>>()?,
            })
        };
        read.await.map_err(|e| self.error(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn neither_question_goes_through_the_whole_history() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        for (question, plan) in [(BACKLOGS, "SCAN inspections USING COVERING INDEX inspections_queue"), (BANKS, "USING INDEX banks_active")]
        {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {question}"));
            let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&store.read).await.unwrap();
            let said: Vec<String> = rows.into_iter().map(|(.., detail)| detail).collect();
            assert!(said.len() == 1 && said[0].contains(plan), "{said:?}");
        }
        assert_eq!(store.standing().await.unwrap(), Standing::default());
    }
}
