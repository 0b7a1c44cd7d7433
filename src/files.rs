//! Files that appear whole or not at all: temporary name in the same folder, sync, rename, sync the folder.
//!
//! Temporary names start with [`crate::inspection::TEMPORARY_PREFIX`], so no watcher takes them for images, and go on with a word of
//! this process, so that what a killed one left behind can be told from what is being written.

use crate::crash_point;
use crate::inspection::TEMPORARY_PREFIX;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;
use tempfile::NamedTempFile;

/// How the temporary names of this process start.
static OWN_PREFIX: LazyLock<String> = LazyLock::new(|| format!("{TEMPORARY_PREFIX}{:016x}-", RandomState::new().hash_one(0)));

/// A temporary file in `folder`, removed when dropped, with the mode that the process's umask leaves of 0666.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(OWN_PREFIX.as_str())
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
}

/// Removes the temporary files and links in `folder` that other processes have left; they are taken for dead.
pub fn remove_litter(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if is(TEMPORARY_PREFIX) && !is(&OWN_PREFIX) && !entry.file_type()?.is_dir() {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Writes `path` through `fill`; after an error or a crash the old file (or none) is still there.
pub fn replace<E: From<io::Error>>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>) -> Result<(), E> {
    let folder = parent(path);
    let (file, name) = temporary(folder)?.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|e| e.into_error())?;
    file.sync_all()?;
    crash_point::reach("file_written");
    name.persist(path).map_err(|e| e.error)?;
    crash_point::reach("file_renamed");
    sync_folder(folder)?;
    Ok(())
}

/// [`replace`] with the bytes at hand.
pub fn replace_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |w| w.write_all(bytes))
}

/// Makes `link` a symbolic link to `target`, replacing what was there in one step.
pub fn replace_symlink(target: &Path, link: &Path) -> io::Result<()> {
    let folder = parent(link);
    let name = tempfile::Builder::new().prefix(OWN_PREFIX.as_str()).make_in(folder, |path| std::os::unix::fs::symlink(target, path))?;
    crash_point::reach("link_made");
    name.into_temp_path().persist(link).map_err(|e| e.error)?;
    crash_point::reach("link_swapped");
    sync_folder(folder)
}

/// Makes names created, renamed or removed in `folder` survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace_bytes(&path, b"old").unwrap();
        let failed = replace(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let own = temporary(folder.path()).unwrap();
        for name in [".patchcored-0123456789abcdef-x", ".patchcored-old", ".hidden", "a.png"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", folder.path().join(".patchcored-link")).unwrap();
        std::fs::create_dir(folder.path().join(".patchcored-dir")).unwrap();
        remove_litter(folder.path()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = vec![".hidden".into(), ".patchcored-dir".into(), "a.png".into(), own.path().file_name().unwrap().to_owned()];
        expected.sort();
        assert_eq!(left, expected);
        assert!(remove_litter(&folder.path().join("gone")).is_err());
    }

    #[test]
    fn a_symlink_is_swapped() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        for target in ["000001", "000002"] {
            replace_symlink(Path::new(target), &link).unwrap();
            assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
