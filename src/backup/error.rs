//! Why a backup cannot be made or put back.

use crate::banks::BankFolderError;
use crate::config::ConfigError;
use crate::database::{HistoryError, LockError};
use std::io;
use std::path::PathBuf;

/// A backup cannot be made or put back.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BackupError {
    /// The folder for backups cannot be used.
    #[error("{}: {why}", folder.display())]
    Folder { folder: PathBuf, why: String },
    /// It is no backup.
    #[error("{}: {why}", folder.display())]
    NotABackup { folder: PathBuf, why: String },
    /// A file of the backup is not the file that was saved.
    #[error("{}: {why}; nothing was changed; restore another backup", file.display())]
    Damaged { file: PathBuf, why: String },
    /// A file of the backup changed after it was checked.
    #[error("{}: changed while it was restored; run the command again", file.display())]
    Changed { file: PathBuf },
    /// Something is there already.
    #[error("nothing was changed, because something would be replaced:\n{}\nadd `--replace`: it keeps what was there under other names", .0.join("\n"))]
    InTheWay(Vec<String>),
    /// A file cannot be read.
    #[error("{}: cannot be read: {error}; check that it is there and that this user may read it", file.display())]
    Read { file: PathBuf, error: io::Error },
    /// A file cannot be written.
    #[error("{}: cannot be written: {error}; make room on the disk, or run the command as a user who may write there", file.display())]
    Write { file: PathBuf, error: io::Error },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("history database: {0}")]
    History(#[from] HistoryError),
    /// A daemon works with it.
    #[error("{0}")]
    Lock(#[from] LockError),
    /// A bank folder.
    #[error("{product}: {error}")]
    Bank { product: String, error: BankFolderError },
}
