//! The versions of one product's bank on disk, and which of them is current.
//!
//! ```text
//! BANK/versions/000007/{memory_bank.pt,bank_config.json,tau.json}
//! BANK/current           -> versions/000007          swapped atomically
//! BANK/memory_bank.pt    -> current/memory_bank.pt   and the other two: the Python scripts read the newest bank
//! ```
//! A version folder is complete before it gets its number, so `current` always points to a whole bank.

use crate::domain::TEMPORARY_PREFIX;
use crate::patchcore::{EngineError, MemoryBank};
use crate::platform::crash_point;
use crate::platform::files;
use std::io;
use std::path::{Path, PathBuf};

/// The three files of a bank.
pub const BANK_FILES: [&str; 3] = ["memory_bank.pt", "bank_config.json", "tau.json"];

/// The file that people edit.
const TAU: &str = BANK_FILES[2];

/// The start of a version's name while the version is being built. The rest differs each time, so that a build that outlived its daemon
/// cannot meet the next one.
const STAGING: &str = ".building-";
/// The start of its name while it is being removed.
const RETIRED: &str = ".removing-";

/// The largest version number; a folder with another name is no version.
const LAST_VERSION: u64 = 999_999_999;

/// A bank folder could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BankFolderError {
    /// The system refused.
    #[error("bank folder {folder}: cannot {doing}: {source}; check that the folder is there and writable")]
    Failed { folder: PathBuf, doing: &'static str, source: io::Error },
    /// Its file system has no symbolic links.
    #[error(
        "bank folder {folder}: cannot make symbolic links in it ({source}): they say which version is in use; put the folder on a local \
         disk, or mount the share with symbolic links (SMB: mount option `mfsymlinks`)"
    )]
    NoLinks { folder: PathBuf, source: io::Error },
    /// There is no next number.
    #[error("bank folder {folder}: there is no version number after {LAST_VERSION}; remove the folder versions/{LAST_VERSION}")]
    NoNumber { folder: PathBuf },
}

/// One product's bank folder.
#[derive(Debug, Clone)]
pub struct BankFolder {
    path: PathBuf,
}

impl BankFolder {
    /// Names the folder and touches nothing.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// True when `path` is a bank folder with versions.
    pub fn is_versioned(path: &Path) -> bool {
        path.join("current").is_symlink()
    }

    /// The folder of a version.
    pub fn version_dir(&self, version: u64) -> PathBuf {
        self.versions_dir().join(format!("{version:06}"))
    }

    /// The version that `current` leads to, if there is one.
    pub fn current(&self) -> Option<u64> {
        self.survey().ok()?.current
    }

    /// Turns a plain bank (three files written by hand or by the Python scripts) into a version and puts it in use; returns its number.
    ///
    /// # Errors
    /// When a file cannot be copied or linked.
    pub fn take_over(&self) -> Result<u64, BankFolderError> {
        let staging = self.begin_version()?;
        for name in BANK_FILES {
            std::fs::copy(self.path.join(name), staging.join(name)).map_err(|e| self.failed("take over a plain bank", e))?;
        }
        self.publish(&staging)
    }

    /// Repairs what crashes and people left: removes half-built and half-removed versions, and makes missing links. Where `current` leads
    /// nowhere, it is linked to `version`, if that exists.
    ///
    /// # Errors
    /// When the folder cannot be changed; the bank in use can be used all the same.
    pub fn tidy(&self, version: Option<u64>) -> Result<(), BankFolderError> {
        files::remove_leftovers(&self.path).map_err(|e| self.failed("remove half-made links", e))?;
        for entry in std::fs::read_dir(self.versions_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if [STAGING, RETIRED].iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
                // It is in nobody's way: a build that is being ended may still write to it, and the next start tries again.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let survey = self.survey()?;
        match (survey.current, version) {
            (Some(current), _) => self.link_names(current).map_err(|e| self.failed("link the newest bank", e)),
            (None, Some(version)) if survey.versions.contains(&version) && !survey.plain => {
                let link = files::replace_symlink(&target(version), &self.path.join("current"));
                link.and_then(|()| self.link_names(version)).map_err(|e| self.not_linked("link the bank in use", e))
            }
            (None, _) => Ok(()),
        }
    }

    /// Makes the folder, if it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), BankFolderError> {
        std::fs::create_dir_all(&self.path).map_err(|e| self.failed("create it", e))
    }

    /// A fresh folder to build the next version in.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin_version(&self) -> Result<PathBuf, BankFolderError> {
        std::fs::create_dir_all(self.versions_dir()).map_err(|e| self.failed("create it", e))?;
        // This error comes now, and not after a build of many minutes.
        try_links(&self.path).map_err(|e| self.not_linked("make a symbolic link", e))?;
        let create = || {
            let all: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            tempfile::Builder::new().prefix(STAGING).permissions(all).tempdir_in(self.versions_dir())
        };
        Ok(create().map_err(|e| self.failed("create a version", e))?.keep())
    }

    /// Turns a complete staging folder into the next version and makes it current; returns its number.
    ///
    /// # Errors
    /// When a file cannot be synced, renamed or linked; the current bank stays current.
    pub fn publish(&self, staging: &Path) -> Result<u64, BankFolderError> {
        let version = self.next_version()?;
        self.publish_as(version, staging)?;
        Ok(version)
    }

    /// The same with a number that is free.
    pub(super) fn publish_as(&self, version: u64, staging: &Path) -> Result<(), BankFolderError> {
        let sync = || -> io::Result<()> {
            for name in BANK_FILES {
                std::fs::File::open(staging.join(name))?.sync_all()?;
            }
            files::sync_folder(staging)
        };
        sync().map_err(|e| self.failed("sync a new version", e))?;
        crash_point::reach("version_synced");
        std::fs::rename(staging, self.version_dir(version)).map_err(|e| self.failed("name a new version", e))?;
        crash_point::reach("version_named");
        files::sync_folder(&self.versions_dir()).map_err(|e| self.failed("sync its versions", e))?;
        self.make_current(version)
    }

    /// Puts an existing version back in use. Doing it again changes nothing.
    ///
    /// # Errors
    /// When it cannot be linked; the current version stays current, or this one is.
    pub fn switch_to(&self, version: u64) -> Result<(), BankFolderError> {
        self.make_current(version)
    }

    /// Moves an edited `tau.json` into the version, and makes the plain name a link to it again.
    ///
    /// # Errors
    /// When it cannot be written or linked.
    pub fn take_over_tau(&self, version: u64, bytes: &[u8]) -> Result<(), BankFolderError> {
        let take_over = || {
            files::replace_bytes(&self.version_dir(version).join(TAU), bytes)?;
            self.link_name(TAU)
        };
        take_over().map_err(|e| self.failed("take over an edited tau.json", e))
    }

    /// Reads a version in full, to check that it is whole.
    ///
    /// # Errors
    /// What is wrong with it, with the file.
    pub fn check(&self, version: u64) -> Result<(), EngineError> {
        MemoryBank::load(&self.version_dir(version)).map(drop)
    }

    fn make_current(&self, version: u64) -> Result<(), BankFolderError> {
        files::replace_symlink(&target(version), &self.path.join("current")).map_err(|e| self.not_linked("swap `current`", e))?;
        for name in BANK_FILES {
            self.link_name(name).map_err(|e| self.not_linked("link the newest bank", e))?;
        }
        Ok(())
    }

    /// True when the plain name is the link that it should be.
    fn is_linked(&self, name: &str) -> bool {
        std::fs::read_link(self.path.join(name)).ok() == Some(Path::new("current").join(name))
    }

    fn link_name(&self, name: &str) -> io::Result<()> {
        if self.is_linked(name) {
            return Ok(());
        }
        files::replace_symlink(&Path::new("current").join(name), &self.path.join(name))
    }

    /// Makes the links that are missing after a crash during publication. A real file is somebody's work and stays.
    fn link_names(&self, version: u64) -> io::Result<()> {
        for name in BANK_FILES {
            let file = self.path.join(name);
            if !self.is_linked(name) && (!file.exists() || std::fs::read(&file)? == std::fs::read(self.version_dir(version).join(name))?) {
                self.link_name(name)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest versions until `keep` are left. The current one always stays, and so does `before`, the one in use before it,
    /// if `keep` is more than one. Returns what was removed, and what could not be.
    ///
    /// # Errors
    /// When the versions cannot be listed.
    pub fn prune(&self, keep: usize, before: Option<u64>) -> Result<Pruned, BankFolderError> {
        let mut versions = self.versions()?;
        let surplus = versions.len().saturating_sub(keep.max(1));
        let current = self.current();
        versions.retain(|version| Some(*version) != current);
        versions.sort_by_key(|version| (Some(*version) == before, *version));
        let mut pruned = Pruned::default();
        for version in versions.into_iter().take(surplus) {
            match self.remove_version(version) {
                Ok(()) => pruned.removed.push(version),
                Err(error) => pruned.left.push((version, error)),
            }
        }
        Ok(pruned)
    }

    /// The version loses its number first, so that a crash leaves no half-removed version.
    fn remove_version(&self, version: u64) -> io::Result<()> {
        let retired = self.versions_dir().join(format!("{RETIRED}{version:06}"));
        std::fs::rename(self.version_dir(version), &retired)?;
        crash_point::reach("version_retired");
        std::fs::remove_dir_all(&retired)?;
        crash_point::reach("version_removed");
        Ok(())
    }

    /// All complete versions, oldest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn versions(&self) -> Result<Vec<u64>, BankFolderError> {
        let failed = |e| self.failed("list its versions", e);
        let entries = match std::fs::read_dir(self.versions_dir()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if let Some(version) = entry.file_name().to_str().and_then(version_of)
                && entry.file_type().map_err(failed)?.is_dir()
            {
                versions.push(version);
            }
        }
        versions.sort_unstable();
        Ok(versions)
    }

    fn next_version(&self) -> Result<u64, BankFolderError> {
        match self.versions()?.last().copied().unwrap_or(0) {
            LAST_VERSION => Err(BankFolderError::NoNumber { folder: self.path.clone() }),
            last => Ok(last + 1),
        }
    }

    pub(super) fn versions_dir(&self) -> PathBuf {
        self.path.join("versions")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, doing: &'static str, source: io::Error) -> BankFolderError {
        BankFolderError::Failed { folder: self.path.clone(), doing, source }
    }

    /// A file system that takes files but refuses links does not support links.
    fn not_linked(&self, doing: &'static str, source: io::Error) -> BankFolderError {
        if has_no_links(&source) && files::temporary(&self.path).is_ok() {
            return BankFolderError::NoLinks { folder: self.path.clone(), source };
        }
        self.failed(doing, source)
    }
}

/// Where `current` leads to.
fn target(version: u64) -> PathBuf {
    Path::new("versions").join(format!("{version:06}"))
}

/// The outcome of removing old versions.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The removed versions.
    pub removed: Vec<u64>,
    /// Those that cannot be removed.
    pub left: Vec<(u64, io::Error)>,
}

/// The number of a folder in `versions/`: its name must be exactly as this program writes it.
pub(super) fn version_of(name: &str) -> Option<u64> {
    name.parse().ok().filter(|version| (1..=LAST_VERSION).contains(version) && format!("{version:06}") == name)
}

/// Makes a symbolic link in `folder` and removes it.
///
/// # Errors
/// The error of the system; see [`has_no_links`].
pub fn try_links(folder: &Path) -> io::Result<()> {
    let link = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(folder, |path| std::os::unix::fs::symlink("current", path))?;
    link.into_temp_path().close()
}

/// True for the errors of a file system without symbolic links. FAT says that it is not permitted.
pub fn has_no_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::OPNOTSUPP, Errno::NOSYS, Errno::PERM].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path, text: &str) {
        for name in BANK_FILES {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    fn publish(bank: &BankFolder, text: &str) -> u64 {
        let staging = bank.begin_version().unwrap();
        fill(&staging, text);
        bank.publish(&staging).unwrap()
    }

    #[test]
    fn the_newest_version_is_read_through_the_plain_names() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        assert!(bank.survey().unwrap().is_bare());
        bank.tidy(Some(1)).unwrap();
        assert_eq!(bank.current(), None);
        for (version, text) in [(1, "one"), (2, "two")] {
            assert_eq!(publish(&bank, text), version);
            assert_eq!(bank.current(), Some(version));
            assert_eq!(std::fs::read_to_string(folder.path().join("tau.json")).unwrap(), text);
        }
        assert!(BankFolder::is_versioned(folder.path()));
    }

    #[test]
    fn a_plain_bank_is_taken_over_and_half_built_versions_go() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        fill(folder.path(), "by hand");
        assert!(bank.survey().unwrap().plain);
        assert_eq!(bank.take_over().unwrap(), 1);
        assert_eq!(bank.current(), Some(1));
        let staging = bank.begin_version().unwrap();
        std::fs::write(staging.join("tau.json"), "half").unwrap();
        let link = folder.path().join(".patchcored-half-made");
        std::os::unix::fs::symlink("versions/000002", &link).unwrap();
        bank.tidy(None).unwrap();
        assert!(!staging.exists() && !link.is_symlink());
        assert_eq!(std::fs::read_to_string(folder.path().join("memory_bank.pt")).unwrap(), "by hand");
    }

    #[test]
    fn a_half_built_version_that_cannot_be_removed_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        fill(folder.path(), "by hand");
        let half_built = [bank.begin_version().unwrap(), bank.begin_version().unwrap()];
        // Nobody can remove a mount point.
        let mount = |command: &[&str]| std::process::Command::new(command[0]).args(&command[1..]).arg(&half_built[0]).status();
        if !mount(&["mount", "-t", "tmpfs", "tmpfs"]).is_ok_and(|status| status.success()) {
            println!("SKIPPED: needs root, to mount a tmpfs");
            return;
        }
        let tidied = bank.tidy(None);
        mount(&["umount"]).unwrap();
        tidied.unwrap();
        assert!(half_built[0].exists() && !half_built[1].exists());
        bank.tidy(None).unwrap();
        assert!(!half_built[0].exists(), "the next start tries again");
    }

    #[test]
    fn an_incomplete_version_is_not_published() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        publish(&bank, "one");
        let staging = bank.begin_version().unwrap();
        std::fs::write(staging.join("tau.json"), "half").unwrap();
        assert!(bank.publish(&staging).is_err());
        assert_eq!(bank.current(), Some(1));
    }

    #[test]
    fn links_that_a_crash_left_out_are_made_and_a_file_of_somebody_stays() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        publish(&bank, "one");
        let path = |name: &str| folder.path().join(name);
        for name in BANK_FILES {
            std::fs::remove_file(path(name)).unwrap();
        }
        // As while a plain bank is being taken over, or while somebody tries out a threshold.
        std::fs::write(path("bank_config.json"), "one").unwrap();
        std::fs::write(path("tau.json"), "by hand").unwrap();
        std::fs::create_dir_all(path("versions/.removing-000000/x")).unwrap();
        bank.tidy(None).unwrap();
        assert!(path("memory_bank.pt").is_symlink() && path("bank_config.json").is_symlink());
        assert_eq!(std::fs::read_to_string(path("tau.json")).unwrap(), "by hand");
        assert_eq!(std::fs::read_dir(path("versions")).unwrap().count(), 1);
    }

    #[test]
    fn pruning_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        for _ in 0..4 {
            publish(&bank, "x");
        }
        assert_eq!(bank.prune(2, Some(3)).unwrap().removed, [1, 2]);
        assert_eq!(bank.versions().unwrap(), [3, 4]);
    }

    #[test]
    fn pruning_keeps_the_version_that_was_in_use_before() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        for _ in 0..3 {
            publish(&bank, "x");
        }
        bank.switch_to(1).unwrap();
        assert_eq!(bank.current(), Some(1));
        assert_eq!(publish(&bank, "x"), 4, "numbers are not used twice");
        assert_eq!(bank.prune(3, Some(1)).unwrap().removed, [2]);
        assert_eq!(bank.prune(2, Some(1)).unwrap().removed, [3]);
        assert_eq!(bank.versions().unwrap(), [1, 4]);
        assert_eq!(bank.prune(1, Some(1)).unwrap().removed, [1]);
    }

    #[test]
    fn a_version_that_cannot_be_removed_is_told_and_the_others_go() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        for _ in 0..4 {
            publish(&bank, "x");
        }
        // A folder that is not empty stands where the version would be renamed to.
        std::fs::create_dir_all(folder.path().join("versions/.removing-000001/x")).unwrap();
        let Pruned { removed, left } = bank.prune(1, None).unwrap();
        assert_eq!((removed.as_slice(), left.len(), left[0].0), ([2, 3].as_slice(), 1, 1));
        assert_eq!(bank.versions().unwrap(), [1, 4]);
    }

    #[test]
    fn folders_that_are_no_versions_are_let_alone() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        publish(&bank, "x");
        for name in ["3", "0000003", "+00003", "000000", "18446744073709551615", "1000000000", "trial"] {
            std::fs::create_dir(folder.path().join("versions").join(name)).unwrap();
        }
        std::fs::write(folder.path().join("versions/000007"), "a file").unwrap();
        assert_eq!(bank.versions().unwrap(), [1]);
        assert_eq!(publish(&bank, "y"), 2);
        std::fs::create_dir(folder.path().join("versions/999999999")).unwrap();
        let staging = bank.begin_version().unwrap();
        fill(&staging, "z");
        assert!(bank.publish(&staging).unwrap_err().to_string().contains("no version number after 999999999"));
        assert_eq!(bank.current(), Some(2));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        publish(&bank, "one");
        publish(&bank, "two");
        let current = folder.path().join("current");
        for target in [None, Some("versions/000009"), Some("current")] {
            std::fs::remove_file(&current).unwrap();
            if let Some(target) = target {
                std::os::unix::fs::symlink(target, &current).unwrap();
            }
            assert_eq!(bank.survey().unwrap().current, None);
            bank.tidy(Some(7)).unwrap();
            assert_eq!(bank.current(), None, "version 7 is not there");
            bank.tidy(Some(1)).unwrap();
            assert_eq!(bank.current(), Some(1));
        }
    }

    #[test]
    fn a_file_system_without_links_is_told_from_a_folder_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            |folder: &Path, errno: rustix::io::Errno| BankFolder::new(folder).not_linked("swap `current`", errno.into()).to_string();
        for errno in [rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::PERM, rustix::io::Errno::NOSYS] {
            let told = error(folder.path(), errno);
            assert!(told.contains("symbolic links") && told.contains("local disk") && told.contains("mfsymlinks"), "{told}");
            assert!(error(&folder.path().join("gone"), errno).contains("swap `current`"));
        }
        assert!(error(folder.path(), rustix::io::Errno::NOSPC).contains("No space left"));
        try_links(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
