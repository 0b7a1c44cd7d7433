//! Errors in two tiers, by consequence: a [`FatalError`] stops the daemon, an [`ImageError`] ends one image.
//!
//! Every message says what failed, on which file or key, why, and what to do. Lower case, the cause in `#[source]`.

use crate::codes::ReasonCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why an image is incomplete whose writer has it open still.
pub const NOT_CLOSED: &str = "its writer has not closed it";

/// Why an image is incomplete beside the marker of an earlier one.
pub const NOT_MARKED: &str = "its marker is older than it, so its writer has not finished it";

/// Stops the program. The exit code follows from the variant.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// The configuration cannot be used; every problem is listed in the message.
    #[error("{0}")]
    Config(String),
    /// The history database cannot be used.
    #[error("history database: {0}")]
    History(#[source] anyhow::Error),
    /// A worker of the daemon ended when it should not have.
    #[error("worker `{worker}` ended: {reason}; this is a bug or a failing disk: see the log lines before this one")]
    Worker {
        /// Its name.
        worker: &'static str,
        /// How it ended.
        reason: String,
    },
}

impl FatalError {
    /// The process exit code: 78 (EX_CONFIG) for a bad configuration, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            FatalError::Config(_) => 78,
            _ => 1,
        }
    }
}

/// Ends one image, or its present attempt.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file is not (yet) a whole image: it may still be being written, so it is tried again until `give_up_after`.
    #[error("incomplete image {path}: {reason}")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Whoever writes the file has it open still; tried again as if it were incomplete.
    #[error("incomplete image {path}: {NOT_CLOSED}")]
    NotClosed {
        /// The file.
        path: PathBuf,
    },
    /// The marker beside the file is that of an earlier picture: the camera writes it anew; tried again as if it were not closed.
    #[error("incomplete image {path}: {NOT_MARKED}")]
    NotMarked {
        /// The file.
        path: PathBuf,
    },
    /// The file is whole but cannot be inspected; trying again would not help.
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
        /// What the system said.
        source: std::io::Error,
    },
    /// An output could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system said.
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

    /// The code of the row of such an image.
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
