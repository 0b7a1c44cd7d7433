//! The versions of one product's bank on disk, and which of them is current.
//!
//! ```text
//! BANK/versions/000007/{memory_bank.pt,bank_config.json,tau.json}
//! BANK/current           -> versions/000007          swapped atomically
//! BANK/memory_bank.pt    -> current/memory_bank.pt   and the other two: the Python scripts read the newest bank
//! ```
//! A version folder is complete before it gets its number, so whatever `current` points to is a whole bank.

use crate::crash_point;
use crate::files;
use crate::patchcore::{EngineError, MemoryBank};
use std::io;
use std::path::{Path, PathBuf};

/// The three files of a bank.
pub const BANK_FILES: [&str; 3] = ["memory_bank.pt", "bank_config.json", "tau.json"];

/// How the name of a version starts while it is being built. The rest differs each time, so that a build that outlived its daemon cannot
/// meet the next one.
const STAGING: &str = ".building-";
/// How it starts while it is being removed.
const RETIRED: &str = ".removing-";

/// A bank folder could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("bank folder {folder}: cannot {doing}: {source}; check that the folder is there and writable")]
pub struct BankFolderError {
    folder: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// One product's bank folder.
#[derive(Debug, Clone)]
pub struct BankFolder {
    path: PathBuf,
}

impl BankFolder {
    /// Names the folder; nothing is touched.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// True when `path` is a bank folder that is kept in versions.
    pub fn is_versioned(path: &Path) -> bool {
        path.join("current").is_symlink()
    }

    /// The folder of a version.
    pub fn version_dir(&self, version: u64) -> PathBuf {
        self.versions_dir().join(format!("{version:06}"))
    }

    /// The version in use, if there is one.
    pub fn current(&self) -> Option<u64> {
        let target = std::fs::read_link(self.path.join("current")).ok()?;
        let version = target.file_name()?.to_str()?.parse().ok()?;
        self.version_dir(version).join(BANK_FILES[0]).exists().then_some(version)
    }

    /// Makes the folder ready for use after whatever happened before: creates it, removes half-built and half-removed versions, makes
    /// links that are missing, and takes a plain bank (three files written by hand or by the Python scripts) over as a version. True if
    /// one was taken over.
    ///
    /// # Errors
    /// When the folder cannot be created or changed.
    pub fn recover(&self) -> Result<bool, BankFolderError> {
        std::fs::create_dir_all(self.versions_dir()).map_err(|e| self.failed("create it", e))?;
        files::remove_litter(&self.path).map_err(|e| self.failed("remove half-made links", e))?;
        for entry in std::fs::read_dir(self.versions_dir()).map_err(|e| self.failed("list its versions", e))?.flatten() {
            let name = entry.file_name();
            if [STAGING, RETIRED].iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
                // It is in nobody's way: a build that is just being ended may still write to it, and the next start tries again.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let plain = BANK_FILES.iter().all(|name| self.path.join(name).symlink_metadata().is_ok_and(|meta| meta.is_file()));
        if !plain {
            if let Some(version) = self.current() {
                self.link_names(version).map_err(|e| self.failed("link the newest bank", e))?;
            }
            return Ok(false);
        }
        let staging = self.begin_version()?;
        for name in BANK_FILES {
            std::fs::copy(self.path.join(name), staging.join(name)).map_err(|e| self.failed("take over a plain bank", e))?;
        }
        self.publish(&staging)?;
        Ok(true)
    }

    /// A fresh folder to build the next version in.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin_version(&self) -> Result<PathBuf, BankFolderError> {
        let create = || {
            std::fs::create_dir_all(self.versions_dir())?;
            let all: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            tempfile::Builder::new().prefix(STAGING).permissions(all).tempdir_in(self.versions_dir())
        };
        Ok(create().map_err(|e| self.failed("create a version", e))?.keep())
    }

    /// Turns a complete staging folder into the next version and makes it current; returns its number.
    ///
    /// # Errors
    /// When a file cannot be synced, renamed or linked; the bank that was current stays so.
    pub fn publish(&self, staging: &Path) -> Result<u64, BankFolderError> {
        let version = self.next_version()?;
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
        self.make_current(version)?;
        Ok(version)
    }

    /// Puts a version that is there back in use. Doing it again changes nothing.
    ///
    /// # Errors
    /// When it cannot be linked; the version that was current stays so, or this one is.
    pub fn switch_to(&self, version: u64) -> Result<(), BankFolderError> {
        self.make_current(version)
    }

    /// Reads a version in full, to see that it is whole.
    ///
    /// # Errors
    /// What is wrong with it, with the file.
    pub fn check(&self, version: u64) -> Result<(), EngineError> {
        MemoryBank::load(&self.version_dir(version)).map(drop)
    }

    fn make_current(&self, version: u64) -> Result<(), BankFolderError> {
        let target = Path::new("versions").join(format!("{version:06}"));
        files::replace_symlink(&target, &self.path.join("current")).map_err(|e| self.failed("swap `current`", e))?;
        for name in BANK_FILES {
            self.link_name(name).map_err(|e| self.failed("link the newest bank", e))?;
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

    /// Makes the links that a crash during publication left out. A file with a content of its own is somebody's work and stays.
    fn link_names(&self, version: u64) -> io::Result<()> {
        for name in BANK_FILES {
            let file = self.path.join(name);
            if !self.is_linked(name) && (!file.exists() || std::fs::read(&file)? == std::fs::read(self.version_dir(version).join(name))?) {
                self.link_name(name)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest versions until `keep` are left; the current one always stays, and `before`, the one in use before it, as
    /// long as `keep` is more than one. Returns what was removed.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn prune(&self, keep: usize, before: Option<u64>) -> Result<Vec<u64>, BankFolderError> {
        let mut versions = self.versions()?;
        let surplus = versions.len().saturating_sub(keep.max(1));
        let current = self.current();
        versions.retain(|version| Some(*version) != current);
        versions.sort_by_key(|version| (Some(*version) == before, *version));
        let mut removed = Vec::new();
        for version in versions.into_iter().take(surplus) {
            self.remove_version(version).map_err(|e| self.failed("remove an old version", e))?;
            removed.push(version);
        }
        Ok(removed)
    }

    /// It loses its number first, so that a crash leaves no version that is only half there.
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
        let mut versions: Vec<u64> = match std::fs::read_dir(self.versions_dir()) {
            Ok(entries) => entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(self.failed("list its versions", error)),
        };
        versions.sort_unstable();
        Ok(versions)
    }

    fn next_version(&self) -> Result<u64, BankFolderError> {
        Ok(self.versions()?.last().copied().unwrap_or(0) + 1)
    }

    fn versions_dir(&self) -> PathBuf {
        self.path.join("versions")
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> BankFolderError {
        BankFolderError { folder: self.path.clone(), doing, source }
    }
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
        assert!(!bank.recover().unwrap());
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
        bank.recover().unwrap();
        assert_eq!(bank.current(), Some(1));
        let staging = bank.begin_version().unwrap();
        std::fs::write(staging.join("tau.json"), "half").unwrap();
        let link = folder.path().join(".patchcored-half-made");
        std::os::unix::fs::symlink("versions/000002", &link).unwrap();
        assert!(!bank.recover().unwrap());
        assert!(!staging.exists() && !link.is_symlink());
        assert_eq!(std::fs::read_to_string(folder.path().join("memory_bank.pt")).unwrap(), "by hand");
    }

    #[test]
    fn a_half_built_version_that_cannot_be_removed_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        fill(folder.path(), "by hand");
        let half_built = [bank.begin_version().unwrap(), bank.begin_version().unwrap()];
        // A mount point cannot be removed, whoever tries.
        let mount = |command: &[&str]| std::process::Command::new(command[0]).args(&command[1..]).arg(&half_built[0]).status();
        if !mount(&["mount", "-t", "tmpfs", "tmpfs"]).is_ok_and(|status| status.success()) {
            println!("SKIPPED: needs root, to mount a tmpfs");
            return;
        }
        let recovered = bank.recover();
        mount(&["umount"]).unwrap();
        assert!(recovered.unwrap());
        assert!(half_built[0].exists() && !half_built[1].exists());
        assert_eq!(bank.current(), Some(1));
        assert!(!bank.recover().unwrap());
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
        // As when a plain bank was being taken over, and as when somebody tries out a threshold.
        std::fs::write(path("bank_config.json"), "one").unwrap();
        std::fs::write(path("tau.json"), "by hand").unwrap();
        std::fs::create_dir_all(path("versions/.removing-000000/x")).unwrap();
        assert!(!bank.recover().unwrap());
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
        assert_eq!(bank.prune(2, Some(3)).unwrap(), [1, 2]);
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
        assert_eq!(bank.prune(3, Some(1)).unwrap(), [2]);
        assert_eq!(bank.prune(2, Some(1)).unwrap(), [3]);
        assert_eq!(bank.versions().unwrap(), [1, 4]);
        assert_eq!(bank.prune(1, Some(1)).unwrap(), [1]);
    }
}
