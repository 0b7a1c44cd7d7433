//! What the walk through old files has to do with the rest: what it asks, and what it tells.

use super::super::clock::LineClock;
use super::super::litter::Litter;
use super::super::writing::Writing;
use super::disks::Shortage;
use std::path::PathBuf;
use std::sync::Arc;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Nothing,
    /// It passed over images of which there was nothing to delete.
    Passed,
    /// It deleted files, or would have.
    Deleted,
}

/// Who else knows of the files.
#[derive(Clone)]
pub struct Witnesses {
    /// Tells how old a row is.
    pub clock: Arc<LineClock>,
    /// Tells which outputs are being written.
    pub writing: Arc<Writing>,
    /// Tells where a daemon that died has been cleared up after.
    pub litter: Arc<Litter>,
}

/// What happened besides deleting.
#[derive(Debug)]
pub enum News {
    /// A folder does not answer.
    Stuck(PathBuf),
    /// It does again.
    Answers(PathBuf),
    /// Files of a folder cannot be deleted; which, and why.
    Refused(PathBuf, String),
    /// There is nothing more to delete, and still too little space.
    Short(Shortage),
    /// There is enough again on the disk of this folder.
    Enough(PathBuf),
}
