//! Copies of the history: made while the daemon works, checked, and put back in its place.

use super::connecting::connecting;
use super::error::{HistoryError, HistoryErrorKind};
use super::lock::behind_links;
use super::opened::Database;
use super::place::beside;
use super::readers::{Way, has_log, way_in};
use super::schema::{MIGRATOR, Schema, newest, schema, write_copy};
use crate::platform::crash_point;
use crate::platform::files;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a database, as far as they are there: its own, then what SQLite keeps beside it.
const OWN_FILES: [&str; 3] = ["", "-wal", "-shm"];

impl Database {
    /// Writes a copy of the history as it is now into a new file and syncs it. The daemon goes on meanwhile.
    ///
    /// # Errors
    /// When the history cannot be read, or the copy cannot be written. The name of the copy must be UTF-8.
    pub async fn copy_to(&self, copy: &Path) -> Result<(), HistoryError> {
        if copy.to_str().is_none() {
            return Err(HistoryError::saying(copy, HistoryErrorKind::CannotOpen, "its name is not UTF-8, which SQLite needs"));
        }
        // A connection of its own: what takes long here is known to take long.
        let mut connection = reader(self.file()).await?;
        write_copy(&mut connection, self.file(), copy).await?;
        connection.close().await.map_err(|e| HistoryError::from_sqlx(self.file(), e))?;
        File::open(copy).and_then(|copy| copy.sync_all()).map_err(|e| HistoryError::from_io(copy, e))
    }
}

async fn reader(file: &Path) -> Result<SqliteConnection, HistoryError> {
    let unchanging = way_in(file) == Way::Unchanging;
    match connect(file, unchanging).await {
        // As in `Database::open_read_only`: nobody works with it, and this user may not make the files beside it.
        Err(error) if matches!(error.kind, HistoryErrorKind::CannotOpen | HistoryErrorKind::ReadOnly) && !unchanging && !has_log(file) => {
            connect(file, true).await
        }
        other => other,
    }
}

async fn connect(file: &Path, unchanging: bool) -> Result<SqliteConnection, HistoryError> {
    let sql = |e| HistoryError::from_sqlx(file, e);
    let options = connecting(file).read_only(true).immutable(unchanging).disable_statement_logging();
    let mut connection = options.connect().await.map_err(sql)?;
    sqlx::query("PRAGMA schema_version").execute(&mut connection).await.map_err(sql)?;
    Ok(connection)
}

/// Checks every page and index of a copy that nobody works with, and that it is a history which this program can use.
///
/// # Errors
/// Of the kind `Corrupt`, `NotAHistory` or `NewerSchema`; or when it cannot be read.
pub async fn check_copy(copy: &Path) -> Result<(), HistoryError> {
    let sql = |e| HistoryError::from_sqlx(copy, e);
    let mut connection = connect(copy, true).await?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await.map_err(sql)?;
    let schema = schema(&mut connection).await.map_err(sql)?;
    connection.close().await.map_err(sql)?;
    match schema {
        _ if found != "ok" => Err(HistoryError::saying(copy, HistoryErrorKind::Corrupt, found)),
        Schema::Empty | Schema::Foreign => Err(HistoryError::new(copy, HistoryErrorKind::NotAHistory, None)),
        Schema::At(version) if version > newest(&MIGRATOR) => Err(HistoryError::new(copy, HistoryErrorKind::NewerSchema, None)),
        Schema::At(_) => Ok(()),
    }
}

/// The place of a history: the file that symbolic links lead to, whether or not it is there.
pub fn history_file(database: &Path) -> PathBuf {
    behind_links(database)
}

/// The bytes of a history with its log, and whether one is there at all: an empty file is none.
///
/// # Errors
/// When the system does not say.
pub fn history_size(database: &Path) -> io::Result<u64> {
    let size = |path: &Path| match std::fs::metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    let file = behind_links(database);
    match size(&file)? {
        0 => Ok(0),
        own => Ok(own + size(&beside(&file, "-wal"))?),
    }
}

/// Renames the history and the files that SQLite keeps beside it to names with `suffix`; returns the new name. Together they are a whole
/// database under that name too. For whoever has its lock.
///
/// # Errors
/// When a file cannot be renamed. What was renamed before then has its new name.
pub fn set_history_aside(database: &Path, suffix: &str) -> io::Result<PathBuf> {
    let file = behind_links(database);
    let aside = beside(&file, suffix);
    // The log last: a database without its newest rows must not stand there as if it were whole.
    for own in OWN_FILES {
        match files::rename_to_free_name(&beside(&file, own), &beside(&aside, own)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if own.is_empty() {
            crash_point::reach("history_set_aside");
        }
    }
    files::sync_folder(file.parent().unwrap_or(Path::new("/")))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EventKind;
    use crate::history::HistoryStore;
    use crate::telemetry::Event;

    async fn events(store: &HistoryStore) -> i64 {
        let read = store.database().connections().read();
        sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(read).await.unwrap()
    }

    #[tokio::test]
    async fn a_copy_is_whole_and_what_was_set_aside_keeps_its_newest_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("history.db"), folder.path().join("copy.db"));
        assert_eq!(history_size(&file).unwrap(), 0);
        let store = HistoryStore::open(&file).await.unwrap();
        store.events().record_event(&Event::new(EventKind::Start, "in the log")).await.unwrap();
        store.database().copy_to(&copy).await.unwrap();
        check_copy(&copy).await.unwrap();
        store.events().record_event(&Event::new(EventKind::Start, "after the copy")).await.unwrap();
        let copied = HistoryStore::open_read_only(&copy).await.unwrap();
        assert_eq!(events(&copied).await, 1);
        copied.close().await.unwrap();
        assert!(store.database().copy_to(&copy).await.is_err(), "it writes over nothing");

        // As after a kill, with the log.
        assert!(history_size(&file).unwrap() > std::fs::metadata(&file).unwrap().len());
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink("history.db", &link).unwrap();
        let aside = set_history_aside(&link, ".replaced-1").unwrap();
        assert_eq!(aside, folder.path().canonicalize().unwrap().join("history.db.replaced-1"));
        assert!(!file.exists() && link.is_symlink());
        drop(store);
        let store = HistoryStore::open(&aside).await.unwrap();
        assert_eq!(events(&store).await, 2);
    }

    #[tokio::test]
    async fn a_damaged_copy_and_what_is_no_history_are_refused() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("history.db"), folder.path().join("copy.db"));
        let store = HistoryStore::open(&file).await.unwrap();
        for i in 0..2000 {
            store.events().record_event(&Event::new(EventKind::Overflow, format!("event {i}"))).await.unwrap();
        }
        store.database().copy_to(&copy).await.unwrap();
        let length = std::fs::metadata(&copy).unwrap().len();
        let damaged = std::fs::OpenOptions::new().write(true).open(&copy).unwrap();
        damaged.write_all_at(&[0xA5; 8192], length / 2).unwrap();
        assert_eq!(check_copy(&copy).await.unwrap_err().kind, HistoryErrorKind::Corrupt);
        std::fs::write(&copy, "").unwrap();
        assert_eq!(check_copy(&copy).await.unwrap_err().kind, HistoryErrorKind::NotAHistory);
    }
}
