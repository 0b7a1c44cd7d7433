//! Opening the database file: for the daemon, to change a few rows, or for reports.

use super::connecting::{BUSY_TIMEOUT, connecting};
use super::connections::Connections;
use super::error::{HistoryError, HistoryErrorKind};
use super::known::{End, Known, Opening, set_log_aside};
use super::lock::{DatabaseLock, is_held_under_another_name};
use super::opened::Database;
use super::place::Place;
use super::readers::{Way, has_log, way_in};
use super::schema::{MIGRATOR, Schema, newest, prepare, schema};
use super::soundness::{AT_START, check};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Status, dispatcher, scan and monitoring read at the same time; more never do.
const READERS: u32 = 5;

/// The page cache of a connection, in KiB.
struct CacheSizes {
    reader: u32,
    writer: u32,
}

/// Those of the daemon. Its readers look at the newest rows only; with SQLite's own 2 MiB each, memory grows for days with pages that are
/// not read again. As to the writer: a page that has gone is in the system's cache, microseconds away; a commit waits for the disk, for
/// milliseconds.
const CACHES_OF_DAEMON: CacheSizes = CacheSizes { reader: 256, writer: 512 };

/// How long a start waits for files beside the database that it cannot open: those that a reader of another user has just made are given to
/// the owner of the database in the next instant.
const READERS_PATIENCE: Duration = Duration::from_secs(2);
/// Pause before it tries again.
const READERS_PAUSE: Duration = Duration::from_millis(20);

impl Database {
    /// Opens the history for the daemon: creates folder and file if missing, keeps a log aside that belongs to another file, checks the
    /// contents, and brings the schema up to date.
    ///
    /// Before an existing file is migrated, a copy `FILE.before-schema-N` is put beside it.
    pub async fn open(file: &Path) -> Result<Self, HistoryError> {
        Self::open_with(file, &MIGRATOR, false, || {}).await
    }

    /// [`Database::open`] for a database that this process has locked. Calls `on_progress` now and then while it works: checking, copying
    /// or migrating a file of some GB on a slow disk takes minutes.
    pub async fn open_telling(
        file: &Path,
        lock: &DatabaseLock,
        on_progress: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, HistoryError> {
        Self::open_with(file, &MIGRATOR, lock.kept_log(), on_progress).await
    }

    async fn open_with(
        file: &Path,
        migrator: &Migrator,
        kept_before: bool,
        on_progress: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, HistoryError> {
        check_name(file)?;
        let io = |e| HistoryError::from_io(file, e);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let known = Known::read(file);
        let kept_log = set_log_aside(file, known.as_ref()).map_err(io)?.is_some() || kept_before;
        let on_progress = Arc::new(on_progress);
        let begin = Instant::now();
        loop {
            match Self::open_once(file, migrator, known.as_ref(), &on_progress).await {
                // Of the log and of its index.
                Err(error)
                    if matches!(error.kind, HistoryErrorKind::ReadOnly | HistoryErrorKind::CannotOpen)
                        && begin.elapsed() < READERS_PATIENCE =>
                {
                    tokio::time::sleep(READERS_PAUSE).await;
                }
                Ok((connections, opening)) => {
                    opening.tell(Opening::compare(&connections, known.as_ref(), kept_log).await?);
                    return Ok(Self::new(connections, opening));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn open_once(
        file: &Path,
        migrator: &Migrator,
        known: Option<&Known>,
        on_progress: &Arc<impl Fn() + Send + Sync + 'static>,
    ) -> Result<(Connections, Opening), HistoryError> {
        let sql = |e| HistoryError::from_sqlx(file, e);
        // What takes long here is known to take long.
        let options = connecting(file).create_if_missing(true).disable_statement_logging();
        let mut connection = options.connect().await.map_err(sql)?;
        let time = if known.is_some_and(|known| known.end == End::Damaged) { None } else { Some(AT_START) };
        let whole = check(&mut connection, file, time, on_progress).await?;
        let opening = Opening::begin(file, known, whole);
        prepare(&mut connection, file, migrator).await?;
        let connections = writable(file, Some(CACHES_OF_DAEMON)).await?;
        // Not before the writer is there: with the last connection the log would go, and come back as somebody else's.
        connection.close().await.map_err(sql)?;
        Ok((connections, opening))
    }

    /// Opens the history to change a few rows, beside a running daemon or without one. The file must be there, and of this version.
    pub async fn open_to_change(file: &Path) -> Result<Self, HistoryError> {
        Self::open_read_only(file).await?.close().await?;
        if Known::read(file).is_some_and(|known| known.has_log_of_another(file)) {
            let detail = "the log beside it belongs to another database, which was here before; start the daemon, which keeps it aside";
            return Err(HistoryError::saying(file, HistoryErrorKind::Moved, detail));
        }
        Ok(Self::new(writable(file, None).await?, Opening::default()))
    }

    /// Opens the history for reports, whether or not the daemon runs. Every attempt to write is refused.
    pub async fn open_read_only(file: &Path) -> Result<Self, HistoryError> {
        check_name(file)?;
        if is_held_under_another_name(file) {
            // SQLite would keep a second log beside this name, and two logs damage a database.
            let detail = "a daemon works with this very file under another name; use the name that its configuration has";
            return Err(HistoryError::saying(file, HistoryErrorKind::CannotOpen, detail));
        }
        match std::fs::metadata(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(HistoryError::new(file, HistoryErrorKind::Missing, None)),
            Err(e) => return Err(HistoryError::from_io(file, e)),
            Ok(_) => {}
        }
        let (read, schema) = match way_in(file) {
            Way::Unchanging => open_reading(file, reading(file).immutable(true)).await?,
            Way::WithLog => match open_reading(file, reading(file)).await {
                // Without the daemon there are no -wal and -shm, and a reader that may not write to the folder cannot make them.
                // Nobody is writing then, so the file can be read as if it never changed.
                Err(e) if matches!(e.kind, HistoryErrorKind::CannotOpen | HistoryErrorKind::ReadOnly) && !has_log(file) => {
                    open_reading(file, reading(file).immutable(true)).await?
                }
                other => other?,
            },
        };
        let newest = newest(&MIGRATOR);
        let kind = match schema {
            Schema::At(version) if version == newest => {
                let connections = Connections::new(file, Arc::new(Place::of(file)), read, None);
                return Ok(Self::new(connections, Opening::default()));
            }
            Schema::At(version) if version > newest => HistoryErrorKind::NewerSchema,
            Schema::At(_) => HistoryErrorKind::OlderSchema,
            Schema::Empty | Schema::Foreign => HistoryErrorKind::NotAHistory,
        };
        read.close().await;
        Err(HistoryError::new(file, kind, None))
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

/// The connections of a program that writes; without `caches` they have SQLite's own size.
async fn writable(file: &Path, caches: Option<CacheSizes>) -> Result<Connections, HistoryError> {
    let (mut writing, mut reading) = (writing(file), reading(file));
    if let Some(CacheSizes { reader, writer }) = caches {
        writing = writing.pragma("cache_size", format!("-{writer}"));
        reading = reading.pragma("cache_size", format!("-{reader}"));
    }
    let (write, place) = writer(file, writing).await?;
    Ok(Connections::new(file, place, pool(READERS).connect_lazy_with(reading), Some(write)))
}

/// The writing connection, which commits nothing to a file that is not in its place any more.
async fn writer(file: &Path, options: SqliteConnectOptions) -> Result<(SqlitePool, Arc<Place>), HistoryError> {
    let place = Arc::new(Place::of(file));
    let kept = Arc::clone(&place);
    let pool = pool(1).after_connect(move |connection, _| {
        let place = Arc::clone(&place);
        Box::pin(async move {
            // Has SQLite open its log, if it has not yet; what is wrong with it the first use will tell.
            let _ = sqlx::query("PRAGMA schema_version").execute(&mut *connection).await;
            place.connected();
            connection.lock_handle().await?.set_commit_hook(move || place.moved().is_none());
            Ok(())
        })
    });
    Ok((pool.connect_with(options).await.map_err(|e| HistoryError::from_sqlx(file, e))?, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EventKind;
    use crate::database::place::beside;
    use crate::history::HistoryStore;
    use crate::telemetry::Event;
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
        store.events().record_event(&Event::new(EventKind::Start, "first")).await.unwrap();
        store.close().await.unwrap();
        HistoryStore::open(&file).await.unwrap().close().await.unwrap();
        assert_eq!(names(file.parent().unwrap()), ["history.db"], "a new or current file needs no copy, and closing leaves no log");

        // A half-written copy of a run that was killed is replaced.
        let copy = beside(&file, ".before-schema-1000");
        std::fs::write(&copy, "half").unwrap();
        Database::open_with(&file, &next_release(), false, || {}).await.unwrap().close().await.unwrap();
        assert_eq!(names(file.parent().unwrap()), ["history.db", "history.db.before-schema-1000"]);
        let restored = HistoryStore::open(&copy).await.unwrap();
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(restored.read()).await.unwrap();
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
            let value: i64 = sqlx::query_scalar(pragma).fetch_one(store.write()).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        for (pool, expected) in [(store.read(), -256), (store.write(), -512)] {
            let cache: i64 = sqlx::query_scalar("PRAGMA cache_size").fetch_one(pool).await.unwrap();
            assert_eq!(cache, expected);
        }
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(store.write()).await.unwrap();
        assert_eq!(mode, "wal");
        assert!(sqlx::query("DELETE FROM events").execute(store.read()).await.is_err());
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
            store.events().record_event(&Event::new(EventKind::Overflow, format!("event {i}"))).await.unwrap();
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
            sqlx::query_as("SELECT reason, reason_code FROM inspections ORDER BY id").fetch_all(store.read()).await.unwrap();
        let expected: Vec<_> = told.iter().map(|(_, reason, code)| ((*reason).to_owned(), (*code).to_owned())).collect();
        assert_eq!(codes, expected);
    }
}
