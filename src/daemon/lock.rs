//! One daemon per database: two would inspect every image twice and overwrite each other's outputs.

use crate::error::FatalError;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and after which pause, a lock that is held is tried again: [`database_holder`] holds it for an instant.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to work with a database cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{database}: another patchcored (process {holder}) works with it; stop that one, or name another file under `database:`")]
    InUse {
        /// The database.
        database: PathBuf,
        /// The number that the process wrote down.
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
    /// Holds the lock while it is open; a child process does not inherit it.
    _held: File,
}

impl DatabaseLock {
    /// Takes the lock `DATABASE.lock`. The file stays when the lock is given back: removing it could take it from under the next one.
    ///
    /// # Errors
    /// [`FatalError::History`] when another daemon has it, or the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, FatalError> {
        let held = lock(&lock_file(database), database).map_err(|error| FatalError::History(error.into()))?;
        Ok(Self { database: database.to_owned(), _held: held })
    }

    /// The database that it is for.
    pub fn database(&self) -> &Path {
        &self.database
    }
}

/// The daemon that works with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process, if it could write that down.
    pub process: Option<u32>,
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

fn lock_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
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
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(unusable)?;
    }
    let mut held = File::options().read(true).write(true).create(true).truncate(false).open(file).map_err(unusable)?;
    match try_lock(&held, || std::thread::sleep(PAUSE)) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = held.read_to_string(&mut holder);
            return Err(LockError::InUse { database: database.to_owned(), holder: holder.trim().to_owned() });
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
}
