//! Opening, migrating and closing the database file.

use super::{HistoryError, HistoryErrorKind, HistoryStore};
use crate::crash_point;
use crate::files;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How long to wait for another program's write lock. Long enough for a person's `UPDATE`, short enough for the watchdog.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// At the end nobody should wait long for a reader; an unfinished checkpoint costs nothing but a larger -wal file.
const CLOSING_BUSY_TIMEOUT_MS: u32 = 500;

/// Status, dispatcher, scan and monitoring read at the same time; more never do.
const READERS: u32 = 5;

/// Page cache of each of the daemon's readers. They look at the newest rows only; with SQLite's own 2 MiB each, memory grows for days
/// with pages that are not read again.
const READER_CACHE_KIB: u32 = 256;

/// The same of its writer. A page that has gone is in the system's cache, microseconds away; a commit waits for the disk, for milliseconds.
const WRITER_CACHE_KIB: u32 = 512;

/// Steps of SQLite between two calls that tell of progress: fractions of a second, also where each reads from a slow disk.
const STEPS: i32 = 1000;

/// What a file contains.
#[derive(Debug, PartialEq, Eq)]
enum Schema {
    /// Nothing yet.
    Empty,
    /// Our tables, after this migration.
    At(i64),
    /// Tables of another program.
    Foreign,
}

impl HistoryStore {
    /// Opens the history for the daemon: creates folder and file if missing, checks the file, and brings its schema up to date.
    ///
    /// Before an existing file is migrated, a copy `FILE.before-schema-N` is put beside it.
    pub async fn open(file: &Path) -> Result<Self, HistoryError> {
        Self::open_with(file, &MIGRATOR, || {}).await
    }

    /// [`HistoryStore::open`], which calls `on_progress` now and then while it gets on: checking, copying or migrating a file of some GB
    /// on a slow disk takes minutes.
    pub async fn open_telling(file: &Path, on_progress: impl Fn() + Send + 'static) -> Result<Self, HistoryError> {
        Self::open_with(file, &MIGRATOR, on_progress).await
    }

    async fn open_with(file: &Path, migrator: &Migrator, on_progress: impl Fn() + Send + 'static) -> Result<Self, HistoryError> {
        check_name(file)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| HistoryError::from_io(file, e))?;
        }
        let mut connection = connecting(file).create_if_missing(true).connect().await.map_err(|e| HistoryError::from_sqlx(file, e))?;
        let go_on = move || {
            on_progress();
            true
        };
        connection.lock_handle().await.map_err(|e| HistoryError::from_sqlx(file, e))?.set_progress_handler(STEPS, go_on);
        prepare(&mut connection, file, migrator).await?;
        connection.close().await.map_err(|e| HistoryError::from_sqlx(file, e))?;

        let writing = writing(file).pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
        let write = pool(1).connect_with(writing).await.map_err(|e| HistoryError::from_sqlx(file, e))?;
        let read = pool(READERS).connect_lazy_with(reading(file).pragma("cache_size", format!("-{READER_CACHE_KIB}")));
        Ok(Self { file: file.into(), write, read, read_only: false, health: Arc::default() })
    }

    /// Opens the history to change a few rows, beside a running daemon or without one. The file must be there, and of this version.
    pub async fn open_to_change(file: &Path) -> Result<Self, HistoryError> {
        Self::open_read_only(file).await?.read.close().await;
        let write = pool(1).connect_with(writing(file)).await.map_err(|e| HistoryError::from_sqlx(file, e))?;
        let read = pool(READERS).connect_lazy_with(reading(file));
        Ok(Self { file: file.into(), write, read, read_only: false, health: Arc::default() })
    }

    /// Opens the history for reports, whether or not the daemon runs. Every attempt to write is refused.
    pub async fn open_read_only(file: &Path) -> Result<Self, HistoryError> {
        check_name(file)?;
        match std::fs::metadata(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(HistoryError::new(file, HistoryErrorKind::Missing, None)),
            Err(e) => return Err(HistoryError::from_io(file, e)),
            Ok(_) => {}
        }
        let (read, schema) = match open_reading(file, reading(file)).await {
            // Without the daemon there are no -wal and -shm, and a reader that may not write to the folder cannot make them.
            // Nobody is writing then, so the file can be read as if it never changed.
            Err(e) if matches!(e.kind, HistoryErrorKind::CannotOpen | HistoryErrorKind::ReadOnly) && !has_wal(file) => {
                open_reading(file, reading(file).immutable(true)).await?
            }
            other => other?,
        };
        let newest = newest(&MIGRATOR);
        let kind = match schema {
            Schema::At(version) if version == newest => {
                return Ok(Self { file: file.into(), write: read.clone(), read, read_only: true, health: Arc::default() });
            }
            Schema::At(version) if version > newest => HistoryErrorKind::NewerSchema,
            Schema::At(_) => HistoryErrorKind::OlderSchema,
            Schema::Empty | Schema::Foreign => HistoryErrorKind::NotAHistory,
        };
        read.close().await;
        Err(HistoryError::new(file, kind, None))
    }

    /// Waits for running calls, folds the write-ahead log into the file and closes. Calls on clones fail from then on.
    pub async fn close(self) -> Result<(), HistoryError> {
        self.read.close().await;
        if self.read_only {
            return Ok(());
        }
        let mut connection = self.writer().await?;
        crash_point::reach("close_before_checkpoint");
        let checkpoint = async {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {CLOSING_BUSY_TIMEOUT_MS}")))
                .execute(&mut *connection)
                .await?;
            // A report that is being read keeps the log from being emptied; the next start empties it.
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await
        };
        let result = checkpoint.await;
        crash_point::reach("close_checkpointed");
        drop(connection);
        self.write.close().await;
        result.map(|_| ()).map_err(|e| self.error(e))
    }
}

fn check_name(file: &Path) -> Result<(), HistoryError> {
    match file.to_str() {
        Some(_) => Ok(()),
        None => Err(HistoryError::saying(file, HistoryErrorKind::CannotOpen, "its name is not UTF-8, which SQLite needs")),
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not go stale; closing the last one would only cost a checkpoint in the middle of work.
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None).test_before_acquire(false)
}

fn connecting(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Full).foreign_keys(true).busy_timeout(BUSY_TIMEOUT)
}

/// The journal mode is kept in the file. Asking for it again makes the pool fail rather than work without it.
fn writing(file: &Path) -> SqliteConnectOptions {
    connecting(file).journal_mode(SqliteJournalMode::Wal)
}

fn reading(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY_TIMEOUT)
}

async fn open_reading(file: &Path, options: SqliteConnectOptions) -> Result<(SqlitePool, Schema), HistoryError> {
    let read = pool(READERS).connect_with(options).await.map_err(|e| HistoryError::from_sqlx(file, e))?;
    let mut connection = read.acquire().await.map_err(|e| HistoryError::from_sqlx(file, e))?;
    match schema(&mut connection).await {
        Ok(schema) => {
            drop(connection);
            Ok((read, schema))
        }
        Err(e) => {
            drop(connection);
            read.close().await;
            Err(HistoryError::from_sqlx(file, e))
        }
    }
}

fn has_wal(file: &Path) -> bool {
    std::fs::metadata(beside(file, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// `FILE` with `suffix` appended to its name.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// 1. check the pages; 2. refuse a file of another program before changing anything; 3. write-ahead log; 4. copy; 5. migrate.
async fn prepare(connection: &mut SqliteConnection, file: &Path, migrator: &Migrator) -> Result<(), HistoryError> {
    let sql = |e| HistoryError::from_sqlx(file, e);
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await.map_err(sql)?;
    if check != "ok" {
        return Err(HistoryError::saying(file, HistoryErrorKind::Corrupt, check));
    }
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

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn schema(connection: &mut SqliteConnection) -> Result<Schema, sqlx::Error> {
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
    files::remove_litter(folder).map_err(io)?;
    let temporary = files::temporary(folder).map_err(io)?;
    // VACUUM INTO accepts an empty file.
    sqlx::query("VACUUM INTO ?").bind(temporary.path().to_str()).execute(connection).await.map_err(|e| HistoryError::from_sqlx(file, e))?;
    temporary.as_file().sync_all().map_err(io)?;
    temporary.persist(beside(file, &format!(".before-schema-{newest}"))).map_err(|e| io(e.error))?;
    files::sync_folder(folder).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EventKind;
    use sqlx::SqlSafeStr;
    use sqlx::migrate::{Migration, MigrationType};

    /// The released migrations and one more.
    fn next_release() -> Migrator {
        let more = Migration::new(1000, "more".into(), MigrationType::Simple, "CREATE TABLE more (id INTEGER)".into_sql_str(), false);
        Migrator::with_migrations(MIGRATOR.iter().cloned().chain([more]).collect())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_copy_is_kept_before_an_existing_file_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/history.db");
        let store = HistoryStore::open(&file).await.unwrap();
        store.record_event(EventKind::Start, None, "first").await.unwrap();
        store.close().await.unwrap();
        HistoryStore::open(&file).await.unwrap().close().await.unwrap();
        assert_eq!(names(file.parent().unwrap()), ["history.db"], "a new or current file needs no copy, and closing leaves no log");

        // A half-written copy of a run that was killed is replaced.
        let copy = beside(&file, ".before-schema-1000");
        std::fs::write(&copy, "half").unwrap();
        HistoryStore::open_with(&file, &next_release(), || {}).await.unwrap().close().await.unwrap();
        assert_eq!(names(file.parent().unwrap()), ["history.db", "history.db.before-schema-1000"]);
        let restored = HistoryStore::open(&copy).await.unwrap();
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&restored.read).await.unwrap();
        assert_eq!(events, 1);

        for opened in [HistoryStore::open(&file).await, HistoryStore::open_read_only(&file).await] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind, HistoryErrorKind::NewerSchema);
            assert!(error.to_string().contains("before-schema"), "{error}");
        }
    }

    #[tokio::test]
    async fn connections_are_set_up_for_power_cuts_and_readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 10_000)] {
            let value: i64 = sqlx::query_scalar(pragma).fetch_one(&store.write).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        for (pool, expected) in [(&store.read, -256), (&store.write, -512)] {
            let cache: i64 = sqlx::query_scalar("PRAGMA cache_size").fetch_one(pool).await.unwrap();
            assert_eq!(cache, expected);
        }
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.write).await.unwrap();
        assert_eq!(mode, "wal");
        assert!(sqlx::query("DELETE FROM events").execute(&store.read).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_a_history_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.db");
        let mut connection = SqliteConnectOptions::new().filename(&other).create_if_missing(true).connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE orders (id INTEGER)").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let text = folder.path().join("text.db");
        std::fs::write(&text, "not a database, but long enough to be looked at as one: ".repeat(99)).unwrap();
        for file in [&other, &text] {
            let before = std::fs::read(file).unwrap();
            assert_eq!(HistoryStore::open(file).await.unwrap_err().kind, HistoryErrorKind::NotAHistory);
            assert_eq!(HistoryStore::open_read_only(file).await.unwrap_err().kind, HistoryErrorKind::NotAHistory);
            assert_eq!(std::fs::read(file).unwrap(), before);
        }
        let missing = HistoryStore::open_read_only(&folder.path().join("none.db")).await.unwrap_err();
        assert_eq!(missing.kind, HistoryErrorKind::Missing);
    }

    #[tokio::test]
    async fn damage_is_found_at_the_start() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let store = HistoryStore::open(&file).await.unwrap();
        for i in 0..2000 {
            store.record_event(EventKind::Overflow, None, &format!("event {i}")).await.unwrap();
        }
        store.close().await.unwrap();
        let length = std::fs::metadata(&file).unwrap().len();
        let damaged = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        damaged.write_all_at(&[0xA5; 8192], length - 3 * 4096).unwrap();
        let error = HistoryStore::open(&file).await.unwrap_err();
        assert_eq!(error.kind, HistoryErrorKind::Corrupt, "{error}");
    }

    #[tokio::test]
    async fn what_an_earlier_version_said_in_sentences_gets_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let earlier = Migrator::with_migrations(MIGRATOR.iter().filter(|migration| migration.version < 3).cloned().collect());
        let mut connection = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
        earlier.run(&mut connection).await.unwrap();
        let told = [
            ("pending", "no_bank", "no_bank"),
            ("failed", "unrouted", "unrouted"),
            ("pending", "incomplete: its writer has not closed it", "not_closed"),
            ("failed", "incomplete: the JPEG ends early", "incomplete"),
            ("pending", "it was written to again", "changing"),
            ("failed", "same file as inspection 7", "duplicate"),
            ("pending", "waits for /srv/out, which does not answer", "folder_stuck"),
            ("pending", "bank: cannot use bank file /b/faiss_index.pt", "bank_unusable"),
            ("pending", "cannot be read: Stale file handle (os error 116); check the share or the disk", "share_trouble"),
            ("failed", "cannot be read: No such file or directory (os error 2)", "file_gone"),
            ("failed", "cannot be read: Permission denied (os error 13)", "unreadable"),
            ("pending", "cannot write /srv/out/a.mask.png: No space left on device (os error 28)", "disk_full"),
            ("pending", "cannot write /srv/out/a.mask.png: Permission denied (os error 13)", "not_writable"),
            ("failed", "is a symbolic link, which is not followed", "not_a_file"),
            ("failed", "the engine panicked on this image; see the log", "engine"),
            ("failed", "words that nobody knows any more", "other"),
        ];
        for (number, (state, reason, _)) in told.iter().enumerate() {
            let decided = (*state == "failed").then_some("2026-11-01T00:00:00.000Z");
            let insert =
                "INSERT INTO inspections (product, image_path, file_size, mtime_ns, state, reason, seen_at, give_up_at, decided_at)
                VALUES ('disc', ?1, 1, 1, ?2, ?3, '2026-11-01T00:00:00.000Z', '2026-11-01T00:00:00.000Z', ?4)";
            let insert = sqlx::query(insert).bind(format!("/d/{number}.png")).bind(state).bind(reason).bind(decided);
            insert.execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();

        let store = HistoryStore::open(&file).await.unwrap();
        let codes: Vec<(String, String)> =
            sqlx::query_as("SELECT reason, reason_code FROM inspections ORDER BY id").fetch_all(&store.read).await.unwrap();
        let expected: Vec<_> = told.iter().map(|(_, reason, code)| ((*reason).to_owned(), (*code).to_owned())).collect();
        assert_eq!(codes, expected);
    }
}
