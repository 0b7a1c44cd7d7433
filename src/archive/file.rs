//! The file with the rows of one month.

use crate::database::{HistoryError, HistoryErrorKind};
use crate::platform::files;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for a program that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What goes into the file, and which of its rows belong to the inspections whose ids are the parameter.
const TABLES: [(&str, &str); 4] = [
    ("banks", "id IN (SELECT bank_id FROM line.inspections WHERE id IN (SELECT value FROM json_each(?)))"),
    ("actions", "inspection_id IN (SELECT value FROM json_each(?))"),
    ("sightings", "inspection_id IN (SELECT value FROM json_each(?))"),
    ("inspections", "id IN (SELECT value FROM json_each(?))"),
];

/// Ids as the parameter of a statement.
pub(super) fn as_json(ids: &[i64]) -> String {
    serde_json::Value::from(ids).to_string()
}

pub(super) struct ArchiveFile {
    file: PathBuf,
    /// To the file; the history is attached as `line`, and only read.
    connection: SqliteConnection,
}

impl ArchiveFile {
    /// Opens the file, or makes it.
    pub(super) async fn open(file: &Path, history: &Path) -> Result<Self, HistoryError> {
        let sql = |e| HistoryError::from_sqlx(file, e);
        let is_new = !file.exists();
        // One file without others beside it, so that people can move it. The rows may refer to what is not in it.
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(sql)?;
        let attach = sqlx::query("ATTACH DATABASE ? AS line").bind(history.to_string_lossy().into_owned());
        attach.execute(&mut connection).await.map_err(sql)?;
        let mut archive = Self { file: file.to_owned(), connection };
        for (table, _) in TABLES {
            archive.bring_up_to_date(table).await.map_err(sql)?;
        }
        if is_new {
            files::sync_folder(file.parent().unwrap_or(Path::new("/"))).map_err(|e| HistoryError::from_io(file, e))?;
        }
        Ok(archive)
    }

    /// Gives the file the table as the history has it, or the columns that it lacks.
    async fn bring_up_to_date(&mut self, table: &str) -> Result<(), sqlx::Error> {
        if self.columns("main", table).await?.is_empty() {
            let made: String = sqlx::query_scalar("SELECT sql FROM line.sqlite_master WHERE type = 'table' AND name = ?")
                .bind(table)
                .fetch_one(&mut self.connection)
                .await?;
            self.connection.execute(AssertSqlSafe(made)).await?;
        }
        let known = self.columns("main", table).await?;
        for (name, kind) in self.columns("line", table).await? {
            if known.iter().all(|(other, _)| *other != name) {
                self.connection.execute(AssertSqlSafe(format!("ALTER TABLE main.{table} ADD COLUMN {name} {kind}"))).await?;
            }
        }
        Ok(())
    }

    /// Names and types.
    async fn columns(&mut self, schema: &str, table: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
        let columns = sqlx::query_as("SELECT name, type FROM pragma_table_info(?, ?)").bind(table).bind(schema);
        columns.fetch_all(&mut self.connection).await
    }

    /// Copies these inspections and what belongs to them, and closes the file. When this returns, a power cut loses none of them.
    pub(super) async fn take(mut self, ids: &[i64]) -> Result<(), HistoryError> {
        let copied = self.copy(ids).await.map_err(|e| HistoryError::from_sqlx(&self.file, e))?;
        self.connection.close().await.map_err(|e| HistoryError::from_sqlx(&self.file, e))?;
        if copied == ids.len() as i64 {
            return Ok(());
        }
        let detail = format!("{copied} of {} rows are in it after they were copied; nothing is deleted", ids.len());
        Err(HistoryError::saying(&self.file, HistoryErrorKind::Other, detail))
    }

    async fn copy(&mut self, ids: &[i64]) -> Result<i64, sqlx::Error> {
        let mut statements = Vec::new();
        for (table, which) in TABLES {
            let columns: Vec<String> = self.columns("line", table).await?.into_iter().map(|(name, _)| name).collect();
            let columns = columns.join(", ");
            statements.push(format!("INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM line.{table} WHERE {which}"));
        }
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement)).bind(as_json(ids)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        sqlx::query_scalar("SELECT count(*) FROM main.inspections WHERE id IN (SELECT value FROM json_each(?))")
            .bind(as_json(ids))
            .fetch_one(&mut self.connection)
            .await
    }
}
