//! Images, defects and messages that wait for something that does not come by itself; and which has waited longest.

use super::rows::parse_time;
use crate::codes::ReasonCode;
use crate::domain::HeldUp;
use sqlx::SqliteConnection;

/// Reads an index that holds only these rows. The columns beside `min` are from its row.
const IMAGES: &str = "SELECT product, reason_code, count(*), id, image_path || ': ' || ifnull(reason, ''), min(seen_at)
    FROM inspections INDEXED BY inspections_waiting
    WHERE state = 'pending' AND reason_code <> 'no_bank' AND reason_code NOT IN (SELECT value FROM json_each(?))
    GROUP BY product, reason_code";
const DEFECTS: &str = "SELECT a.product, 'on_ng', a.waiting, a.id, i.image_path, i.decided_at
    FROM (SELECT product, count(*) AS waiting, min(id) AS id, inspection_id FROM actions WHERE state = 'pending' GROUP BY product) AS a
    JOIN inspections AS i ON i.id = a.inspection_id";
const MESSAGES: &str = "SELECT NULL, 'mqtt', (SELECT count(*) FROM mqtt_outbox), o.id, i.image_path, i.decided_at
    FROM mqtt_outbox AS o JOIN inspections AS i ON i.id = o.inspection_id
    ORDER BY o.id LIMIT 1";

type Row = (Option<String>, String, i64, i64, String, String);

pub(super) async fn held_up(connection: &mut SqliteConnection) -> Result<Vec<HeldUp>, sqlx::Error> {
    let passing: Vec<&str> = ReasonCode::ALL.iter().filter(|code| code.ends_by_itself()).map(|code| code.as_str()).collect();
    let passing = serde_json::Value::from(passing).to_string();
    let mut rows: Vec<Row> = sqlx::query_as(IMAGES).bind(passing).fetch_all(&mut *connection).await?;
    rows.extend(sqlx::query_as::<_, Row>(DEFECTS).fetch_all(&mut *connection).await?);
    rows.extend(sqlx::query_as::<_, Row>(MESSAGES).fetch_all(&mut *connection).await?);
    let held_up = |(product, reason, count, oldest, what, since): Row| {
        Ok(HeldUp { product, reason, count, oldest, what, since: parse_time(&since)? })
    };
    rows.into_iter().map(held_up).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, HistoryStore};
    use super::*;
    use crate::codes::Reason;
    use jiff::Timestamp;

    #[tokio::test]
    async fn what_waits_for_others_is_listed_with_its_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let arrivals: Vec<Arrival> = (1..=6)
            .map(|number| Arrival {
                path: format!("/drop/{number}.png").into(),
                product: Some(if number < 6 { "p" } else { "q" }.into()),
                seen_at: at(100 - number),
                give_up_at: at(0),
                ..Arrival::sample(number)
            })
            .collect();
        store.arrivals().record_arrivals(&arrivals).await.unwrap();
        for (id, code) in [(1, ReasonCode::NotWritable), (2, ReasonCode::NotWritable), (3, ReasonCode::Incomplete), (4, ReasonCode::NoBank)]
        {
            store.queue().retry_later(id, &Reason::new(code, format!("why {id}")), at(0)).await.unwrap();
        }
        store.queue().retry_later(6, &Reason::new(ReasonCode::BankUnusable, "gone"), at(0)).await.unwrap();
        let held = |product: &str, reason: &str, count, oldest, what: &str, since| HeldUp {
            product: Some(product.to_owned()),
            reason: reason.to_owned(),
            count,
            oldest,
            what: what.to_owned(),
            since: at(since),
        };
        let expected =
            [held("p", "not_writable", 2, 2, "/drop/2.png: why 2", 98), held("q", "bank_unusable", 1, 6, "/drop/6.png: gone", 94)];
        assert_eq!(store.records().held_up().await.unwrap(), expected);
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {IMAGES}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).bind("[]").fetch_all(store.read()).await.unwrap();
        assert!(
            plan[0].3.contains("USING INDEX inspections_waiting") && !plan.iter().any(|step| step.3.contains("TEMP B-TREE")),
            "{plan:?}"
        );
    }
}
