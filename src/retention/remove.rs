//! Deletes exactly one file: goes folder by folder from a configured one, follows no link, and deletes only a file that still is as the
//! history knows it.
//!
//! openat2 could refuse links by itself, but Rocky Linux 8 has Linux 4.18, which is older.

use crate::intake::FileVersion;
use crate::platform::crash_point;
use crate::platform::files::temporary_name;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, StatxFlags, fstat, openat, renameat, renameat_with, statat, statx, unlinkat,
};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::path::{Component, Path, PathBuf};

/// Device and inode, the same under every name.
pub type FileId = (u64, u64);

/// Two times that differ by no more than this are equal: file systems of cameras' cards count in steps of two seconds.
const COARSE_NS: i64 = 2_000_000_000;

/// The file that is expected.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// Exactly this version of it.
    Version(FileVersion),
    /// A file that was not modified after this time, ns since 1970, by the clock of its file system.
    NotLater(i64),
}

/// The outcome for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is gone now, and this many bytes of its disk are free again.
    Deleted(u64),
    /// It was gone before.
    Missing,
    /// Another file has its name.
    Replaced,
    /// It is missing, and its folder is empty: perhaps a share is not mounted.
    InEmptyFolder,
    /// It exists and stays.
    Left(&'static str),
    /// The folder refuses to delete it.
    Refused(String),
}

/// Deletes files below one folder. Keeps the folder of the last file open, because the next file is usually in the same one.
pub struct Remover<'a> {
    root: &'a Path,
    /// Files that must stay, and folders whose files must stay.
    protected: &'a HashSet<FileId>,
    /// False: look at everything, delete nothing.
    delete: bool,
    open: Option<(PathBuf, OwnedFd)>,
    /// Folders, except the open one, in which files were deleted since the last sync.
    changed: Vec<OwnedFd>,
    open_is_changed: bool,
}

impl<'a> Remover<'a> {
    /// For files below `root`, which may itself be a link to a folder.
    pub fn new(root: &'a Path, protected: &'a HashSet<FileId>, delete: bool) -> Self {
        Self { root, protected, delete, open: None, changed: Vec::new(), open_is_changed: false }
    }

    /// Deletes `file` if it is a regular file with one name and is the expected one. It existed at `decided_ns`, ns since 1970.
    pub fn remove(&mut self, file: &Path, expected: Expected, decided_ns: i64) -> Fate {
        let Some(name) = file.file_name() else { return Fate::Left("it has no name") };
        let (root, protected, delete) = (self.root, self.protected, self.delete);
        let folder = match self.folder(root, file.parent().unwrap_or(root), decided_ns) {
            Ok(folder) => folder,
            Err(fate) => return fate,
        };
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return missing_in(folder, root != file.parent().unwrap_or(root), decided_ns),
            Err(error) => return Fate::Refused(error.to_string()),
        };
        if let Some(reason) = reason_to_leave(&stat, protected) {
            return Fate::Left(reason);
        }
        if !is_expected(&stat, expected) {
            return Fate::Replaced;
        }
        let bytes = (stat.st_blocks as u64).saturating_mul(512);
        if !delete {
            return Fate::Deleted(bytes);
        }
        let deleted = match expected {
            // A camera may write the name again at any moment, and nobody has inspected that new file.
            Expected::Version(_) => match set_aside(folder, name, expected) {
                Ok(aside) => unlinkat(folder, aside.as_str(), AtFlags::empty()),
                Err(fate) => return fate,
            },
            Expected::NotLater(_) => unlinkat(folder, name, AtFlags::empty()),
        };
        match deleted {
            Ok(()) => {
                self.open_is_changed = true;
                crash_point::reach("file_deleted");
                Fate::Deleted(bytes)
            }
            Err(Errno::NOENT) => Fate::Missing,
            Err(error) => Fate::Refused(error.to_string()),
        }
    }

    /// Makes the deletions survive a power cut. A file system that cannot sync folders does not need it.
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

    fn folder(&mut self, root: &Path, path: &Path, decided_ns: i64) -> Result<&OwnedFd, Fate> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            self.close();
            let opened = open_below(root, path, self.protected, decided_ns)?;
            self.open = Some((path.to_owned(), opened));
        }
        self.open.as_ref().map(|(_, folder)| folder).ok_or(Fate::Left("its folder is not open"))
    }
}

fn open_below(root: &Path, path: &Path, protected: &HashSet<FileId>, decided_ns: i64) -> Result<OwnedFd, Fate> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below = path.strip_prefix(root).map_err(|_| Fate::Left("it lies in no folder of the configuration"))?;
    let mut folder = match rustix::fs::open(root, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Err(Fate::Left("its drop folder or outputs.dir is not there")),
        Err(error) => return Err(Fate::Refused(error.to_string())),
    };
    may_enter(&folder, protected)?;
    let mut inner_most = root;
    for component in below.components() {
        let Component::Normal(name) = component else { return Err(Fate::Left("its path leads astray")) };
        folder = match openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(inner) => inner,
            Err(Errno::NOENT) => return Err(missing_in(&folder, inner_most != root, decided_ns)),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Fate::Left("a link or a file stands in the place of its folder")),
            Err(error) => return Err(Fate::Refused(error.to_string())),
        };
        may_enter(&folder, protected)?;
        inner_most = path;
    }
    Ok(folder)
}

/// Moves the file away from its writers and checks again that it is the expected one. Another file is put back.
fn set_aside(folder: &OwnedFd, name: &OsStr, expected: Expected) -> Result<String, Fate> {
    let aside = temporary_name();
    match renameat(folder, name, folder, aside.as_str()) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(Fate::Missing),
        Err(error) => return Err(Fate::Refused(error.to_string())),
    }
    crash_point::reach("file_set_aside");
    match statat(folder, aside.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_expected(&stat, expected) => return Ok(aside),
        _ => {}
    }
    // Some file systems cannot rename without replacing. There, only a file written in this very moment is replaced.
    let back = match renameat_with(folder, aside.as_str(), folder, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => renameat(folder, aside.as_str(), folder, name),
        other => other,
    };
    Err(match back {
        Ok(()) => Fate::Replaced,
        Err(error) => Fate::Refused(format!("it was written again just now, lies there as {aside}, and cannot be put back: {error}")),
    })
}

fn may_enter(folder: &OwnedFd, protected: &HashSet<FileId>) -> Result<(), Fate> {
    match fstat(folder) {
        Ok(stat) if protected.contains(&id_of(&stat)) => Err(Fate::Left("its folder holds OK images")),
        Ok(_) => Ok(()),
        Err(error) => Err(Fate::Refused(error.to_string())),
    }
}

/// An empty folder may be the mount point of a share; its files are then not gone. But if a folder below the configured one was made before
/// the file and changed after it, the file was in this folder.
fn missing_in(folder: &OwnedFd, is_below: bool, decided_ns: i64) -> Fate {
    let is_entry = |name: &CStr| name != c"." && name != c"..";
    let entries = match Dir::read_from(folder) {
        Ok(entries) => entries,
        Err(error) => return Fate::Refused(error.to_string()),
    };
    let holds_others = entries.into_iter().any(|entry| entry.is_ok_and(|entry| is_entry(entry.file_name())));
    if holds_others || is_below && was_emptied(folder, decided_ns) { Fate::Missing } else { Fate::InEmptyFolder }
}

/// True when the folder existed before this time, and an entry came or went after it.
fn was_emptied(folder: &OwnedFd, decided_ns: i64) -> bool {
    let wanted = StatxFlags::BTIME | StatxFlags::MTIME;
    // Some kernels and file systems do not know when a folder was made; they say so, or leave it out.
    let Ok(seen) = statx(folder, c"", AtFlags::EMPTY_PATH, wanted) else { return false };
    let ns = |seconds: i64, nanoseconds: u32| seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanoseconds));
    let (made, changed) = (ns(seen.stx_btime.tv_sec, seen.stx_btime.tv_nsec), ns(seen.stx_mtime.tv_sec, seen.stx_mtime.tv_nsec));
    seen.stx_mask & wanted.bits() == wanted.bits() && made <= decided_ns && decided_ns < changed
}

fn is_expected(stat: &Stat, expected: Expected) -> bool {
    let version = version_of(stat);
    match expected {
        Expected::Version(expected) => version == expected,
        Expected::NotLater(time) => version.mtime_ns <= time.saturating_add(COARSE_NS),
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

/// Size and time, as the history records them for arriving files.
fn version_of(stat: &Stat) -> FileVersion {
    let mtime_ns = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64);
    FileVersion { size: stat.st_size as u64, mtime_ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::file_version;
    use std::os::unix::fs::{MetadataExt, symlink};

    /// A decision before any test folder was made.
    const LONG_AGO: i64 = 0;

    fn fate(root: &Path, protected: &HashSet<FileId>, delete: bool, file: &str, version: Option<FileVersion>) -> Fate {
        let mut remover = Remover::new(root, protected, delete);
        let expected = version.map_or(Expected::NotLater(i64::MAX), Expected::Version);
        let fate = remover.remove(&root.join(file), expected, LONG_AGO);
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
        assert_eq!(fate(&root, &protected, true, "empty/f", None), Fate::InEmptyFolder);
        assert_eq!(fate(&root, &protected, true, "empty/deeper/f", None), Fate::InEmptyFolder);
        is_left(fate(&folder.path().join("none"), &protected, true, "f", None), "not there");
        let elsewhere = folder.path().join("elsewhere/e");
        is_left(Remover::new(&root, &protected, true).remove(&elsewhere, Expected::NotLater(i64::MAX), LONG_AGO), "configuration");
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

    #[test]
    fn an_image_that_was_written_again_in_the_last_moment_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("a");
        std::fs::write(&image, "fresh").unwrap();
        let open = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        let known = Expected::Version(FileVersion { size: 3, mtime_ns: 7 });
        assert_eq!(set_aside(&open, OsStr::new("a"), known), Err(Fate::Replaced));
        assert_eq!(std::fs::read(&image).unwrap(), b"fresh");
        assert_eq!(set_aside(&open, OsStr::new("none"), known), Err(Fate::Missing));
        let version = file_version(&image).unwrap().unwrap();
        let aside = set_aside(&open, OsStr::new("a"), Expected::Version(version)).unwrap();
        assert!(!image.exists() && folder.path().join(aside).exists());
    }

    #[test]
    fn an_output_that_was_written_later_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.mask.png"), "mask").unwrap();
        let written = file_version(&folder.path().join("a.mask.png")).unwrap().unwrap().mtime_ns;
        let protected = HashSet::new();
        let mut remover = Remover::new(folder.path(), &protected, true);
        let file = folder.path().join("a.mask.png");
        assert_eq!(remover.remove(&file, Expected::NotLater(written - COARSE_NS - 1), LONG_AGO), Fate::Replaced);
        assert!(matches!(remover.remove(&file, Expected::NotLater(written - COARSE_NS), LONG_AGO), Fate::Deleted(_)));
    }

    #[test]
    fn a_folder_that_was_emptied_is_told_from_one_on_which_nothing_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let now = || i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
        let (before, day) = (now(), folder.path().join("day"));
        std::fs::create_dir(&day).unwrap();
        std::fs::write(day.join("a"), "image").unwrap();
        let changed =
            |path: &Path| std::fs::metadata(path).unwrap().mtime_nsec() + std::fs::metadata(path).unwrap().mtime() * 1_000_000_000;
        // File times have steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let decided = now();
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::remove_file(day.join("a")).unwrap();
        let protected = HashSet::new();
        let fate = |path: &Path, decided| Remover::new(folder.path(), &protected, true).remove(path, Expected::NotLater(i64::MAX), decided);
        if statx(std::fs::File::open(&day).unwrap(), c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME)
            .is_ok_and(|seen| seen.stx_mask & StatxFlags::BTIME.bits() != 0)
        {
            assert_eq!(fate(&day.join("a"), decided), Fate::Missing);
        }
        assert_eq!(fate(&day.join("a"), before - 1_000_000_000), Fate::InEmptyFolder, "made after the image was decided");
        assert_eq!(fate(&day.join("a"), changed(&day)), Fate::InEmptyFolder, "not changed since");
        std::fs::remove_dir(&day).unwrap();
        assert_eq!(fate(&folder.path().join("a"), decided), Fate::InEmptyFolder, "never of the configured folder itself");
    }
}
