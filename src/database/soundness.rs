//! Checks whether the contents of the database are undamaged.
//!
//! On a cold disk, a check of all pages of ten million rows takes minutes, and a line must not wait for it. So each start checks for
//! [`AT_START`], which is enough for some hundred thousand rows. The daemon checks the rest beside the line, but only when the database was
//! not closed cleanly: a power cut or a kill damages files. After damage was found once, each start checks everything.

use super::connecting::connecting;
use super::connections::Connections;
use super::error::{HistoryError, HistoryErrorKind};
use super::known::Opening;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest check at a start.
pub(super) const AT_START: Duration = Duration::from_secs(3);

/// SQLite steps between two progress calls: fractions of a second, even if each step reads from a slow disk.
pub(super) const STEPS: i32 = 1000;

/// Beside the line, the check works for this long, then rests for as long as it worked.
const STINT: Duration = Duration::from_millis(20);

/// Checks all pages; false when `time` was over before the end.
///
/// SQLite calls `on_progress` now and then, also in later statements on this connection.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    file: &Path,
    time: Option<Duration>,
    on_progress: &Arc<impl Fn() + Send + Sync + 'static>,
) -> Result<bool, HistoryError> {
    let sql = |e| HistoryError::from_sqlx(file, e);
    let end = time.map(|time| Instant::now() + time);
    let go_on = move |end: Option<Instant>| {
        let on_progress = Arc::clone(on_progress);
        move || {
            on_progress();
            end.is_none_or(|end| Instant::now() < end)
        }
    };
    connection.lock_handle().await.map_err(sql)?.set_progress_handler(STEPS, go_on(end));
    let found = look(connection).await;
    connection.lock_handle().await.map_err(sql)?.set_progress_handler(STEPS, go_on(None));
    verdict(file, found)
}

async fn look(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await
}

/// False when the check was interrupted.
fn verdict(file: &Path, found: Result<String, sqlx::Error>) -> Result<bool, HistoryError> {
    match found {
        Ok(found) if found == "ok" => Ok(true),
        Ok(found) => Err(HistoryError::saying(file, HistoryErrorKind::Corrupt, found)),
        Err(error) if is_interrupt(&error) => Ok(false),
        Err(error) => Err(HistoryError::from_sqlx(file, error)),
    }
}

/// Checks the pages that the start did not reach, if that is due, slowly and on its own connection. True when it did so and found no damage.
pub(super) async fn check_the_rest(database: &Connections, opening: &Opening) -> Result<bool, HistoryError> {
    if !opening.check_is_due() {
        return Ok(false);
    }
    let wanted = Wanted::default();
    let is_wanted = Arc::clone(&wanted.0);
    let mut stint = Instant::now();
    let leisurely = move || {
        if stint.elapsed() >= STINT {
            std::thread::sleep(stint.elapsed());
            stint = Instant::now();
        }
        is_wanted.load(Ordering::Relaxed)
    };
    let options = connecting(database.file()).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(|e| database.error(e))?;
    connection.lock_handle().await.map_err(|e| database.error(e))?.set_progress_handler(STEPS, leisurely);
    match verdict(database.file(), look(&mut connection).await) {
        Ok(whole) => {
            if whole {
                opening.checked();
            }
            Ok(whole)
        }
        Err(error) => {
            if error.kind == HistoryErrorKind::Corrupt {
                opening.note_damage(database.file());
            }
            database.health().note(&error);
            Err(error)
        }
    }
}

/// When this is dropped, nobody waits for the answer any more.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// True when a progress handler ended the statement.
fn is_interrupt(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == libsqlite3_sys::SQLITE_INTERRUPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EventKind;
    use crate::history::HistoryStore;
    use crate::telemetry::Event;
    use std::os::unix::fs::FileExt;
    use tempfile::TempDir;

    async fn history(folder: &TempDir) -> HistoryStore {
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        for i in 0..2000 {
            store.events().record_event(&Event::new(EventKind::Overflow, format!("event {i}"))).await.unwrap();
        }
        store
    }

    fn damage(file: &Path) {
        let length = std::fs::metadata(file).unwrap().len();
        let damaged = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        damaged.write_all_at(&[0xA5; 8192], length - 3 * 4096).unwrap();
    }

    #[tokio::test]
    async fn a_look_ends_when_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = history(&folder).await;
        let mut connection = connecting(store.database().file()).connect().await.unwrap();
        let on_progress = Arc::new(|| {});
        assert!(!check(&mut connection, store.database().file(), Some(Duration::ZERO), &on_progress).await.unwrap());
        assert!(check(&mut connection, store.database().file(), Some(AT_START), &on_progress).await.unwrap());
        assert!(check(&mut connection, store.database().file(), None, &on_progress).await.unwrap());
    }

    #[tokio::test]
    async fn what_the_start_left_out_is_found_beside_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let store = history(&folder).await;
        assert!(!store.database().check_the_rest().await.unwrap(), "nothing was left out");
        store.database().opening().leave_out();
        assert!(store.database().check_the_rest().await.unwrap());
        assert!(!store.database().check_the_rest().await.unwrap(), "once is enough");

        store.database().opening().leave_out();
        store.clone().close().await.unwrap();
        store.database().note_closed();
        let store = HistoryStore::open(store.database().file()).await.unwrap();
        store.database().opening().leave_out();
        damage(store.database().file());
        assert_eq!(store.database().check_the_rest().await.unwrap_err().kind, HistoryErrorKind::Corrupt);
        assert_eq!(store.database().lost().await.kind, HistoryErrorKind::Corrupt, "the line ends");
        drop(store);
        let error = HistoryStore::open(&folder.path().join("history.db")).await.unwrap_err();
        assert_eq!(error.kind, HistoryErrorKind::Corrupt, "{error}");
    }
}
