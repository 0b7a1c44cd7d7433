//! The contents of a file that may be known already.

use super::scan::{FileId, file_id_of, version_of};
use super::settle::FileVersion;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::path::Path;

/// How often to read a file whose time changes again and again.
const READINGS: usize = 3;

/// One state of a file and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Size and time, the same before and after the reading.
    pub version: FileVersion,
    /// Device and inode.
    pub id: Option<FileId>,
    /// BLAKE3, hexadecimal.
    pub hash: String,
}

/// Reads the file (no link) to its end. On a hung share this may never return.
///
/// # Errors
/// When the file cannot be read, is not a regular file, or does not stop changing.
pub fn content_of(path: &Path) -> io::Result<Content> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for _ in 0..READINGS {
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&file)?;
        let version = version_of(&meta);
        if version_of(&file.metadata()?) == version {
            return Ok(Content { version, id: file_id_of(&meta), hash: hasher.finalize().to_hex().to_string() });
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}
