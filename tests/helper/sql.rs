//! Questions to the history, asked as any program beside the daemon would.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A new database as the release with this schema left it, with one event of the kind `old`.
pub fn old_database(database: &Path, schema: i64) {
    runtime().block_on(async {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        MIGRATIONS.run_to(schema, &mut connection).await.unwrap();
        let event = "INSERT INTO events VALUES ('2026-01-01T00:00:00.000Z', 'info', 'old', NULL, 'kept')";
        sqlx::raw_sql(event).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Changes the history as a person with a shell would, beside a running daemon or without one.
pub fn change(database: &Path, statement: &str) {
    runtime().block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Another program that keeps a transaction open on the database, until it is dropped.
pub struct WriteLock {
    runtime: tokio::runtime::Runtime,
    connection: sqlx::SqliteConnection,
}

impl WriteLock {
    pub fn take(database: &Path) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(async {
            let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
            sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
            connection
        });
        Self { runtime, connection }
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut self.connection));
    }
}

/// The query's one value as text; NULL is an empty text.
pub fn value(database: &Path, query: &str) -> Result<String, String> {
    runtime().block_on(async {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        let mut connection = options.connect().await.map_err(|e| e.to_string())?;
        let query = AssertSqlSafe(format!("SELECT ifnull(CAST(({query}) AS TEXT), '')"));
        let value = sqlx::query_scalar(query).fetch_one(&mut connection).await.map_err(|e| e.to_string());
        let _ = connection.close().await;
        value
    })
}

/// How many rows the query gives.
pub fn rows(database: &Path, query: &str) -> Result<usize, String> {
    runtime().block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).connect().await.map_err(|e| e.to_string())?;
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await.map_err(|e| e.to_string());
        let _ = connection.close().await;
        rows.map(|rows| rows.len())
    })
}

/// The texts of the query's one column.
pub fn list(database: &Path, query: &str) -> Vec<String> {
    runtime().block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).read_only(true).connect().await.unwrap();
        let texts = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        let _ = connection.close().await;
        texts
    })
}

/// How SQLite goes about a statement: the steps of its query plan.
pub fn plan(database: &Path, statement: &str) -> Vec<String> {
    runtime().block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).read_only(true).connect().await.unwrap();
        let statement = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(statement).fetch_all(&mut connection).await.unwrap();
        let _ = connection.close().await;
        steps.into_iter().map(|(.., step)| step).collect()
    })
}
