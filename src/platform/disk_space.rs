//! The space on the disk of a folder.

use rustix::io::Errno;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Which file system it is.
    pub disk: u64,
    /// Bytes that are free for this user.
    pub free: u64,
    /// Its size, bytes.
    pub total: u64,
}

/// The disk that `folder` is on. The folder may not answer: see [`super::folder_io`].
///
/// # Errors
/// When the folder is not there, or its file system gives no answer.
pub fn disk_space(folder: &Path) -> std::io::Result<DiskSpace> {
    let disk = std::fs::metadata(folder)?.dev();
    let space = rustix::fs::statvfs(folder).map_err(|error: Errno| std::io::Error::from(error))?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Ok(DiskSpace { disk, free: bytes(space.f_bavail), total: bytes(space.f_blocks) })
}
