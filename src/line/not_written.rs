//! What happens to an image whose outputs cannot be written. One rule for every error, ordered by how many images it affects:
//!
//! - a full disk or a used-up quota: `disk_full`;
//! - a path that the system never accepts: the image fails with `name_too_long`;
//! - something else stands in the place of this output, or of its folder: the image waits with `not_writable`, and the others continue;
//! - any other error (no rights, a read-only or failing disk, a stale share) affects every image of the folder: `not_writable`.
//!
//! An error that affects every image of a folder is an event at once. The daemon leaves the folder alone for some seconds, to save time,
//! and tries again for as long as it takes. An image that waits for a minute is the event `waiting`, see [`crate::line::waits`].

use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::domain::WriteTrouble;
use crate::imaging::ImageError;
use crate::inspect::OutputPaths;
use crate::telemetry::{Event, Telemetry};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What to do with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The image fails.
    Fail,
    /// The image waits; the obstacle concerns this image alone.
    Wait,
    /// The image waits, and so do the others of its folder.
    WaitAll(WriteTrouble),
}

/// The rule for an error.
pub fn remedy(error: &io::Error) -> Remedy {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Remedy::WaitAll(WriteTrouble::DiskFull),
        ErrorKind::InvalidFilename => Remedy::Fail,
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => Remedy::Wait,
        _ => Remedy::WaitAll(WriteTrouble::NotWritable),
    }
}

/// Outputs of an image could not be written; `root` is its drop folder or `outputs.dir`. True when another try may help.
pub(super) async fn not_written(
    telemetry: &Telemetry,
    product: &ProductConfig,
    root: &Path,
    paths: &OutputPaths,
    error: &ImageError,
) -> bool {
    let ImageError::Write { source, .. } = error else { return true };
    let trouble = match remedy(source) {
        Remedy::Fail => return false,
        Remedy::Wait => return true,
        Remedy::WaitAll(trouble) => trouble,
    };
    let folder = at_fault(product, root, paths, source);
    if telemetry.folders.refused(&folder, trouble) {
        let detail = format!("{}: outputs cannot be written: {source}; images wait and are inspected when they can", folder.display());
        telemetry.events.tell(Event::new(EventKind::of_write_trouble(trouble).0, detail).at(folder.as_path())).await;
    }
    true
}

/// The folder at fault: rights differ by folder, and its siblings may well be writable.
fn at_fault(product: &ProductConfig, root: &Path, paths: &OutputPaths, error: &io::Error) -> PathBuf {
    let own = paths.folder().filter(|_| product.outputs.dir.is_none() && error.kind() == ErrorKind::PermissionDenied);
    own.unwrap_or(root).to_owned()
}

/// Outputs of an image were written.
pub(super) async fn written(telemetry: &Telemetry, root: &Path, paths: &OutputPaths) {
    for folder in [Some(root), paths.folder().filter(|own| *own != root)].into_iter().flatten() {
        if let Some(trouble) = telemetry.folders.accepted(folder) {
            let detail = format!("{}: outputs are written again", folder.display());
            telemetry.events.tell(Event::new(EventKind::of_write_trouble(trouble).1, detail).at(folder)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::files;
    use rustix::io::Errno;

    #[test]
    fn every_error_has_its_remedy() {
        let all = Remedy::WaitAll(WriteTrouble::NotWritable);
        for (errno, expected) in [
            (Errno::NOSPC, Remedy::WaitAll(WriteTrouble::DiskFull)),
            (Errno::DQUOT, Remedy::WaitAll(WriteTrouble::DiskFull)),
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
