//! What a drop folder's thread reports.

use super::scan::FileId;
use std::path::PathBuf;

/// A complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Device and inode, the same under every name.
    pub id: Option<FileId>,
    /// Whether the daemon saw the writer finish it.
    pub said_whole: bool,
}

/// A report of a worker.
#[derive(Debug)]
pub enum IntakeReport {
    /// Files that became ready. An earlier run of the daemon may have reported some of them.
    Found(Vec<FoundFile>),
    /// The folder cannot be listed, or it was replaced. The daemon tries again all the time.
    RootLost {
        /// The folder.
        root: PathBuf,
        /// The reason.
        reason: String,
    },
    /// After `RootLost`: there is a folder again, and it is in use.
    RootBack {
        /// The folder.
        root: PathBuf,
    },
    /// Hints were lost. New watches and a full scan find what they would have reported.
    Overflow {
        /// The folder.
        root: PathBuf,
    },
    /// The folder or some of its sub-folders cannot be watched. Only scans find the files there, up to `rescan` later.
    NotWatched {
        /// The folder.
        root: PathBuf,
        /// How much of it, why, and what to do.
        reason: String,
    },
    /// After `NotWatched`: the whole folder is watched now.
    Watched {
        /// The folder.
        root: PathBuf,
    },
}
