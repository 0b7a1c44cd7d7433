//! One daemon per database: two would inspect every image twice and overwrite each other's outputs.
//!
//! Two locks, as neither does alone. The file `DATABASE.lock` names the process and can be asked by anybody; it lies beside the file that
//! symbolic links lead to. The lock on the database's own file holds under every name that the file has, and when somebody removes the
//! other one. It is one of `flock`, which SQLite does not use. Closing that file would take SQLite's own locks from this process, so it stays
//! open until the process ends.

use super::known::{Known, set_log_aside};
use super::place::beside;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and after which pause, a lock that is held is tried again: [`database_holder`] holds it for an instant.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// Symbolic links that lead from one to the next, at most.
const LINKS: usize = 8;

/// The right to work with a database cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{database}: another patchcored ({holder}) works with it; stop that one, or name another file under `database:`")]
    InUse {
        /// The database.
        database: PathBuf,
        /// The process, as far as it is known.
        holder: String,
    },
    /// The lock file cannot be made or locked.
    #[error("{file}: cannot be locked: {error}; check that its folder is there and writable")]
    Unusable {
        /// The lock file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The right to work with a database. The kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DatabaseLock {
    database: PathBuf,
    /// The lock file.
    file: PathBuf,
    /// Holds the lock while it is open; a child process does not inherit it.
    held: Mutex<File>,
    /// The database's own file. `None` when it cannot be opened, of which SQLite will tell more.
    own: Option<&'static File>,
    /// The log of another database was kept aside.
    kept_log: bool,
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        if let Some(own) = self.own {
            let _ = flock(own, FlockOperation::Unlock);
        }
    }
}

impl DatabaseLock {
    /// Takes both locks; makes an empty database where there is none. The lock file stays when the lock is given back: removing it could
    /// take it from under the next one.
    ///
    /// # Errors
    /// When another daemon has one of them, or the lock file cannot be made.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let file = lock_file(database);
        let unusable = |error| LockError::Unusable { file: file.clone(), error };
        if let Some(folder) = database.parent() {
            std::fs::create_dir_all(folder).map_err(unusable)?;
        }
        let held = lock(&file, database)?;
        // Before there is a file of that name: whoever opens an empty database has SQLite remove the log beside it, and the log of a
        // database that was moved has its newest rows.
        let kept_log = set_log_aside(database, Known::read(database).as_ref()).map_err(unusable)?.is_some();
        let own = open_or_make(database).ok().map(|own| &*Box::leak(Box::new(own)));
        if let Some(own) = own
            && try_lock(own, || std::thread::sleep(PAUSE)) == Err(rustix::io::Errno::WOULDBLOCK)
        {
            return Err(LockError::InUse { database: database.to_owned(), holder: "under another name of this file".to_owned() });
        }
        Ok(Self { database: database.to_owned(), file, held: Mutex::new(held), own, kept_log })
    }

    /// True when this path leads to the database that the lock is for.
    pub fn is_of(&self, database: &Path) -> bool {
        self.database == database || self.own.is_some_and(|own| is_file(database, own))
    }

    /// True when the log of another database lay there, which was kept aside.
    pub fn kept_log(&self) -> bool {
        self.kept_log
    }

    /// The lock file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Makes the lock file again if it was removed, so that others still see who works with the database. True when it did.
    pub fn restore(&self) -> bool {
        let mut held = self.held.lock();
        if self.file.exists() && is_file(&self.file, &held) {
            return false;
        }
        let Ok(again) = lock(&self.file, &self.database) else { return false };
        *held = again;
        true
    }
}

/// True when this path leads to the open file.
fn is_file(path: &Path, open: &File) -> bool {
    let id = |meta: io::Result<Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
    id(std::fs::metadata(path)).is_some_and(|found| Some(found) == id(open.metadata()))
}

/// The database's own file; made with the mode that SQLite makes it with.
fn open_or_make(database: &Path) -> io::Result<File> {
    match File::open(database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().read(true).write(true).create(true).truncate(false).mode(0o644).open(database)
        }
        other => other,
    }
}

/// The daemon that works with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process, if it could write that down.
    pub process: Option<u32>,
}

/// True when a daemon works with this very file under another name, as through a hard link or a bind mount: the lock file of this name does not tell.
/// Changes nothing.
pub(super) fn is_held_under_another_name(database: &Path) -> bool {
    // Closed, it would take SQLite's own locks from this process, so it stays open: once for each file.
    static OPENED: Mutex<Vec<((u64, u64), &'static File)>> = Mutex::new(Vec::new());
    let Ok(meta) = std::fs::metadata(database) else { return false };
    if !matches!(database_holder(database), Ok(None)) {
        return false;
    }
    let id = (meta.dev(), meta.ino());
    let mut opened = OPENED.lock();
    let file = match opened.iter().find(|(known, _)| *known == id) {
        Some((_, file)) => *file,
        None => {
            let Ok(file) = File::open(database) else { return false };
            let file: &'static File = Box::leak(Box::new(file));
            opened.push((id, file));
            file
        }
    };
    let free = flock(file, FlockOperation::NonBlockingLockShared);
    if free.is_ok() {
        let _ = flock(file, FlockOperation::Unlock);
    }
    free == Err(rustix::io::Errno::WOULDBLOCK)
}

/// The daemon that works with this database now; `None` when there is none. Changes nothing.
///
/// # Errors
/// When the lock file cannot be read.
pub fn database_holder(database: &Path) -> anyhow::Result<Option<Holder>> {
    let file = lock_file(database);
    let unreadable = |error: io::Error| {
        anyhow::anyhow!("{}: cannot be read to see whether the daemon runs: {error}; ask as the user of the service", file.display())
    };
    let mut probe = match File::open(&file) {
        Ok(probe) => probe,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    match flock(&probe, FlockOperation::NonBlockingLockShared) {
        // It is given back at once, with the file.
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut process = String::new();
            let _ = probe.read_to_string(&mut process);
            Ok(Some(Holder { process: process.trim().parse().ok() }))
        }
        Err(error) => Err(unreadable(error.into())),
    }
}

/// Beside the file that symbolic links lead to, also when it is not there yet.
fn lock_file(database: &Path) -> PathBuf {
    beside(&behind_links(database), ".lock")
}

/// The file that symbolic links lead to, also when it is not there yet.
pub(super) fn behind_links(database: &Path) -> PathBuf {
    let mut target = database.to_owned();
    for _ in 0..LINKS {
        match (std::fs::read_link(&target), target.parent()) {
            (Ok(link), Some(folder)) => target = folder.join(link),
            _ => break,
        }
    }
    let folder = target.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
    let resolved = folder.zip(target.file_name()).map(|(folder, name)| folder.join(name));
    resolved.unwrap_or(target)
}

/// The lock, after a few tries; no image is in hand yet or any more that the pauses could hold up.
fn try_lock(file: &File, mut pause: impl FnMut()) -> Result<(), rustix::io::Errno> {
    for _ in 1..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => pause(),
            other => return other,
        }
    }
    flock(file, FlockOperation::NonBlockingLockExclusive)
}

fn lock(file: &Path, database: &Path) -> Result<File, LockError> {
    let unusable = |error: io::Error| LockError::Unusable { file: file.to_owned(), error };
    let mut held = File::options().read(true).write(true).create(true).truncate(false).open(file).map_err(unusable)?;
    match try_lock(&held, || std::thread::sleep(PAUSE)) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = held.read_to_string(&mut holder);
            return Err(LockError::InUse { database: database.to_owned(), holder: format!("process {}", holder.trim()) });
        }
        Err(error) => return Err(unusable(error.into())),
    }
    // Only for people; a full disk does not matter.
    let _ = held.set_len(0).and_then(|()| write!(held, "{}", std::process::id()));
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_meets_a_look_at_the_lock_is_not_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("lock")).unwrap();
        let look = File::open(folder.path().join("lock")).unwrap();
        flock(&look, FlockOperation::NonBlockingLockShared).unwrap();
        let mut look = Some(look);
        assert_eq!(try_lock(&file, || drop(look.take())), Ok(()));
    }

    #[test]
    fn the_holder_is_seen_and_looking_takes_nothing_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("history.db");
        assert_eq!(database_holder(&database).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "looking makes no file");
        let lock = DatabaseLock::take(&database).unwrap();
        for _ in 0..2 {
            assert_eq!(database_holder(&database).unwrap(), Some(Holder { process: Some(std::process::id()) }));
        }
        drop(lock);
        assert_eq!(database_holder(&database).unwrap(), None, "the file is still there");
    }

    #[test]
    fn the_log_of_a_database_that_is_gone_is_kept_before_there_is_a_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("history.db");
        std::fs::write(folder.path().join("history.db-wal"), "the newest rows").unwrap();
        let lock = DatabaseLock::take(&database).unwrap();
        assert!(lock.kept_log() && database.exists());
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.contains(&"history.db-wal".to_owned()), "whoever opens an empty database removes the log beside it: {names:?}");
        assert!(names.iter().any(|name| name.starts_with("history.db-wal.kept-")), "{names:?}");
        drop(lock);
        assert!(!DatabaseLock::take(&database).unwrap().kept_log());
    }

    #[test]
    fn every_name_of_a_database_leads_to_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let [database, soft, hard, dangling] = ["a/history.db", "soft.db", "b/hard.db", "dangling.db"].map(|name| folder.path().join(name));
        std::fs::create_dir(folder.path().join("b")).unwrap();
        std::os::unix::fs::symlink("a/history.db", &dangling).unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        // A link to what is not there yet is followed, too.
        let lock = DatabaseLock::take(&dangling).unwrap();
        std::os::unix::fs::symlink(&database, &soft).unwrap();
        std::fs::hard_link(&database, &hard).unwrap();
        for name in [&database, &soft, &dangling] {
            let told = DatabaseLock::take(name).unwrap_err().to_string();
            assert!(told.contains(&format!("another patchcored (process {})", std::process::id())), "{told}");
            assert_eq!(database_holder(name).unwrap(), Some(Holder { process: Some(std::process::id()) }));
        }
        assert!(is_held_under_another_name(&hard), "its own lock file tells of nobody");
        assert!(![&database, &soft, &dangling].iter().any(|name| is_held_under_another_name(name)));
        let told = DatabaseLock::take(&hard).unwrap_err().to_string();
        assert!(told.contains("another patchcored (under another name of this file)"), "{told}");
        assert!([&database, &soft, &hard, &dangling].iter().all(|name| lock.is_of(name)));
        assert!(!lock.is_of(&folder.path().join("other.db")));

        std::fs::remove_file(lock.file()).unwrap();
        assert!(DatabaseLock::take(&database).is_err(), "the lock file was not all");
        assert!(lock.restore() && !lock.restore());
        assert_eq!(database_holder(&database).unwrap(), Some(Holder { process: Some(std::process::id()) }));
        drop(lock);
        for name in [&soft, &hard] {
            drop(DatabaseLock::take(name).unwrap());
        }
    }
}
