//! The folder that backups are put into, and the name of each.

use super::error::BackupError;
use super::manifest::MANIFEST;
use crate::config::Config;
use crate::domain::TEMPORARY_PREFIX;
use crate::platform::disk_space::disk_space;
use crate::platform::files;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The start of the name of a backup.
const NAME: &str = "patchcored-";
/// The start of its name while it is being written, after [`TEMPORARY_PREFIX`].
const UNFINISHED: &str = "backup-";
/// Room that is left on the disk, besides the files.
const SPARE: u64 = 4 << 20;

/// A time as part of a name: `20261130T142500Z`.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn unusable(folder: &Path, why: impl Into<String>) -> BackupError {
    BackupError::Folder { folder: folder.to_owned(), why: why.into() }
}

/// Checks that backups may lie in this folder; returns it as an absolute path.
pub(super) fn check_folder(folder: &Path, config: &Config) -> Result<PathBuf, BackupError> {
    let whole = match std::fs::canonicalize(folder) {
        Ok(whole) if whole.is_dir() => whole,
        Ok(_) => return Err(unusable(folder, "is no folder; name a folder for backups")),
        Err(error) => return Err(unusable(folder, format!("cannot be used: {error}; make the folder, or name one that is there"))),
    };
    for product in &config.products {
        for drop in &product.drop {
            if std::fs::canonicalize(&drop.path).is_ok_and(|drop| whole.starts_with(drop)) {
                let drop = drop.path.display();
                return Err(unusable(folder, format!("lies in {drop}, a drop folder of {}; name a folder outside of it", product.name)));
            }
        }
    }
    Ok(whole)
}

/// Checks that so many bytes fit on the disk of the folder.
pub(super) fn check_room(folder: &Path, bytes: u64) -> Result<(), BackupError> {
    let free = disk_space(folder).map_err(|error| unusable(folder, format!("its disk cannot be asked for its free space: {error}")))?.free;
    let needed = bytes.saturating_add(SPARE);
    if free < needed {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let why = format!(
            "its disk has {} MiB free, and the backup needs {} MiB; remove old backups, or name a folder on another disk",
            free >> 20,
            mib(needed)
        );
        return Err(unusable(folder, why));
    }
    Ok(())
}

/// A backup that is being written. Its files go when it is dropped.
#[derive(Debug)]
pub(super) struct UnfinishedBackup {
    folder: tempfile::TempDir,
    /// Locked as long as the process lives, so that others can tell it from what a killed one left.
    _lock: File,
}

impl UnfinishedBackup {
    /// A new folder in `place`. What killed backups left there is removed.
    pub(super) fn begin(place: &Path) -> Result<Self, BackupError> {
        let write = |error| BackupError::Write { file: place.to_owned(), error };
        remove_unfinished(place);
        let prefix = format!("{TEMPORARY_PREFIX}{UNFINISHED}");
        let all: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        let folder = tempfile::Builder::new().prefix(&prefix).permissions(all).tempdir_in(place).map_err(write)?;
        let lock = File::open(folder.path()).map_err(write)?;
        // A share may have no locks; then its owner removes what is left.
        let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { folder, _lock: lock })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it its name; returns the folder.
    pub(super) fn finish(self, place: &Path, at: Timestamp) -> Result<PathBuf, BackupError> {
        let name = format!("{NAME}{}", stamp(at));
        let free = |name: &String| !place.join(name).exists();
        let names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}-{number}")));
        let target = place.join(names.into_iter().find(free).unwrap_or(name));
        let write = |error| BackupError::Write { file: target.clone(), error };
        std::fs::rename(self.folder.path(), &target).map_err(write)?;
        let _ = self.folder.keep();
        files::sync_folder(place).map_err(write)?;
        Ok(target)
    }
}

fn remove_unfinished(place: &Path) {
    let prefix = format!("{TEMPORARY_PREFIX}{UNFINISHED}");
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
            && let Ok(folder) = File::open(entry.path())
            && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Checks that this is the folder of a backup, and not the one that holds backups.
pub(super) fn check_backup(folder: &Path) -> Result<(), BackupError> {
    if folder.join(MANIFEST).is_file() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| BackupError::Read { file: folder.to_owned(), error })?;
    let is_backup = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(NAME.as_bytes())) && path.join(MANIFEST).is_file()
    };
    let newest = entries.flatten().map(|entry| entry.path()).filter(is_backup).max();
    let why = match newest {
        Some(newest) => format!("is no backup, but holds backups; name one of them; the newest is {}", newest.display()),
        None => format!("is no backup, because it has no {MANIFEST}; name a folder that `patchcored backup` made"),
    };
    Err(BackupError::NotABackup { folder: folder.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_backup_left_goes_and_one_that_is_being_written_stays() {
        let place = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(place.path()).unwrap().count();
        let being_written = UnfinishedBackup::begin(place.path()).unwrap();
        std::fs::create_dir_all(place.path().join(".patchcored-backup-killed/banks")).unwrap();
        let second = UnfinishedBackup::begin(place.path()).unwrap();
        assert_eq!(names(), 2);
        let at = Timestamp::from_second(1_795_962_300).unwrap();
        let first = being_written.finish(place.path(), at).unwrap();
        assert!(first.ends_with("patchcored-20261129T142500Z"), "{first:?}");
        assert!(second.finish(place.path(), at).unwrap().ends_with("patchcored-20261129T142500Z-2"));
        drop(UnfinishedBackup::begin(place.path()).unwrap());
        assert_eq!(names(), 2);
    }
}
