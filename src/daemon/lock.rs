//! One daemon per database: two would inspect every image twice and overwrite each other's outputs.

use crate::error::FatalError;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

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
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let file = PathBuf::from(name);
        let held = lock(&file, database).map_err(FatalError::History)?;
        Ok(Self { database: database.to_owned(), _held: held })
    }

    /// The database that it is for.
    pub fn database(&self) -> &Path {
        &self.database
    }
}

fn lock(file: &Path, database: &Path) -> anyhow::Result<File> {
    let unusable =
        |error: io::Error| anyhow::anyhow!("{}: cannot be locked: {error}; check that its folder is there and writable", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(unusable)?;
    }
    let mut held = File::options().read(true).write(true).create(true).truncate(false).open(file).map_err(unusable)?;
    match flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = held.read_to_string(&mut holder);
            anyhow::bail!(
                "{}: another patchcored run (process {}) works with it; stop that one, or name another file under `database:`",
                database.display(),
                holder.trim()
            );
        }
        Err(error) => return Err(unusable(error.into())),
    }
    // Only for the message above; a full disk does not matter.
    let _ = held.set_len(0).and_then(|()| write!(held, "{}", std::process::id()));
    Ok(held)
}
