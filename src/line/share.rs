//! Finds out whether the share is at fault and not the image.

use crate::imaging::ImageError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// True when the folder is a mount point: its file system differs from that of its parent.
pub(super) fn is_mount(folder: &Path) -> io::Result<bool> {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev());
    Ok(device(folder)? != device(folder.parent().unwrap_or(folder))?)
}

/// Why the image cannot be read when the image is not at fault: its drop folder is gone, or the share or disk below it fails. Such an
/// image waits, however long.
pub(super) fn share_trouble(error: &ImageError, folder: &Path, is_mount: io::Result<bool>, was_mount: bool) -> Option<String> {
    use rustix::io::Errno;
    let ImageError::Read { source, .. } = error else { return None };
    match is_mount {
        Err(error) => return Some(format!("its drop folder {} cannot be read: {error}", folder.display())),
        Ok(false) if was_mount && source.kind() == io::ErrorKind::NotFound => {
            return Some(format!("nothing is mounted on its drop folder {} any more; mount the share again", folder.display()));
        }
        Ok(_) => {}
    }
    let code = Errno::from_io_error(source)?;
    let share = [Errno::IO, Errno::STALE, Errno::NOTCONN, Errno::HOSTDOWN, Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::NXIO, Errno::NODEV];
    share.contains(&code).then(|| format!("cannot be read: {source}; check the share or the disk"))
}
