//! What becomes of an image whose outputs cannot be written. One rule for every error, in the order of how many images it meets:
//!
//! - a full disk or a used-up quota: `disk_full`;
//! - a path that the system does not take, however often it is tried: the image fails with `name_too_long`;
//! - something that stands where this output, or its folder, is to be: the image waits with `not_writable`, and the others go on;
//! - anything else (no rights, a read-only or failing disk, a stale share) meets every image of the folder: `not_writable`.
//!
//! A folder that meets every image is an event at once; it is left alone for some seconds, so that its images do not cost time in vain,
//! and tried again for as long as it takes. Whatever waits for a minute is the event `waiting`, see [`super::waiting`].

use super::Line;
use super::outputs::OutputPaths;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::error::ImageError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is to be done with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It fails.
    Fail,
    /// It waits, as something stands in its way alone.
    Wait,
    /// It waits, and so do the others of its folder; the event for it.
    WaitAll(EventKind),
}

/// The rule.
pub fn remedy(error: &io::Error) -> Remedy {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Remedy::WaitAll(EventKind::DiskFull),
        ErrorKind::InvalidFilename => Remedy::Fail,
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => Remedy::Wait,
        _ => Remedy::WaitAll(EventKind::NotWritable),
    }
}

/// Outputs of an image could not be written; `root` is its drop folder or `outputs.dir`. True when trying again may help.
pub(super) async fn not_written(line: &Line, product: &ProductConfig, root: &Path, paths: &OutputPaths, error: &ImageError) -> bool {
    let ImageError::Write { source, .. } = error else { return true };
    let kind = match remedy(source) {
        Remedy::Fail => return false,
        Remedy::Wait => return true,
        Remedy::WaitAll(kind) => kind,
    };
    let folder = at_fault(product, root, paths, source);
    if line.places.refused(&folder, kind) {
        let detail = format!("{}: outputs cannot be written: {source}; images wait and are inspected when they can", folder.display());
        line.event(kind, None, &detail).await;
    }
    true
}

/// Rights differ from folder to folder, and the sub-folders beside it may well be written.
fn at_fault(product: &ProductConfig, root: &Path, paths: &OutputPaths, error: &io::Error) -> PathBuf {
    let own = paths.folder().filter(|_| product.outputs.dir.is_none() && error.kind() == ErrorKind::PermissionDenied);
    own.unwrap_or(root).to_owned()
}

/// Outputs of an image were written.
pub(super) async fn written(line: &Line, root: &Path, paths: &OutputPaths) {
    for folder in [Some(root), paths.folder().filter(|own| *own != root)].into_iter().flatten() {
        if let Some(kind) = line.places.accepted(folder) {
            let over = if kind == EventKind::DiskFull { EventKind::DiskFullOver } else { EventKind::NotWritableOver };
            line.event(over, None, &format!("{}: outputs are written again", folder.display())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use rustix::io::Errno;

    #[test]
    fn every_error_has_its_remedy() {
        let all = Remedy::WaitAll(EventKind::NotWritable);
        for (errno, expected) in [
            (Errno::NOSPC, Remedy::WaitAll(EventKind::DiskFull)),
            (Errno::DQUOT, Remedy::WaitAll(EventKind::DiskFull)),
            (Errno::NAMETOOLONG, Remedy::Fail),
            (Errno::ISDIR, Remedy::Wait),
            (Errno::NOTDIR, Remedy::Wait),
            (Errno::NOTEMPTY, Remedy::Wait),
            (Errno::ACCESS, all),
            (Errno::PERM, all),
            (Errno::ROFS, all),
            (Errno::IO, all),
            (Errno::STALE, all),
            (Errno::NOENT, all),
        ] {
            assert_eq!(remedy(&errno.into()), expected, "{errno:?}");
        }
    }

    #[test]
    fn errors_of_real_files_keep_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mask.png");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(remedy(&files::replace_bytes(&path, b"x").unwrap_err()), Remedy::Wait);
        assert_eq!(remedy(&files::replace_bytes(&folder.path().join("n".repeat(300)), b"x").unwrap_err()), Remedy::Fail);
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(remedy(&files::replace_bytes(&folder.path().join("file/a.png"), b"x").unwrap_err()), Remedy::Wait);
        let mut deep = folder.path().to_owned();
        while deep.as_os_str().len() < 4200 {
            deep.push("d".repeat(200));
        }
        assert_eq!(remedy(&files::replace_bytes(&deep.join("a.png"), b"x").unwrap_err()), Remedy::Fail);
    }
}
