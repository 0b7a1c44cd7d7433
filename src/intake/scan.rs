//! Scans a drop folder: the files that are in it now.

use super::settle::FileVersion;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Size and time of `path` if it is a regular file. Links are not followed.
///
/// # Errors
/// The error of `lstat`, but "not found" is `Ok(None)`.
pub fn file_version(path: &Path) -> io::Result<Option<FileVersion>> {
    Ok(file_state(path)?.map(|(version, _)| version))
}

/// [`file_version`], with device and inode.
///
/// # Errors
/// As [`file_version`].
pub fn file_state(path: &Path) -> io::Result<Option<(FileVersion, Option<FileId>)>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some((version_of(&meta), file_id_of(&meta)))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Size and modification time.
pub fn version_of(meta: &std::fs::Metadata) -> FileVersion {
    FileVersion { size: meta.len(), mtime_ns: crate::platform::files::mtime_ns(meta) }
}

/// Device and inode. A share may change the number after a while, and every file system gives the number of a removed file to a new one.
pub type FileId = (u64, u64);

/// `None` where the file system gives no numbers.
pub fn file_id_of(meta: &std::fs::Metadata) -> Option<FileId> {
    (meta.ino() != 0).then(|| (meta.dev(), meta.ino()))
}

/// Device and inode of a folder. They change when it is replaced, unmounted or mounted over.
pub type FolderId = (u64, u64);

/// The present state of a drop folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootState {
    /// Device and inode.
    pub id: FolderId,
    /// Whether a file system is mounted on it.
    pub is_mount: bool,
}

/// Looks at the drop folder itself, which may be a link to a folder.
///
/// # Errors
/// When it does not exist, does not answer, or is not a folder.
pub fn root_state(root: &Path) -> io::Result<RootState> {
    let meta = std::fs::metadata(root)?;
    if !meta.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let above = std::fs::metadata(root.join(".."))?;
    Ok(RootState { id: (meta.dev(), meta.ino()), is_mount: meta.dev() != above.dev() })
}

/// The folder at `path`; `None` when there is none. Links are not followed.
pub fn folder_id(path: &Path) -> Option<FolderId> {
    std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_dir).map(|meta| (meta.dev(), meta.ino()))
}

/// Gets everything that [`walk`] finds.
pub trait Visitor {
    /// True when the walk enters this sub-folder.
    fn enters(&self, folder: &Path) -> bool;
    /// A folder, before the walk lists it: a watch set now reports every file that the listing misses.
    fn folder(&mut self, folder: &Path, id: FolderId);
    /// A regular file.
    fn file(&mut self, path: PathBuf, version: FileVersion);
    /// A sub-folder that cannot be read, or that vanished meanwhile.
    fn unread(&mut self, folder: &Path, error: io::Error);
}

/// Lists `root` and the folders that the visitor enters. Links are not followed.
///
/// # Errors
/// When `root` cannot be listed.
pub fn walk(root: &Path, id: FolderId, recursive: bool, visitor: &mut impl Visitor) -> io::Result<()> {
    let mut folders = vec![(root.to_owned(), id)];
    while let Some((folder, id)) = folders.pop() {
        visitor.folder(&folder, id);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(error),
            Err(error) => {
                visitor.unread(&folder, error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if folder == root => return Err(error),
                Err(error) => {
                    visitor.unread(&folder, error);
                    break;
                }
            };
            // The file may have vanished after the listing; then there is nothing to report.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                let path = entry.path();
                if recursive && visitor.enters(&path) {
                    folders.push((path, (meta.dev(), meta.ino())));
                }
            } else if meta.is_file() {
                visitor.file(entry.path(), version_of(&meta));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files and folders that the walk found.
    #[derive(Default)]
    struct Met(Vec<PathBuf>, Vec<PathBuf>);

    impl Visitor for Met {
        fn enters(&self, folder: &Path) -> bool {
            !crate::domain::is_left_out(folder.file_name().unwrap())
        }
        fn folder(&mut self, folder: &Path, id: FolderId) {
            assert!(folder_id(folder).is_none_or(|found| found == id));
            self.1.push(folder.to_owned());
        }
        fn file(&mut self, path: PathBuf, _: FileVersion) {
            self.0.push(path);
        }
        fn unread(&mut self, folder: &Path, error: io::Error) {
            panic!("{}: {error}", folder.display());
        }
    }

    #[test]
    fn walks_sub_folders_only_when_asked_and_follows_no_link() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        for folder in [".hidden", "@eaDir"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        for name in ["1.jpg", "a/2.jpg", "a/b/3.jpg", ".hidden/4.jpg", "@eaDir/5.jpg"] {
            std::fs::write(root.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(root.path().join("1.jpg"), root.path().join("link.jpg")).unwrap();
        std::os::unix::fs::symlink(root.path().join("a"), root.path().join("link")).unwrap();
        let id = folder_id(root.path()).unwrap();
        for (recursive, files, folders) in [(true, 3, 3), (false, 1, 1)] {
            let mut met = Met::default();
            walk(root.path(), id, recursive, &mut met).unwrap();
            assert_eq!((met.0.len(), met.1.len()), (files, folders), "{:?} {:?}", met.0, met.1);
        }
        assert_eq!(folder_id(&root.path().join("link")), None);
        assert!(walk(&root.path().join("link.jpg"), id, true, &mut Met::default()).is_err());
        assert_eq!(file_version(&root.path().join("link.jpg")).unwrap(), None);
    }
}
