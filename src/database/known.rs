//! What the daemon knew about its history when it last worked with it. The small file `FILE.known.json` beside the database says whether
//! the database is still the same, whether it was closed cleanly, and which database the log beside it belongs to.

use super::connections::Connections;
use super::error::HistoryError;
use super::place::{FileId, beside};
use crate::platform::crash_point;
use crate::platform::files;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of the history when this was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// A daemon works with the history, or was killed.
    #[default]
    Open,
    /// Closed, and found whole since it was last left open.
    Closed,
    /// A check found the contents damaged.
    Damaged,
}

/// The newest recorded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Newest {
    id: i64,
    seen_at: String,
}

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) end: End,
    database: Option<FileId>,
    wal: Option<FileId>,
    newest: Option<Newest>,
}

impl Known {
    /// Reads the file; `None` when it does not exist or cannot be read.
    pub(super) fn read(database: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place(database)).ok()?).ok()
    }

    fn write(&self, database: &Path) -> io::Result<()> {
        let place = place(database);
        let mut whole = files::temporary(place.parent().unwrap_or(Path::new("/")))?;
        whole.write_all(&serde_json::to_vec(self)?)?;
        whole.persist(place)?;
        Ok(())
    }

    /// True when the history was closed cleanly, and the file is still the same one.
    pub(super) fn is_sound(&self, database: &Path) -> bool {
        self.end == End::Closed && self.is_of(database)
    }

    fn is_of(&self, database: &Path) -> bool {
        FileId::of(database).zip(self.database).is_some_and(|(now, then)| now.is_still(then))
    }

    /// True when the log beside the database belongs to another file of that name.
    pub(super) fn has_log_of_another(&self, database: &Path) -> bool {
        let log = FileId::of(&beside(database, "-wal")).zip(self.wal);
        !self.is_of(database) && log.is_some_and(|(now, then)| now.is_still(then))
    }
}

/// What the start found.
#[derive(Debug, Default)]
pub(super) struct Opening {
    known: Mutex<Known>,
    /// The start did not check all contents, and somebody should.
    check_due: AtomicBool,
    /// The message about it, to report once.
    news: Mutex<Option<String>>,
}

impl Opening {
    /// Marks the history as open; a kill leaves the mark. `whole`: all contents were checked.
    pub(super) fn begin(database: &Path, before: Option<&Known>, whole: bool) -> Self {
        let check_due = !whole && !before.is_some_and(|before| before.is_sound(database));
        let known = Known { end: End::Open, ..before.cloned().unwrap_or_default() };
        if before.is_some_and(|before| *before != known) {
            put_down(&known, database);
        }
        Self { known: Mutex::new(known), check_due: AtomicBool::new(check_due), news: Mutex::default() }
    }

    pub(super) fn check_is_due(&self) -> bool {
        self.check_due.load(Ordering::Relaxed)
    }

    pub(super) fn checked(&self) {
        self.check_due.store(false, Ordering::Relaxed);
    }

    /// For tests: as if the start had had no time for the check.
    #[cfg(test)]
    pub(super) fn leave_out(&self) {
        self.check_due.store(true, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, news: Option<String>) {
        *lock(&self.news) = news;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock()
}

fn put_down(known: &Known, database: &Path) {
    if let Err(error) = known.write(database) {
        tracing::debug!(%error, "what is known of the history is not put down");
    }
}

/// Renames a log that belongs to another database than the one beside it, and returns the new name.
///
/// SQLite would throw the log away if the database is new, or mix its rows into an older copy. But after a power cut, the newest rows of a
/// moved database are in its log alone.
pub(super) fn set_log_aside(database: &Path, known: Option<&Known>) -> io::Result<Option<PathBuf>> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let log = beside(database, "-wal");
    let is_orphan = size(database) == 0 || known.is_some_and(|known| known.has_log_of_another(database));
    if size(&log) == 0 || !is_orphan {
        return Ok(None);
    }
    let kept = beside(database, &format!("-wal.kept-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    std::fs::rename(&log, &kept)?;
    crash_point::reach("log_set_aside");
    tracing::warn!(kept = %kept.display(), "the log of another database was kept aside");
    Ok(Some(kept))
}

/// The logs that were set aside.
fn kept_logs(database: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return Vec::new() };
    let prefix = [name.as_encoded_bytes(), b"-wal.kept-"].concat();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kept: Vec<_> =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(&prefix)).map(|entry| entry.path()).collect();
    kept.sort();
    kept
}

fn place(database: &Path) -> PathBuf {
    beside(database, ".known.json")
}

impl Opening {
    /// Says what is different when this is not the history that the daemon worked with before, or not all of it. `kept_log`: a log of
    /// another history was beside it. That is proof too, even if the killed daemon had not yet written down its newest rows.
    pub(super) async fn compare(database: &Connections, known: Option<&Known>, kept_log: bool) -> Result<Option<String>, HistoryError> {
        let nothing = Known::default();
        let known = match known {
            Some(known) => known,
            None if kept_log => &nothing,
            None => return Ok(None),
        };
        let newest = newest_of(database).await?;
        let whole = match &known.newest {
            None => known.is_of(database.file()),
            Some(Newest { id, seen_at }) => sqlx::query_scalar("SELECT count(*) FROM inspections WHERE id = ? AND seen_at = ?")
                .bind(id)
                .bind(seen_at)
                .fetch_one(database.read())
                .await
                .map_err(|e| database.error(e))?,
        };
        if whole && !kept_log {
            return Ok(None);
        }
        let last = |newest: &Option<Newest>| match newest {
            Some(newest) => format!("inspection {} of {}", newest.id, newest.seen_at),
            None => "no image".to_owned(),
        };
        let mut text = format!(
            "{}: is not the history that the daemon worked with before, which went at least to {}; this one ends with {}; images that it does \
             not know are inspected again where they still are",
            database.file().display(),
            last(&known.newest),
            last(&newest),
        );
        for log in kept_logs(database.file()) {
            text += &format!(
                "; {} holds the newest rows of the database that was here: to have them back, rename it to the name which that file has \
                 now with `-wal` at its end, and open that file once with sqlite3",
                log.display()
            );
        }
        Ok(Some(text))
    }

    /// Writes down what is known about this history, if it changed; for the daemon alone.
    pub(super) async fn note(&self, connections: &Connections) {
        let Ok(newest) = newest_of(connections).await else { return };
        let (database, wal) = connections.place().ids();
        let mut known = self.known();
        let now = Known { end: known.end, database, wal, newest };
        if *known != now {
            put_down(&now, connections.file());
            *known = now;
        }
    }

    /// Writes down that the history was closed cleanly.
    pub(super) fn note_closed(&self, database: &Path) {
        let mut known = self.known();
        if known.end == End::Open && !self.check_is_due() {
            known.end = End::Closed;
            put_down(&known, database);
        }
    }

    /// Writes down that the contents are damaged: the next start checks all of them.
    pub(super) fn note_damage(&self, database: &Path) {
        let mut known = self.known();
        known.end = End::Damaged;
        put_down(&known, database);
    }

    /// The message about the history since it was opened; returned once.
    pub(super) fn news(&self) -> Option<String> {
        lock(&self.news).take()
    }
}

async fn newest_of(database: &Connections) -> Result<Option<Newest>, HistoryError> {
    let newest = sqlx::query_as("SELECT id, seen_at FROM inspections ORDER BY id DESC LIMIT 1").fetch_optional(database.read()).await;
    newest.map_err(|e| database.error(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::HistoryErrorKind;
    use crate::history::{Arrival, HistoryStore};

    fn arrival(number: i64) -> Arrival {
        Arrival::sample(number)
    }

    async fn open(file: &Path) -> HistoryStore {
        let store = HistoryStore::open(file).await.unwrap();
        store.database().note().await;
        store
    }

    #[tokio::test]
    async fn nothing_is_committed_to_a_file_that_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (file, old) = (folder.path().join("history.db"), folder.path().join("history.db.old"));
        let store = open(&file).await;
        store.arrivals().record_arrivals(&[arrival(1)]).await.unwrap();
        assert!(store.database().in_place().is_ok() && store.queue().start_attempt(1).await.unwrap());
        std::fs::rename(&file, &old).unwrap();
        for error in [
            store.queue().fail(1, &crate::codes::ReasonCode::Engine.into(), Timestamp::UNIX_EPOCH).await.unwrap_err(),
            store.arrivals().record_arrivals(&[arrival(2)]).await.unwrap_err(),
            store.database().in_place().unwrap_err(),
            store.database().lost().await,
        ] {
            assert_eq!(error.kind, HistoryErrorKind::Moved, "{error}");
        }
        assert_eq!(store.lists().counts().await.unwrap().pending, 1);
        store.close().await.unwrap();
        let moved = open(&old).await;
        assert_eq!(moved.lists().counts().await.unwrap().pending, 1, "what was recorded before is in it");
    }

    #[tokio::test]
    async fn the_log_of_another_file_is_kept_and_that_of_the_file_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let log = beside(&file, "-wal");
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(&log, "rows");
        assert!(set_log_aside(&file, None).unwrap().is_some(), "there is no database");
        write(&log, "rows");
        write(&file, "");
        assert!(set_log_aside(&file, None).unwrap().is_some(), "it is empty");
        write(&log, "rows");
        write(&file, "pages");
        assert_eq!(set_log_aside(&file, None).unwrap(), None, "nothing says that it is not its own");
        let known = Known { database: FileId::of(&file), wal: FileId::of(&log), ..Known::default() };
        assert_eq!(set_log_aside(&file, Some(&known)).unwrap(), None, "they were together before");
        write(&folder.path().join("copy"), "pages");
        std::fs::rename(folder.path().join("copy"), &file).unwrap();
        write(&folder.path().join("log"), "rows of the copy");
        assert!(known.has_log_of_another(&file));
        std::fs::rename(folder.path().join("log"), &log).unwrap();
        assert_eq!(set_log_aside(&file, Some(&known)).unwrap(), None, "both were put here together");
    }

    #[tokio::test]
    async fn a_history_closed_in_good_order_is_known_as_sound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let sound = || Known::read(&file).is_some_and(|known| known.is_sound(&file));
        for _ in 0..2 {
            let store = open(&file).await;
            assert!(!sound(), "a kill would leave it so");
            store.clone().close().await.unwrap();
            store.database().note_closed();
            assert!(sound());
        }
        let store = open(&file).await;
        store.database().opening().note_damage(&file);
        store.clone().close().await.unwrap();
        store.database().note_closed();
        assert_eq!(Known::read(&file).unwrap().end, End::Damaged, "closing heals nothing");
        let store = HistoryStore::open(&file).await.unwrap();
        assert_eq!(store.database().news(), None);
        store.clone().close().await.unwrap();
        store.database().note_closed();
        assert!(sound(), "it was looked at in full");
        std::fs::write(place(&file), "{").unwrap();
        assert_eq!(Known::read(&file), None);
    }
}
