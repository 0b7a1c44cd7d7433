//! The errors that stop the daemon. Every message says what failed, on which file or key, why, and what to do.

use crate::config::ConfigError;
use crate::database::{HistoryError, LockError};
use crate::line::profile::ProfileError;
use crate::routing::rules::RoutingProblems;
use crate::supervisor::WorkerEnded;

/// The exit code for a bad configuration, as in sysexits.h.
pub const EX_CONFIG: u8 = 78;

/// Stops the program. The exit code follows from the variant.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// The configuration cannot be used; every problem is listed in the message.
    #[error("{0}")]
    Config(String),
    /// The history database cannot be used.
    #[error("history database: {0}")]
    History(#[source] anyhow::Error),
    /// A worker of the daemon ended although it should run.
    #[error(transparent)]
    Worker(#[from] WorkerEnded),
}

impl From<ConfigError> for FatalError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<RoutingProblems> for FatalError {
    fn from(problems: RoutingProblems) -> Self {
        Self::Config(problems.to_string())
    }
}

impl From<HistoryError> for FatalError {
    fn from(error: HistoryError) -> Self {
        Self::History(error.into())
    }
}

impl From<ProfileError> for FatalError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Missing { .. } => Self::Config(error.to_string()),
            ProfileError::History(error) => error.into(),
        }
    }
}

impl From<LockError> for FatalError {
    fn from(error: LockError) -> Self {
        Self::History(error.into())
    }
}

impl FatalError {
    /// A worker could not be started, and the daemon cannot run without it.
    pub fn not_started(worker: &'static str, error: &std::io::Error) -> Self {
        Self::Worker(WorkerEnded { worker: worker.to_owned(), reason: error.to_string() })
    }

    /// The process exit code: [`EX_CONFIG`] for a bad configuration, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            FatalError::Config(_) => EX_CONFIG,
            _ => 1,
        }
    }
}
