//! The errors of the history, grouped by their remedy.

use sqlx::migrate::MigrateError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shared, so that both the caller and the daemon as a whole can get the error.
type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The history cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {what}; {}", file.display(), kind.remedy())]
pub struct HistoryError {
    /// The database file.
    pub file: PathBuf,
    /// The kind of error.
    pub kind: HistoryErrorKind,
    what: String,
    #[source]
    source: Option<Cause>,
}

/// The kinds of errors, by remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryErrorKind {
    /// No space left. Recorded rows are safe, and the same call succeeds when there is space again.
    DiskFull,
    /// The disk failed a read, write or sync.
    Io,
    /// The file or its folder cannot be written.
    ReadOnly,
    /// The file cannot be opened or created.
    CannotOpen,
    /// The contents are damaged.
    Corrupt,
    /// Another program has the write lock, and kept it for the whole waiting time.
    Busy,
    /// A newer patchcored wrote the file.
    NewerSchema,
    /// An older patchcored wrote the file, and it is open for reading only.
    OlderSchema,
    /// Not a patchcored history.
    NotAHistory,
    /// The file does not exist.
    Missing,
    /// The file, or the log beside it, is no longer the one that was opened.
    Moved,
    /// Any other error.
    Other,
}

impl HistoryErrorKind {
    /// True when waiting does not help: the daemon ends with the reason, because it could not record anything.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Io | Self::ReadOnly | Self::CannotOpen | Self::Corrupt | Self::NotAHistory | Self::Missing | Self::Moved)
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::DiskFull => "free space on its disk: what was recorded is safe, and recording goes on when there is space",
            Self::Io => "check the disk, the mount and the kernel log (dmesg)",
            Self::ReadOnly => {
                "run the command as the user of the service (`sudo -u patchcored patchcored …`); if it is the service that says this, give the file and its folder to that user, and check that the disk is not mounted read-only"
            }
            Self::CannotOpen => "check that the folder exists on a local disk and that this user may read and write it and the file",
            Self::Corrupt => {
                "stop the daemon, keep the file with its -wal and -shm, and restore a backup (`patchcored restore`) or what `sqlite3 FILE .recover` saves (sqlite3 3.29 or newer)"
            }
            Self::Busy => "close the program that keeps a transaction open on it (a sqlite3 shell or a copying tool) and try again",
            Self::NewerSchema => "install that version again, or restore the copy named `*.before-schema-*` beside it",
            Self::OlderSchema => "start the daemon once: it brings the file up to date and keeps a copy",
            Self::NotAHistory => "name another file under `database:`",
            Self::Missing => "start the daemon, which creates it, or name another file",
            Self::Moved => {
                "put the database back, or start the daemon with what is there now; stop the daemon before its database is moved, removed, or copied by hand"
            }
            Self::Other => "this is a bug or a very unusual system: report it with this message",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::DiskFull => "the disk is full",
            Self::Io => "the disk failed",
            Self::ReadOnly => "cannot be written",
            Self::CannotOpen => "cannot be opened",
            Self::Corrupt => "the database is damaged",
            Self::Busy => "is locked by another program",
            Self::NewerSchema => "was written by a newer version of patchcored",
            Self::OlderSchema => "was written by an older version of patchcored",
            Self::NotAHistory => "is not a patchcored history",
            Self::Missing => "does not exist",
            Self::Moved => "was moved, removed or replaced while it was in use",
            Self::Other => "unexpected trouble",
        }
    }

    /// The kind for SQLite's extended result code, <https://www.sqlite.org/rescode.html>.
    fn from_code(code: i32) -> Self {
        use libsqlite3_sys as sqlite;
        // The shared-memory file grows by writing zeros, so a full disk often shows there first.
        if code == sqlite::SQLITE_IOERR_SHMSIZE {
            return Self::DiskFull;
        }
        // The commit hook of the writing connection refused the commit.
        if code == sqlite::SQLITE_CONSTRAINT_COMMITHOOK {
            return Self::Moved;
        }
        match code & 0xff {
            sqlite::SQLITE_FULL => Self::DiskFull,
            sqlite::SQLITE_IOERR => Self::Io,
            sqlite::SQLITE_READONLY => Self::ReadOnly,
            sqlite::SQLITE_CANTOPEN | sqlite::SQLITE_PERM | sqlite::SQLITE_AUTH => Self::CannotOpen,
            sqlite::SQLITE_CORRUPT => Self::Corrupt,
            sqlite::SQLITE_NOTADB => Self::NotAHistory,
            sqlite::SQLITE_BUSY | sqlite::SQLITE_LOCKED => Self::Busy,
            _ => Self::Other,
        }
    }
}

impl HistoryError {
    pub(super) fn new(file: &Path, kind: HistoryErrorKind, source: Option<Cause>) -> Self {
        Self { file: file.to_owned(), kind, what: kind.what().to_owned(), source }
    }

    /// With a text that says more than the kind.
    pub(crate) fn saying(file: &Path, kind: HistoryErrorKind, detail: impl std::fmt::Display) -> Self {
        Self { file: file.to_owned(), kind, what: format!("{} ({detail})", kind.what()), source: None }
    }

    pub(crate) fn from_io(file: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => HistoryErrorKind::DiskFull,
            ErrorKind::ReadOnlyFilesystem => HistoryErrorKind::ReadOnly,
            ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                HistoryErrorKind::CannotOpen
            }
            _ => HistoryErrorKind::Io,
        };
        Self::new(file, kind, Some(Arc::new(source)))
    }

    pub(crate) fn from_sqlx(file: &Path, source: sqlx::Error) -> Self {
        let (kind, cause): (_, Cause) = match source {
            // sqlx repeats SQLite's words in its own message and in its source. Once is enough.
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse().ok());
                (
                    code.map_or(HistoryErrorKind::Other, HistoryErrorKind::from_code),
                    Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(format!("sqlite {error}"))),
                )
            }
            sqlx::Error::PoolTimedOut => (HistoryErrorKind::Busy, Arc::new(source)),
            _ => (HistoryErrorKind::Other, Arc::new(source)),
        };
        Self::new(file, kind, Some(cause))
    }

    pub(super) fn from_migration(file: &Path, source: MigrateError, newest: i64) -> Self {
        let kind = match source {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => return Self::from_sqlx(file, error),
            MigrateError::VersionMissing(version) if version > newest => HistoryErrorKind::NewerSchema,
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => HistoryErrorKind::NotAHistory,
            _ => HistoryErrorKind::Other,
        };
        Self::new(file, kind, Some(Arc::new(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_codes_are_told_apart() {
        for (code, kind) in [
            (13, HistoryErrorKind::DiskFull),
            (4874, HistoryErrorKind::DiskFull),
            (10, HistoryErrorKind::Io),
            (1034, HistoryErrorKind::Io),
            (8, HistoryErrorKind::ReadOnly),
            (1032, HistoryErrorKind::ReadOnly),
            (14, HistoryErrorKind::CannotOpen),
            (11, HistoryErrorKind::Corrupt),
            (267, HistoryErrorKind::Corrupt),
            (26, HistoryErrorKind::NotAHistory),
            (5, HistoryErrorKind::Busy),
            (1, HistoryErrorKind::Other),
        ] {
            assert_eq!(HistoryErrorKind::from_code(code), kind, "{code}");
        }
    }

    #[test]
    fn a_message_names_file_trouble_and_remedy() {
        let error = HistoryError::new(Path::new("/var/h.db"), HistoryErrorKind::DiskFull, None).to_string();
        assert!(error.starts_with("/var/h.db: the disk is full; free space"), "{error}");
    }
}
