//! The connections of the walk through old files: what it asks others, and what it reports.

use super::disks::Shortage;
use crate::inspect::OutputClaims;
use crate::platform::clock::LineClock;
use crate::platform::leftovers::Leftovers;
use std::path::PathBuf;
use std::sync::Arc;

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Nothing,
    /// It passed images that had nothing to delete.
    Passed,
    /// It deleted files, or would have deleted them.
    Deleted,
}

/// Other parts that know the files.
#[derive(Clone)]
pub struct Witnesses {
    /// Knows the age of a row.
    pub clock: Arc<LineClock>,
    /// Knows which outputs are being written.
    pub claims: Arc<OutputClaims>,
    /// Knows where the daemon has cleaned up after a dead one.
    pub leftovers: Arc<Leftovers>,
}

/// News besides deletions.
#[derive(Debug)]
pub enum News {
    /// A folder does not answer.
    Stuck(PathBuf),
    /// It answers again.
    Answers(PathBuf),
    /// Files of a folder cannot be deleted: which, and why.
    Refused(PathBuf, String),
    /// There is nothing more to delete, and still too little space.
    Short(Shortage),
    /// The disk of this folder has enough space again.
    Enough(PathBuf),
}
