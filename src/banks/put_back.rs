//! A bank version that comes back from a backup, under the number that it had.

use super::versions::{BANK_FILES, BankFolder, BankFolderError};
use crate::platform::files::rename_to_free_name;
use std::io;
use std::path::{Path, PathBuf};

/// What lies in a bank folder where a version is to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BankInPlace {
    /// No bank is in use there, and the number is free.
    None,
    /// The very files of the version, in use or about to be.
    Same,
    /// Another bank, or parts of one.
    Other {
        /// In words.
        what: String,
        /// True when the version is there all the same, and only not in use.
        has_version: bool,
    },
}

impl BankFolder {
    /// Compares the folder with a version; `is_same` says whether the files of a folder are those of the version.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn in_place(&self, version: u64, is_same: impl Fn(&Path) -> io::Result<bool>) -> Result<BankInPlace, BankFolderError> {
        let survey = self.survey()?;
        let dir = self.version_dir(version);
        let has_version = is_same(&dir).map_err(|error| self.failed("compare a version", error))?;
        let other = |what: String| Ok(BankInPlace::Other { what, has_version });
        if survey.in_parts || BANK_FILES.iter().any(|name| self.has_own_file(name)) {
            return other("parts of a bank lie there that belong to no version".to_owned());
        }
        match survey.current {
            Some(current) if current != version => other(format!("bank version {current} is in use there")),
            _ if has_version => Ok(BankInPlace::Same),
            _ if dir.symlink_metadata().is_ok() => other(format!("its version {version} has other files")),
            _ => Ok(BankInPlace::None),
        }
    }

    /// Gives everything that would be in the way of a version another name with `suffix`; returns the new names. Versions of other numbers
    /// stay, and so does the version itself with `but_version`.
    ///
    /// # Errors
    /// When something cannot be renamed. What was renamed before then has its new name.
    pub fn set_aside(&self, version: u64, but_version: bool, suffix: &str) -> Result<Vec<PathBuf>, BankFolderError> {
        let dir = Some(self.version_dir(version)).filter(|_| !but_version);
        let own = BANK_FILES.map(|name| self.path().join(name)).into_iter().filter(|path| !path.is_symlink());
        let mut renamed = Vec::new();
        for path in dir.into_iter().chain(own) {
            let mut aside = path.as_os_str().to_owned();
            aside.push(suffix);
            let aside = PathBuf::from(aside);
            match rename_to_free_name(&path, &aside) {
                Ok(()) => renamed.push(aside),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.failed("set a bank aside", error)),
            }
        }
        Ok(renamed)
    }

    /// Turns a complete staging folder into this version, whose number is free, and makes it current.
    ///
    /// # Errors
    /// As [`BankFolder::publish`].
    pub fn put_back(&self, version: u64, staging: &Path) -> Result<(), BankFolderError> {
        self.publish_as(version, staging)
    }

    /// The names in the bank folder that belong to a version in use: the folders, the files and the links.
    pub fn names_of(&self, version: u64) -> Vec<PathBuf> {
        let dir = self.version_dir(version);
        let links = ["current"].into_iter().chain(BANK_FILES).map(|name| self.path().join(name));
        let files: Vec<PathBuf> = BANK_FILES.iter().map(|name| dir.join(name)).collect();
        [self.versions_dir(), dir].into_iter().chain(files).chain(links).collect()
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

    fn put(bank: &BankFolder, version: u64, text: &str) {
        let staging = bank.begin_version().unwrap();
        fill(&staging, text);
        bank.put_back(version, &staging).unwrap();
    }

    fn is(text: &'static str) -> impl Fn(&Path) -> io::Result<bool> {
        move |dir| {
            for name in BANK_FILES {
                match std::fs::read(dir.join(name)) {
                    Ok(bytes) if bytes == text.as_bytes() => {}
                    Ok(_) => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            Ok(true)
        }
    }

    #[test]
    fn a_version_comes_back_under_its_number_and_what_was_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let bank = BankFolder::new(folder.path());
        assert_eq!(bank.in_place(7, is("seven")).unwrap(), BankInPlace::None);
        // Half of an earlier try is in nobody's way.
        bank.begin_version().unwrap();
        assert_eq!(bank.in_place(7, is("seven")).unwrap(), BankInPlace::None);
        put(&bank, 7, "seven");
        assert_eq!((bank.current(), bank.in_place(7, is("seven")).unwrap()), (Some(7), BankInPlace::Same));
        std::fs::remove_file(folder.path().join("current")).unwrap();
        assert_eq!(bank.in_place(7, is("seven")).unwrap(), BankInPlace::Same, "named and not yet linked");
        bank.switch_to(7).unwrap();
        assert!(bank.names_of(7).iter().all(|path| path.exists()));

        let other = |found: BankInPlace| matches!(found, BankInPlace::Other { has_version: false, .. });
        assert!(other(bank.in_place(7, is("eight")).unwrap()) && other(bank.in_place(3, is("three")).unwrap()));
        let aside = bank.set_aside(7, false, ".replaced-1").unwrap();
        assert_eq!(aside, [folder.path().join("versions/000007.replaced-1")]);
        assert!(other(bank.in_place(7, is("eight")).unwrap()), "killed here: a link leads nowhere");
        assert_eq!(bank.set_aside(7, false, ".replaced-2").unwrap(), Vec::<PathBuf>::new());
        put(&bank, 7, "eight");
        assert_eq!(bank.versions().unwrap(), [7]);
        assert_eq!(std::fs::read_to_string(aside[0].join("tau.json")).unwrap(), "seven");

        put(&bank, 8, "eight too");
        let in_place = bank.in_place(7, is("eight")).unwrap();
        assert_eq!(in_place, BankInPlace::Other { what: "bank version 8 is in use there".to_owned(), has_version: true });
        std::fs::remove_file(folder.path().join("tau.json")).unwrap();
        std::fs::write(folder.path().join("tau.json"), "by hand").unwrap();
        assert_eq!(bank.set_aside(7, true, ".replaced-3").unwrap(), [folder.path().join("tau.json.replaced-3")]);
    }
}
