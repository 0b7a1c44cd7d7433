//! How every connection to the database is made.

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

/// How long to wait for another program's write lock. Long enough for a person's `UPDATE`, short enough for the watchdog.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn connecting(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Full).foreign_keys(true).busy_timeout(BUSY_TIMEOUT)
}
