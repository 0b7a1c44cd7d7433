//! How a program of another user reads a history without disturbing the owner.
//!
//! A program that opens a database with a write-ahead log makes the two files `-wal` and `-shm` beside it, if they are missing, even when
//! it only reads. The files then belong to the reader. The service cannot open them and does not start. When root makes the files, SQLite
//! itself gives them to the owner of the database, but only after it has made them: a start in between fails.

use super::place::beside;
use crate::platform::files;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// The ways to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// With the log.
    WithLog,
    /// As a file that does not change: no daemon works with it, and the log is empty.
    Unchanging,
}

/// Prepares the files for reading as this user. Not for the daemon: this opens the database's file, and closing it releases SQLite's locks.
pub(super) fn way_in(file: &Path) -> Way {
    // They are beside the target of a symbolic link.
    let file = &std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let Ok(database) = std::fs::metadata(file) else { return Way::WithLog };
    let user = rustix::process::geteuid();
    let (log, index) = (beside(file, "-wal"), beside(file, "-shm"));
    if index.exists() || database.uid() == user.as_raw() || !keeps_log(file) {
        return Way::WithLog;
    }
    if user.is_root() {
        for path in [&log, &index] {
            if let Err(error) = make_for_owner(path, &database) {
                tracing::debug!(%error, path = %path.display(), "not made for the owner of the database");
            }
        }
        return Way::WithLog;
    }
    if has_rows(&log) { Way::WithLog } else { Way::Unchanging }
}

/// True when the log beside this database is not empty.
pub(super) fn has_log(file: &Path) -> bool {
    has_rows(&beside(file, "-wal"))
}

/// True when the database uses a write-ahead log: <https://www.sqlite.org/fileformat.html>, the read version. For other databases, SQLite
/// makes no files when it only reads.
fn keeps_log(file: &Path) -> bool {
    let mut header = [0; 20];
    File::open(file).and_then(|mut file| file.read_exact(&mut header)).is_ok() && header[19] == 2
}

fn has_rows(log: &Path) -> bool {
    std::fs::metadata(log).is_ok_and(|meta| meta.len() > 0)
}

/// Makes an empty file that belongs to the owner of the database from the first moment. A file that exists stays.
fn make_for_owner(path: &Path, database: &std::fs::Metadata) -> io::Result<()> {
    let made = files::temporary(path.parent().unwrap_or(Path::new("/")))?;
    fchown(made.as_file(), Some(database.uid()), Some(database.gid()))?;
    made.as_file().set_permissions(Permissions::from_mode(database.mode() & 0o777))?;
    match std::fs::hard_link(made.path(), path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryStore;

    #[tokio::test]
    async fn root_makes_no_file_of_its_own_beside_the_database_of_another() {
        if !rustix::process::geteuid().is_root() {
            return println!("SKIPPED: needs root, to be another user than the owner");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        HistoryStore::open(&file).await.unwrap().close().await.unwrap();
        std::os::unix::fs::chown(&file, Some(48_391), Some(48_391)).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let store = HistoryStore::open_read_only(&file).await.unwrap();
        for suffix in ["-wal", "-shm"] {
            let found = std::fs::metadata(beside(&file, suffix)).unwrap();
            assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (48_391, 48_391, 0o640), "{suffix}");
        }
        assert_eq!(store.lists().counts().await.unwrap().arrived, 0);
        store.close().await.unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".patchcored")
        });
        assert_eq!(left.count(), 0);
    }
}
