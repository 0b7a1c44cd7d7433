//! How much of a disk is free.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Which file system it is.
    pub disk: u64,
    /// Bytes that are free for this user.
    pub free: u64,
    /// Its size.
    pub total: u64,
}

/// The disk that `folder` is on; `None` when it is not there or does not tell.
pub fn space_of(folder: &Path) -> Option<Space> {
    let disk = std::fs::metadata(folder).ok()?.dev();
    let space = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Some(Space { disk, free: bytes(space.f_bavail), total: bytes(space.f_blocks) })
}
