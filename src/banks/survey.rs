//! The content of a bank folder, and whether its files are the recorded ones. Nothing is changed here.

use super::versions::{BANK_FILES, BankFolder, BankFolderError, version_of};
use crate::patchcore::{BankConfig, EngineError, TauFile, file_sha256};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The content of a bank folder at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The version that `current` leads to, if it exists.
    pub current: Option<u64>,
    /// The versions, oldest first.
    pub versions: Vec<u64>,
    /// True when the three files of a bank lie in the folder itself and are no links to a version.
    pub plain: bool,
    /// True when there are parts of a bank, but no sign which one is in use: a broken link, or some of the three files.
    pub in_parts: bool,
    /// True when any name of a bank exists, even a broken link.
    any: bool,
}

impl Survey {
    /// True when no part of a bank exists: nobody has built one, or this is an empty mount point.
    pub fn is_bare(&self) -> bool {
        !self.any
    }
}

impl BankFolder {
    /// Looks at the folder. A folder that does not exist is bare; one that cannot be read is an error.
    ///
    /// # Errors
    /// When the system does not say what the folder holds.
    pub fn survey(&self) -> Result<Survey, BankFolderError> {
        let failed = |e| self.failed("look at it", e);
        let kind = |name: &str| match self.path().join(name).symlink_metadata() {
            Ok(meta) => Ok(Some(meta.file_type())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        };
        let mut any = kind("versions")?.is_some();
        let (mut own, mut plain) = (false, true);
        for name in BANK_FILES {
            let kind = kind(name)?;
            any |= kind.is_some();
            own |= kind.is_some_and(|kind| !kind.is_symlink());
            plain &= kind.is_some_and(|kind| kind.is_file());
        }
        let versions = self.versions()?;
        let link = kind("current")?;
        any |= link.is_some();
        let current = match link {
            Some(kind) if kind.is_symlink() => {
                let target = std::fs::read_link(self.path().join("current")).map_err(failed)?;
                let version = target.file_name().and_then(|name| name.to_str()).and_then(version_of);
                version.filter(|version| versions.contains(version))
            }
            _ => None,
        };
        let in_parts = !plain && current.is_none() && (own || link.is_some());
        Ok(Survey { current, versions, plain, in_parts, any })
    }

    /// The metadata of the files of a version and of the names that lead to them: the stamp is the same until somebody changes a file.
    pub fn stamp(&self, version: u64) -> Stamp {
        let dir = self.version_dir(version);
        let looks = |folder: &Path| BANK_FILES.map(|name| Look::at(&folder.join(name)));
        Stamp { current: std::fs::read_link(self.path().join("current")).ok(), files: looks(&dir), names: looks(self.path()) }
    }

    /// Compares the files of a version with the recorded ones. `rows` keeps the digest of `memory_bank.pt` between two calls.
    pub fn compare(&self, version: u64, recorded: &RecordedDigests, rows: &mut Option<RowsSeen>) -> Findings {
        let dir = self.version_dir(version);
        let mut wrong = Vec::new();
        let [rows_name, config_name, _] = BANK_FILES;
        match BankConfig::read(&dir.join(config_name)) {
            Ok((_, sha256)) if sha256 == recorded.config => {}
            Ok(_) => wrong.push(format!("{} is not the file that was recorded", dir.join(config_name).display())),
            Err(error) => wrong.push(error.to_string()),
        }
        let path = dir.join(rows_name);
        let look = Look::at(&path);
        let known = rows.take().filter(|seen| seen.look == look).map(|seen| Ok(seen.sha256));
        match known.unwrap_or_else(|| plain_sha256(&path)) {
            Ok(sha256) => {
                if sha256 != recorded.rows {
                    wrong.push(format!("{} is not the file that was recorded", path.display()));
                }
                *rows = Some(RowsSeen { look, sha256 });
            }
            Err(error) => wrong.push(error.to_string()),
        }
        for name in [rows_name, config_name] {
            if self.has_own_file(name) {
                wrong.push(format!("{} is a file of its own and no link to the bank in use", self.path().join(name).display()));
            }
        }
        match self.current() {
            Some(current) if current == version => {}
            Some(other) => wrong.push(format!("`current` leads to version {other}; `patchcored rollback` puts another version in use")),
            None => wrong.push("`current` leads to no version".to_owned()),
        }
        let edited = self.edited_tau(version, &recorded.tau).unwrap_or_else(|error| {
            wrong.push(error.to_string());
            None
        });
        Findings { edited, wrong }
    }

    /// `tau.json` of the version when it is not the recorded one. An editor that writes a new file puts it in the place of the link.
    ///
    /// # Errors
    /// When it cannot be read, or cannot be right.
    pub fn edited_tau(&self, version: u64, recorded: &str) -> Result<Option<Edit>, EngineError> {
        let tau_name = BANK_FILES[2];
        let folder = if self.has_own_file(tau_name) { self.path().to_owned() } else { self.version_dir(version) };
        let path = folder.join(tau_name);
        let file = TauFile::read(&path)?;
        Ok(if file.sha256 == recorded { None } else { Some(Edit { file, path }) })
    }

    /// True when this name, which should link to the bank in use, is a file.
    pub(super) fn has_own_file(&self, name: &str) -> bool {
        let path = self.path().join(name);
        path.symlink_metadata().is_ok_and(|meta| meta.is_file())
    }
}

/// Reads the files that a load needs and drops them. A caller that must not hang with the folder then finds them in the page cache.
pub fn read_ahead(dir: &Path) {
    for name in [BANK_FILES[0], BANK_FILES[1]] {
        let path = dir.join(name);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.is_file()) {
            let _ = std::fs::File::open(&path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        }
    }
}

/// The SHA-256 of a plain file; it does not wait for a pipe in its place.
fn plain_sha256(path: &Path) -> Result<String, EngineError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => file_sha256(path),
        Ok(_) => Err(EngineError::BankFile { path: path.to_owned(), reason: "it is no plain file".to_owned() }),
        Err(source) => Err(EngineError::Read { path: path.to_owned(), source }),
    }
}

/// The recorded SHA-256 of the three files, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDigests {
    /// Of `memory_bank.pt`.
    pub rows: String,
    /// Of `bank_config.json`.
    pub config: String,
    /// Of `tau.json`.
    pub tau: String,
}

/// The metadata of the files of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    current: Option<PathBuf>,
    files: [Look; 3],
    names: [Look; 3],
}

/// The metadata of one file: inode, size, times of modification and change in ns; or the error number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look(Result<(u64, u64, i128, i128), Option<i32>>);

impl Look {
    fn at(path: &Path) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        let of =
            |meta: std::fs::Metadata| (meta.ino(), meta.size(), ns(meta.mtime(), meta.mtime_nsec()), ns(meta.ctime(), meta.ctime_nsec()));
        Self(path.symlink_metadata().map(of).map_err(|e| e.raw_os_error()))
    }
}

/// The SHA-256 of `memory_bank.pt` when it had this metadata.
#[derive(Debug, Clone)]
pub struct RowsSeen {
    look: Look,
    sha256: String,
}

/// The differences from the recorded files.
#[derive(Debug, Default)]
pub struct Findings {
    /// `tau.json` is another file, with valid thresholds.
    pub edited: Option<Edit>,
    /// The other differences, one sentence for each.
    pub wrong: Vec<String>,
}

/// A `tau.json` that somebody changed.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Its current content.
    pub file: TauFile,
    /// Where it lies.
    pub path: PathBuf,
}
