//! The truth about a drop folder: what is in it now.

use super::settle::FileVersion;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The state of `path` if it is a regular file; links are not followed.
///
/// # Errors
/// What `lstat` says, but "not found" is `Ok(None)`.
pub fn file_version(path: &Path) -> io::Result<Option<FileVersion>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(version_of(&meta))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Size and modification time.
pub fn version_of(meta: &std::fs::Metadata) -> FileVersion {
    FileVersion { size: meta.len(), mtime_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()) }
}

/// Device and inode of a folder: they change when it is replaced, unmounted or mounted over.
pub fn folder_identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() { Ok((meta.dev(), meta.ino())) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
}

/// Calls `found` for every regular file under `root`; hidden folders are left out, links are not followed.
///
/// # Errors
/// When `root` cannot be listed. A sub-folder that goes away or cannot be read in between is given to `skipped`.
pub fn walk(
    root: &Path,
    recursive: bool,
    mut found: impl FnMut(PathBuf, FileVersion),
    mut skipped: impl FnMut(&Path, io::Error),
) -> io::Result<()> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(error),
            Err(error) => {
                skipped(&folder, error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if folder == root => return Err(error),
                Err(error) => {
                    skipped(&folder, error);
                    break;
                }
            };
            // The file may be gone since it was listed; then there is nothing to tell of it.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                if recursive && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    folders.push(entry.path());
                }
            } else if meta.is_file() {
                found(entry.path(), version_of(&meta));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_sub_folders_only_when_asked_and_follows_no_link() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::create_dir(root.path().join(".hidden")).unwrap();
        for name in ["1.jpg", "a/2.jpg", "a/b/3.jpg", ".hidden/4.jpg"] {
            std::fs::write(root.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(root.path().join("1.jpg"), root.path().join("link.jpg")).unwrap();
        for (recursive, expected) in [(true, 3), (false, 1)] {
            let mut names = Vec::new();
            walk(root.path(), recursive, |path, _| names.push(path), |_, e| panic!("{e}")).unwrap();
            assert_eq!(names.len(), expected, "{names:?}");
        }
        assert!(walk(&root.path().join("none"), true, |_, _| (), |_, _| ()).is_err());
        assert_eq!(file_version(&root.path().join("link.jpg")).unwrap(), None);
    }
}
