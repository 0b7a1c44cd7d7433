//! Why one image cannot be inspected. Every message says what failed, on which file, why, and what to do.

use crate::codes::ReasonCode;
use std::io;
use std::path::{Path, PathBuf};

/// The reason when the writer still has the image open.
pub const NOT_CLOSED: &str = "its writer has not closed it";

/// The reason when the marker beside an image belongs to an earlier one.
pub const NOT_MARKED: &str = "its marker is older than it, so its writer has not finished it";

/// Ends one image, or its present attempt.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file is not (yet) a whole image. Somebody may still be writing it, so the daemon tries again until `give_up_after`.
    #[error("incomplete image {path}: {reason}")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The writer still has the file open. Tried again like an incomplete file.
    #[error("incomplete image {path}: {NOT_CLOSED}")]
    NotClosed {
        /// The file.
        path: PathBuf,
    },
    /// The marker beside the file belongs to an earlier image: the camera is writing again. Tried again like a file that is not closed.
    #[error("incomplete image {path}: {NOT_MARKED}")]
    NotMarked {
        /// The file.
        path: PathBuf,
    },
    /// The file is whole, but the daemon cannot inspect it; another try would not help.
    #[error("cannot inspect {path}: {reason}")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why, for programs.
        code: ReasonCode,
        /// Why, and what to do.
        reason: String,
    },
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An output could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The output.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The engine refused the image.
    #[error("engine: {0}")]
    Engine(String),
}

impl ImageError {
    /// [`ImageError::Rejected`].
    pub fn rejected(path: &Path, code: ReasonCode, reason: impl Into<String>) -> Self {
        Self::Rejected { path: path.to_owned(), code, reason: reason.into() }
    }

    /// The reason code for the row of such an image.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Incomplete { .. } => ReasonCode::Incomplete,
            Self::NotClosed { .. } | Self::NotMarked { .. } => ReasonCode::NotClosed,
            Self::Rejected { code, .. } => *code,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => ReasonCode::FileGone,
            Self::Read { .. } => ReasonCode::Unreadable,
            Self::Write { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                ReasonCode::DiskFull
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::InvalidFilename => ReasonCode::NameTooLong,
            Self::Write { .. } => ReasonCode::NotWritable,
            Self::Engine(_) => ReasonCode::Engine,
        }
    }

    /// True when the same file may succeed a little later (still being written, or missing for a moment).
    pub fn may_heal(&self) -> bool {
        !matches!(self, ImageError::Rejected { .. } | ImageError::Engine(_))
    }
}
