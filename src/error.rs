//! Errors in two tiers, by consequence: a [`FatalError`] stops the daemon, an [`ImageError`] ends one image.
//!
//! Every message says what failed, on which file or key, why, and what to do. Lower case, the cause in `#[source]`.

use std::path::PathBuf;

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
    /// The file is whole but cannot be inspected; trying again would not help.
    #[error("cannot inspect {path}: {reason}")]
    Rejected {
        /// The file.
        path: PathBuf,
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
    /// True when the same file may succeed a little later (still being written, or missing for a moment).
    pub fn may_heal(&self) -> bool {
        matches!(self, ImageError::Incomplete { .. } | ImageError::Read { .. } | ImageError::Write { .. })
    }
}
