//! Questions to the history, asked as any program beside the daemon would.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A new database as the release with this schema left it, with one event of the kind `old`.
pub fn old_database(database: &Path, schema: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        MIGRATIONS.run_to(schema, &mut connection).await.unwrap();
        let event = "INSERT INTO events VALUES ('2026-01-01T00:00:00.000Z', 'info', 'old', NULL, 'kept')";
        sqlx::raw_sql(event).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Changes the database, as nobody but a test should.
pub fn change(database: &Path, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// The query's one value as text; NULL is an empty text.
pub fn value(database: &Path, query: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        let mut connection = options.connect().await.map_err(|e| e.to_string())?;
        let query = AssertSqlSafe(format!("SELECT ifnull(CAST(({query}) AS TEXT), '')"));
        let value = sqlx::query_scalar(query).fetch_one(&mut connection).await.map_err(|e| e.to_string());
        let _ = connection.close().await;
        value
    })
}
