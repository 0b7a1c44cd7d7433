//! Questions to the history, asked as any program beside the daemon would.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;

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
