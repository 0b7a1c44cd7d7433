//! What a database file contains, and how its schema is brought up to date.

use super::error::{HistoryError, HistoryErrorKind};
use super::place::beside;
use crate::platform::crash_point;
use crate::platform::files;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;
use std::path::Path;

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// What a file contains.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// Nothing yet.
    Empty,
    /// Our tables, after this migration.
    At(i64),
    /// Tables of another program.
    Foreign,
}

/// 1. refuse a file of another program before changing anything; 2. write-ahead log; 3. copy; 4. migrate.
pub(super) async fn prepare(connection: &mut SqliteConnection, file: &Path, migrator: &Migrator) -> Result<(), HistoryError> {
    let sql = |e| HistoryError::from_sqlx(file, e);
    let found = schema(connection).await.map_err(sql)?;
    if found == Schema::Foreign {
        return Err(HistoryError::new(file, HistoryErrorKind::NotAHistory, None));
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await.map_err(sql)?;
    if mode != "wal" {
        return Err(HistoryError::saying(file, HistoryErrorKind::CannotOpen, "its file system has no write-ahead log"));
    }
    let newest = newest(migrator);
    if let Schema::At(version) = found
        && version < newest
    {
        crash_point::reach("migration_before_copy");
        copy_before_migration(connection, file, newest).await?;
        crash_point::reach("migration_copied");
    }
    // One at a time: each is a transaction, and a crash between two is a case that tests can cause.
    for step in migrator.iter() {
        migrator.run_to(step.version, &mut *connection).await.map_err(|e| HistoryError::from_migration(file, e, newest))?;
        crash_point::reach("migration_step_done");
    }
    Ok(())
}

pub(super) fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

pub(super) async fn schema(connection: &mut SqliteConnection) -> Result<Schema, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'").fetch_all(&mut *connection).await?;
    if tables.is_empty() {
        return Ok(Schema::Empty);
    }
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return Ok(Schema::Foreign);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(match version {
        // The daemon was killed after the table of migrations was made and before the first of them.
        None => Schema::Empty,
        Some(_) if !tables.iter().any(|table| table == "inspections") => Schema::Foreign,
        Some(version) => Schema::At(version),
    })
}

/// The copy appears under its name only when it is whole and synced; a daemon that fails to migrate and is restarted again
/// and again replaces one copy and does not fill the disk.
async fn copy_before_migration(connection: &mut SqliteConnection, file: &Path, newest: i64) -> Result<(), HistoryError> {
    let io = |e| HistoryError::from_io(file, e);
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::remove_leftovers(folder).map_err(io)?;
    let temporary = files::temporary(folder).map_err(io)?;
    write_copy(connection, file, temporary.path()).await?;
    temporary.as_file().sync_all().map_err(io)?;
    temporary.persist(beside(file, &format!(".before-schema-{newest}"))).map_err(|e| io(e.error))?;
    files::sync_folder(folder).map_err(io)
}

/// Writes the database of this connection into the empty or new file `copy`, as it is at one moment. Nobody who writes waits for it: in a
/// database with a log, readers and the writer do not meet.
pub(super) async fn write_copy(connection: &mut SqliteConnection, file: &Path, copy: &Path) -> Result<(), HistoryError> {
    // VACUUM INTO accepts an empty file.
    let written = sqlx::query("VACUUM INTO ?").bind(copy.to_str()).execute(connection).await;
    written.map(drop).map_err(|e| HistoryError::from_sqlx(file, e))
}
