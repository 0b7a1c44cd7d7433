//! Where a history is: its file and the two files that SQLite keeps beside it, and whether they are still the files that were opened.
//!
//! People move, remove and replace files. SQLite continues with the file that it has open, whatever happens to the name. Everything it
//! records from then on is in a file that nobody will read.

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// `FILE` with `suffix` appended to its name.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Identifies a file among all files that have or had its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    /// When the file was made, ns since 1970, if the file system knows: a new file soon gets the inode of a removed one.
    born_ns: Option<u64>,
}

impl FileId {
    /// The file of this name; `None` when it does not exist or cannot be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|meta| Self::from(&meta))
    }

    /// The same, even if a restart of the machine changed the device numbers.
    pub(super) fn is_still(self, earlier: Self) -> bool {
        (self.inode, self.born_ns) == (earlier.inode, earlier.born_ns)
    }
}

impl From<&std::fs::Metadata> for FileId {
    fn from(meta: &std::fs::Metadata) -> Self {
        let born = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self { device: meta.dev(), inode: meta.ino(), born_ns: born.and_then(|since| u64::try_from(since.as_nanos()).ok()) }
    }
}

/// The files of an open history.
#[derive(Debug)]
pub(super) struct Place {
    /// Their name when opened.
    file: PathBuf,
    opened_as: PathBuf,
    database: Option<FileId>,
    log: Mutex<Log>,
}

/// The write-ahead log and its index, while the writing connection has them open.
#[derive(Debug, Clone, Copy, Default)]
struct Log {
    wal: Option<FileId>,
    shm: Option<FileId>,
}

impl Place {
    /// The place of a database that was just opened.
    pub(super) fn of(file: &Path) -> Self {
        // SQLite keeps its two files beside the file that a symbolic link leads to.
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        Self { file: file.to_owned(), database: FileId::of(&real), opened_as: real, log: Mutex::default() }
    }

    /// The writing connection is open, and so are the log and its index.
    pub(super) fn connected(&self) {
        if self.database_moved().is_none() {
            let real = self.real();
            *self.log() = Log { wal: FileId::of(&beside(&real, "-wal")), shm: FileId::of(&beside(&real, "-shm")) };
        }
    }

    /// The writing connection is about to close: SQLite may remove the log, and the next connection makes a new one.
    pub(super) fn disconnects(&self) {
        *self.log() = Log::default();
    }

    /// The database's own file and its log.
    pub(super) fn ids(&self) -> (Option<FileId>, Option<FileId>) {
        (self.database, self.log().wal)
    }

    /// What happened to the files, in words; `None` when nothing changed or nobody can tell.
    pub(super) fn moved(&self) -> Option<String> {
        if let Some(what) = self.database_moved() {
            return Some(what);
        }
        let Log { wal, shm } = *self.log();
        let real = self.real();
        let gone = |suffix: &str, id: Option<FileId>| {
            let path = beside(&real, suffix);
            change(&path, id?).map(|what| format!("{}, which holds the newest rows, {what}", path.display()))
        };
        gone("-wal", wal).or_else(|| gone("-shm", shm))
    }

    fn database_moved(&self) -> Option<String> {
        let id = self.database?;
        let what = change(&self.file, id)?;
        Some(match self.present_name() {
            Some(name) => format!("{what}; the file that was open is now {}", name.display()),
            None => what.to_owned(),
        })
    }

    /// The present name of the open database, when it has another one.
    pub(super) fn present_name(&self) -> Option<PathBuf> {
        let id = self.database?;
        let open = std::fs::read_dir("/proc/self/fd").ok()?.flatten();
        let mut names = open.filter(|fd| FileId::of(&fd.path()) == Some(id)).filter_map(|fd| std::fs::read_link(fd.path()).ok());
        names.find(|name| FileId::of(name) == Some(id))
    }

    /// The name under which it was opened, without symbolic links.
    pub(super) fn opened_as(&self) -> &Path {
        &self.opened_as
    }

    fn real(&self) -> PathBuf {
        std::fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }
}

/// What happened to the name of this file. `None` too for a folder that cannot be read or does not answer.
fn change(path: &Path, id: FileId) -> Option<&'static str> {
    match std::fs::metadata(path) {
        Ok(meta) if FileId::from(&meta) == id => None,
        Ok(_) => Some("another file is in its place"),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Some("it is not there any more"),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> Place {
        for name in ["h.db", "h.db-wal", "h.db-shm"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let place = Place::of(&folder.join("h.db"));
        place.connected();
        assert_eq!(place.moved(), None);
        place
    }

    #[test]
    fn whatever_happens_to_the_files_is_noticed() {
        type Act = fn(&Path);
        let acts: [(&str, Act, &str); 7] = [
            ("removed", |f| std::fs::remove_file(f.join("h.db")).unwrap(), "it is not there any more"),
            ("renamed", |f| std::fs::rename(f.join("h.db"), f.join("old")).unwrap(), "it is not there any more"),
            (
                "replaced",
                |f| {
                    std::fs::write(f.join("new"), "new").unwrap();
                    std::fs::rename(f.join("new"), f.join("h.db")).unwrap();
                },
                "another file is in its place",
            ),
            (
                "log removed",
                |f| std::fs::remove_file(f.join("h.db-wal")).unwrap(),
                "h.db-wal, which holds the newest rows, it is not there",
            ),
            ("index removed", |f| std::fs::remove_file(f.join("h.db-shm")).unwrap(), "h.db-shm, which"),
            ("folder renamed", |f| std::fs::rename(f, f.with_file_name("elsewhere")).unwrap(), "it is not there any more"),
            (
                "folder replaced",
                |f| {
                    std::fs::rename(f, f.with_file_name("elsewhere")).unwrap();
                    std::fs::create_dir(f).unwrap();
                    std::fs::write(f.join("h.db"), "other").unwrap();
                },
                "another file is in its place",
            ),
        ];
        for (name, act, told) in acts {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("db");
            std::fs::create_dir(&folder).unwrap();
            let place = place(&folder);
            act(&folder);
            let moved = place.moved().unwrap_or_else(|| panic!("{name}: not noticed"));
            assert!(moved.contains(told), "{name}: {moved}");
        }
    }

    #[test]
    fn the_new_name_is_told_and_a_folder_that_is_shut_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let _open = std::fs::File::open(folder.path().join("h.db")).unwrap();
        std::fs::rename(folder.path().join("h.db"), folder.path().join("h.db.old")).unwrap();
        let moved = place.moved().unwrap();
        assert!(moved.ends_with("h.db.old"), "{moved}");
        std::fs::rename(folder.path().join("h.db.old"), folder.path().join("h.db")).unwrap();
        assert_eq!(place.moved(), None, "it was put back");
        place.disconnects();
        std::fs::remove_file(folder.path().join("h.db-wal")).unwrap();
        assert_eq!(place.moved(), None, "SQLite may remove its log");
    }
}
