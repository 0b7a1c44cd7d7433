//! Why a configuration file cannot be used.

use crate::yaml::problems::ConfigProblems;
use std::io;
use std::path::PathBuf;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {reason}; name the file with --config (config.yaml.example shows one)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// The file has bytes that are not text.
    #[error("the configuration {} is not UTF-8 text (at byte {at}); save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The number of valid bytes before the first wrong one.
        at: usize,
    },
    /// The folder of the file cannot be found.
    #[error("cannot resolve the path {}: {reason}", path.display())]
    Resolve {
        /// The file as it was named.
        path: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// The text has problems. The message has a first line with the file and the number of problems, then one line per problem.
    #[error("the configuration {} has {} {}:\n{problems}", path.display(), problems.0.len(), if problems.0.len() == 1 { "problem" } else { "problems" })]
    Problems {
        /// The file.
        path: PathBuf,
        /// All problems.
        problems: ConfigProblems,
    },
}
