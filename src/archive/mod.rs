//! Old rows of the history, moved to files of their own: one SQLite file for each month of decision, beside the history, with tables and
//! columns of the same names.
//!
//! The order: copy the rows into the file of their month → see that they are there → delete them. After a crash in between the rows are in
//! both files, and the next run copies them again before it deletes them.

mod file;

use crate::database::columns::time_text;
use crate::database::{Connections, Database, HistoryError};
use crate::platform::crash_point;
use file::{ArchiveFile, as_json};
use jiff::Timestamp;
use sqlx::Row;
use std::path::{Path, PathBuf};

/// A row goes when all its files are gone, its command has ended and its message is delivered. The newest row of all stays: by it the
/// history is known.
const OLD: &str = "
FROM inspections AS i
WHERE product = ?1 AND state = 'done' AND decision IN ('ok', 'ng') AND decided_at BETWEEN ?2 AND ?3
  AND image_deleted_at IS NOT NULL
  AND (outputs_deleted_at IS NOT NULL
       OR coalesce(mask_path, overlay_path, heat_path, side_by_side_path, scores_path) IS NULL)
  AND NOT EXISTS (SELECT 1 FROM mqtt_outbox AS m WHERE m.inspection_id = i.id)
  AND NOT EXISTS (SELECT 1 FROM actions AS a WHERE a.inspection_id = i.id AND a.state IN ('pending', 'started'))
  AND id < (SELECT max(id) FROM inspections)";

/// Moves old rows out of the history. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RowArchive {
    database: Connections,
}

/// Rows that were moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRows {
    /// Inspections.
    pub rows: u64,
    /// The file that has them now.
    pub file: PathBuf,
}

impl RowArchive {
    /// For this history.
    pub fn of(database: &Database) -> Self {
        Self { database: database.connections().clone() }
    }

    /// How many rows of a product, decided from `from` to `until`, may go.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn count(&self, product: &str, from: Timestamp, until: Timestamp) -> Result<u64, HistoryError> {
        let count: Result<i64, _> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) {OLD}")))
            .bind(product)
            .bind(time_text(from))
            .bind(time_text(until))
            .fetch_one(self.database.read())
            .await;
        count.map(i64::unsigned_abs).map_err(|e| self.database.error(e))
    }

    /// Moves the oldest of these rows, at most `limit` and all of one month; `None` when there are none.
    ///
    /// # Errors
    /// When the history or the file of the month cannot be read or written. Then no row is lost: those that were copied are still in the
    /// history too.
    pub async fn move_oldest(
        &self,
        product: &str,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Option<MovedRows>, HistoryError> {
        let oldest = format!("SELECT id, substr(decided_at, 1, 7) AS month {OLD} ORDER BY decided_at, id LIMIT ?4");
        let oldest = sqlx::query(sqlx::AssertSqlSafe(oldest)).bind(product).bind(time_text(from)).bind(time_text(until)).bind(limit);
        let rows = oldest.fetch_all(self.database.read()).await;
        let rows: Result<Vec<(i64, String)>, _> =
            rows.and_then(|rows| rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("month")?))).collect());
        let rows = rows.map_err(|e| self.database.error(e))?;
        let Some((_, month)) = rows.first().cloned() else { return Ok(None) };
        let ids: Vec<i64> = rows.into_iter().take_while(|(_, of)| *of == month).map(|(id, _)| id).collect();
        let file = archive_file(self.database.file(), &month);
        ArchiveFile::open(&file, self.database.file()).await?.take(&ids).await?;
        crash_point::reach("rows_copied");
        let deleted = sqlx::query("DELETE FROM inspections WHERE id IN (SELECT value FROM json_each(?))").bind(as_json(&ids));
        let deleted = deleted.execute(self.database.write()).await.map_err(|e| self.database.error(e))?;
        crash_point::reach("rows_deleted");
        Ok(Some(MovedRows { rows: deleted.rows_affected(), file }))
    }
}

/// `history-rows-2026-11.db` for `history.db`.
fn archive_file(history: &Path, month: &str) -> PathBuf {
    let stem = history.file_stem().unwrap_or_default().to_string_lossy();
    history.with_file_name(format!("{stem}-rows-{month}.db"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryStore;

    const FROM: Timestamp = Timestamp::UNIX_EPOCH;

    async fn run(pool: &sqlx::SqlitePool, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
    }

    async fn one(file: &Path, sql: &str) -> String {
        let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file)).await.unwrap();
        let value = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT CAST(({sql}) AS TEXT)"))).fetch_one(&pool).await.unwrap();
        pool.close().await;
        value
    }

    /// Rows of two months, each with a decision, whose files are gone.
    async fn history(folder: &Path) -> (HistoryStore, RowArchive) {
        let store = HistoryStore::open(&folder.join("history.db")).await.unwrap();
        let bank = "INSERT INTO banks (id, product, version, created_at, trigger, state, image_tau, pixel_tau, sha256)
                    VALUES (7, 'a', 1, '2026-01-01T00:00:00.000Z', 'ok folder', 'active', 1, 1, 'x')";
        run(store.write(), bank).await;
        for id in 1..=8 {
            let month = if id <= 5 { "01" } else { "02" };
            let row = format!(
                "INSERT INTO inspections (id, product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, bank_id, image_score,
                 decision, mask_path, outputs_deleted_at, image_deleted_at)
                 VALUES ({id}, 'a', '/d/{id}.png', 1, 1, 'done', '2026-{month}-0{id}T00:00:00.000Z', '2026-{month}-0{id}T00:00:00.000Z',
                 '2026-{month}-0{id}T00:00:00.000Z', 7, 1.5, 'ng', '/d/{id}.mask', '2026-03-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z')"
            );
            run(store.write(), &row).await;
        }
        let archive = RowArchive::of(store.database());
        (store, archive)
    }

    #[tokio::test]
    async fn rows_move_month_by_month_with_all_that_belongs_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let (store, archive) = history(folder.path()).await;
        let action = "INSERT INTO actions (inspection_id, product, state, arrived_at) VALUES (1, 'a', 'done', '2026-01-01T00:00:00.000Z')";
        run(store.write(), action).await;
        let until: Timestamp = "2026-02-07T00:00:00Z".parse().unwrap();
        assert_eq!(archive.count("a", FROM, until).await.unwrap(), 7);
        assert_eq!(archive.count("b", FROM, until).await.unwrap(), 0);
        let january = folder.path().join("history-rows-2026-01.db");
        for rows in [3, 2] {
            let moved = archive.move_oldest("a", FROM, until, 3).await.unwrap();
            assert_eq!(moved, Some(MovedRows { rows, file: january.clone() }));
        }
        assert_eq!(archive.move_oldest("a", FROM, until, 3).await.unwrap().unwrap().rows, 2);
        assert_eq!(archive.move_oldest("a", FROM, until, 3).await.unwrap(), None, "8 is newer");
        assert_eq!(
            one(&january, "SELECT group_concat(id) || ' ' || min(decision) || ' ' || sum(image_score) FROM inspections").await,
            "1,2,3,4,5 ng 7.5"
        );
        assert_eq!(one(&january, "SELECT inspection_id FROM actions").await, "1");
        assert_eq!(one(&january, "SELECT version FROM banks WHERE id = 7").await, "1");
        let history = folder.path().join("history.db");
        assert_eq!(one(&history, "SELECT group_concat(id) || ' ' || (SELECT count(*) FROM actions) FROM inspections").await, "8 0");
    }

    #[tokio::test]
    async fn rows_that_are_still_needed_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (store, archive) = history(folder.path()).await;
        for keep in [
            "UPDATE inspections SET image_deleted_at = NULL WHERE id = 1",
            "UPDATE inspections SET outputs_deleted_at = NULL WHERE id = 2",
            "INSERT INTO mqtt_outbox (inspection_id) VALUES (3)",
            "INSERT INTO actions (inspection_id, product, state, arrived_at) VALUES (4, 'a', 'started', '2026-01-01T00:00:00.000Z')",
        ] {
            run(store.write(), keep).await;
        }
        while archive.move_oldest("a", FROM, Timestamp::now(), 100).await.unwrap().is_some() {}
        assert_eq!(one(&folder.path().join("history.db"), "SELECT group_concat(id) FROM inspections").await, "1,2,3,4,8");
    }

    /// The rows of a release whose table had fewer columns, and a copy that a crash left there.
    #[tokio::test]
    async fn a_file_of_before_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, archive) = history(folder.path()).await;
        let january = folder.path().join("history-rows-2026-01.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&january).create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        run(&pool, "CREATE TABLE inspections (id INTEGER PRIMARY KEY, product TEXT, image_path TEXT, old TEXT); INSERT INTO inspections VALUES (1, 'a', 'half', 'x')").await;
        pool.close().await;
        assert_eq!(archive.move_oldest("a", FROM, Timestamp::now(), 100).await.unwrap().unwrap().rows, 5);
        assert_eq!(
            one(&january, "SELECT group_concat(image_path) || ' ' || sum(image_score) FROM inspections").await,
            "/d/1.png,/d/2.png,/d/3.png,/d/4.png,/d/5.png 7.5"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_copied_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (_store, archive) = history(folder.path()).await;
        std::fs::write(
            folder.path().join("history-rows-2026-01.db"),
            "somebody's own file, which is no database, and long enough for a header of one",
        )
        .unwrap();
        let error = archive.move_oldest("a", FROM, Timestamp::now(), 100).await.unwrap_err();
        assert!(error.to_string().contains("history-rows-2026-01.db"), "{error}");
        assert_eq!(archive.count("a", FROM, Timestamp::now()).await.unwrap(), 7);
    }
}
