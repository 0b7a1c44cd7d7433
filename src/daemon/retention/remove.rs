//! Deleting one file and no other: folder by folder from a configured one, through no link, and only what is still what the history
//! knows.
//!
//! openat2 could refuse links by itself, but Rocky Linux 8 has Linux 4.18, which is older.

use crate::crash_point;
use crate::intake::FileVersion;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::CStr;
use std::path::{Component, Path, PathBuf};

/// Which file it is, under whatever name: device and inode.
pub type FileId = (u64, u64);

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is gone now; so many bytes of its disk are free again.
    Deleted(u64),
    /// It was gone before.
    Missing,
    /// Another file stands under its name.
    Replaced,
    /// It is there and stays.
    Left(&'static str),
    /// The folder does not let us delete it.
    Refused(String),
}

/// Deletes files below one folder. Keeps the folder of the last file open, since the next is most often in the same.
pub struct Remover<'a> {
    root: &'a Path,
    /// Files that must stay, and folders whose files must.
    protected: &'a HashSet<FileId>,
    /// False: everything is looked at and nothing is deleted.
    delete: bool,
    open: Option<(PathBuf, OwnedFd)>,
    /// Folders from which files were deleted since the last sync, but for the open one.
    changed: Vec<OwnedFd>,
    open_is_changed: bool,
}

impl<'a> Remover<'a> {
    /// For files below `root`, which may itself be a link to a folder.
    pub fn new(root: &'a Path, protected: &'a HashSet<FileId>, delete: bool) -> Self {
        Self { root, protected, delete, open: None, changed: Vec::new(), open_is_changed: false }
    }

    /// Deletes `file`, if it is a regular file with one name and, where it is told, of just this version.
    pub fn remove(&mut self, file: &Path, version: Option<FileVersion>) -> Fate {
        let Some(name) = file.file_name() else { return Fate::Left("it has no name") };
        let (root, protected, delete) = (self.root, self.protected, self.delete);
        let folder = match self.folder(root, file.parent().unwrap_or(root)) {
            Ok(folder) => folder,
            Err(fate) => return fate,
        };
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return missing_in(folder),
            Err(error) => return Fate::Refused(error.to_string()),
        };
        if let Some(reason) = reason_to_leave(&stat, protected) {
            return Fate::Left(reason);
        }
        if version.is_some_and(|version| version != version_of(&stat)) {
            return Fate::Replaced;
        }
        let bytes = (stat.st_blocks as u64).saturating_mul(512);
        if !delete {
            return Fate::Deleted(bytes);
        }
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) => {
                self.open_is_changed = true;
                crash_point::reach("file_deleted");
                Fate::Deleted(bytes)
            }
            Err(Errno::NOENT) => Fate::Missing,
            Err(error) => Fate::Refused(error.to_string()),
        }
    }

    /// Makes what was deleted survive a power cut. A file system that has no such thing as syncing a folder does not need it.
    pub fn sync(mut self) {
        self.close();
        for folder in self.changed {
            let _ = rustix::fs::fsync(folder);
        }
    }

    fn close(&mut self) {
        if let Some((_, folder)) = self.open.take()
            && std::mem::take(&mut self.open_is_changed)
        {
            self.changed.push(folder);
        }
    }

    fn folder(&mut self, root: &Path, path: &Path) -> Result<&OwnedFd, Fate> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            self.close();
            let opened = open_below(root, path, self.protected)?;
            self.open = Some((path.to_owned(), opened));
        }
        self.open.as_ref().map(|(_, folder)| folder).ok_or(Fate::Left("its folder is not open"))
    }
}

fn open_below(root: &Path, path: &Path, protected: &HashSet<FileId>) -> Result<OwnedFd, Fate> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below = path.strip_prefix(root).map_err(|_| Fate::Left("it lies in no folder of the configuration"))?;
    let mut folder = match rustix::fs::open(root, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Err(Fate::Left("its drop folder or outputs.dir is not there")),
        Err(error) => return Err(Fate::Refused(error.to_string())),
    };
    may_enter(&folder, protected)?;
    for component in below.components() {
        let Component::Normal(name) = component else { return Err(Fate::Left("its path leads astray")) };
        folder = match openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(inner) => inner,
            Err(Errno::NOENT) => return Err(missing_in(&folder)),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Fate::Left("a link or a file stands in the place of its folder")),
            Err(error) => return Err(Fate::Refused(error.to_string())),
        };
        may_enter(&folder, protected)?;
    }
    Ok(folder)
}

fn may_enter(folder: &OwnedFd, protected: &HashSet<FileId>) -> Result<(), Fate> {
    match fstat(folder) {
        Ok(stat) if protected.contains(&id_of(&stat)) => Err(Fate::Left("its folder holds OK images")),
        Ok(_) => Ok(()),
        Err(error) => Err(Fate::Refused(error.to_string())),
    }
}

/// A folder with nothing in it may be where a share was mounted; what lies there then is not gone.
fn missing_in(folder: &OwnedFd) -> Fate {
    let is_entry = |name: &CStr| name != c"." && name != c"..";
    let entries = match Dir::read_from(folder) {
        Ok(entries) => entries,
        Err(error) => return Fate::Refused(error.to_string()),
    };
    if entries.into_iter().any(|entry| entry.is_ok_and(|entry| is_entry(entry.file_name()))) {
        Fate::Missing
    } else {
        Fate::Left("it is not there, but its folder is empty: perhaps a share is not mounted")
    }
}

fn reason_to_leave(stat: &Stat, protected: &HashSet<FileId>) -> Option<&'static str> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Some("it is no regular file");
    }
    if stat.st_nlink != 1 {
        return Some("it has another name elsewhere (a hard link)");
    }
    protected.contains(&id_of(stat)).then_some("it is an OK image or a reference")
}

/// Device and inode.
pub fn id_of(stat: &Stat) -> FileId {
    (stat.st_dev, stat.st_ino)
}

/// As the history has it of files that arrive.
fn version_of(stat: &Stat) -> FileVersion {
    let mtime_ns = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64);
    FileVersion { size: stat.st_size as u64, mtime_ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::file_version;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn fate(root: &Path, protected: &HashSet<FileId>, delete: bool, file: &str, version: Option<FileVersion>) -> Fate {
        let mut remover = Remover::new(root, protected, delete);
        let fate = remover.remove(&root.join(file), version);
        remover.sync();
        fate
    }

    #[test]
    fn a_file_goes_when_it_is_the_one_that_is_known_and_stays_in_every_other_case() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("drop");
        for sub in ["drop/day", "ok", "elsewhere", "drop/empty"] {
            std::fs::create_dir_all(folder.path().join(sub)).unwrap();
        }
        let write = |name: &str| std::fs::write(folder.path().join(name), "image").unwrap();
        let names = ["drop/a", "drop/day/b", "drop/linked", "drop/good", "ok/c", "elsewhere/d", "elsewhere/e"];
        names.into_iter().for_each(write);
        std::fs::hard_link(root.join("linked"), folder.path().join("elsewhere/linked")).unwrap();
        symlink(folder.path().join("elsewhere/d"), root.join("link")).unwrap();
        symlink(folder.path().join("elsewhere"), root.join("out")).unwrap();
        symlink(folder.path().join("ok"), root.join("oklink")).unwrap();
        let id = |name: &str| std::fs::metadata(folder.path().join(name)).map(|meta| (meta.dev(), meta.ino())).unwrap();
        let protected = HashSet::from([id("drop/good"), id("ok")]);
        let version = file_version(&root.join("a")).unwrap();
        let other = Some(FileVersion { size: 5, mtime_ns: 7 });
        let is_left = |fate: Fate, word: &str| assert!(matches!(&fate, Fate::Left(reason) if reason.contains(word)), "{word}: {fate:?}");

        assert_eq!(fate(&root, &protected, true, "a", other), Fate::Replaced);
        is_left(fate(&root, &protected, true, "linked", None), "hard link");
        is_left(fate(&root, &protected, true, "link", None), "regular");
        is_left(fate(&root, &protected, true, "day", None), "regular");
        is_left(fate(&root, &protected, true, "out/d", None), "a link");
        is_left(fate(&root, &protected, true, "oklink/c", None), "a link");
        is_left(fate(&root, &protected, true, "good", None), "reference");
        is_left(fate(&folder.path().join("ok"), &protected, true, "c", None), "OK images");
        is_left(fate(&root, &protected, true, "../elsewhere/e", None), "astray");
        is_left(fate(&root, &protected, true, "empty/f", None), "mounted");
        is_left(fate(&folder.path().join("none"), &protected, true, "f", None), "not there");
        is_left(Remover::new(&root, &protected, true).remove(&folder.path().join("elsewhere/e"), None), "configuration");
        assert_eq!(fate(&root, &protected, true, "day/none", None), Fate::Missing);
        assert_eq!(fate(&root, &protected, true, "none/x", None), Fate::Missing);
        assert!(matches!(fate(&root, &protected, false, "a", version), Fate::Deleted(_)), "only told");
        for name in names {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        assert!(matches!(fate(&root, &protected, true, "a", version), Fate::Deleted(bytes) if bytes > 0));
        assert!(matches!(fate(&root, &protected, true, "day/b", None), Fate::Deleted(_)));
        assert!(!root.join("a").exists() && !root.join("day/b").exists());
        assert_eq!(fate(&root, &protected, true, "a", version), Fate::Missing);
    }
}
