//! What a backup says of itself. Fields keep their names and meaning in every version of the program; new ones are added.

use super::error::BackupError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// The name of the manifest.
pub(super) const MANIFEST: &str = "manifest.json";
/// The name of the database.
pub(super) const HISTORY: &str = "history.db";
/// The name of the configuration.
pub(super) const CONFIG: &str = "config.yaml";
/// The form of the manifest that this program writes and reads.
const FORM: u32 = 1;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The form of this file.
    pub form: u32,
    /// The version of the program that saved it.
    pub version: String,
    /// When the history was copied, as text like in the database.
    pub at: String,
    /// The configuration file that was saved, as an absolute path.
    pub config: String,
    /// The banks.
    pub banks: Vec<SavedBank>,
    /// The lists of OK images.
    pub ok_folders: Vec<SavedOkFolder>,
    /// What could not be saved.
    pub not_saved: Vec<NotSaved>,
    /// Every file other than the manifest.
    pub files: Vec<SavedFile>,
}

/// The bank of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBank {
    /// Whose it is.
    pub product: String,
    /// Its version.
    pub version: u64,
}

/// The list of the OK images of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOkFolder {
    /// Whose they are.
    pub product: String,
    /// The number of images.
    pub images: usize,
    /// Their bytes, which are not saved.
    pub bytes: u64,
}

/// Something that could not be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSaved {
    /// Whose it is.
    pub product: String,
    /// What it is, and why.
    pub why: String,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// Its path in the folder.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// The content of `ok-images/PRODUCT.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OkImageList {
    /// The ok folder.
    pub folder: String,
    /// Its images, sorted by name.
    pub images: Vec<SavedOkImage>,
}

/// An OK image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct SavedOkImage {
    /// Its path in the ok folder.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// When its content was last changed, in nanoseconds since 1970. A build of a bank depends on it.
    pub mtime_ns: i64,
    /// The same as text.
    pub modified: String,
}

impl BackupManifest {
    /// An empty one.
    pub(super) fn new(at: Timestamp, config: &Path) -> Self {
        Self {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: format!("{at:.3}"),
            config: config.display().to_string(),
            banks: Vec::new(),
            ok_folders: Vec::new(),
            not_saved: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The bytes of the files whose path begins so.
    pub fn bytes_of(&self, start: &str) -> u64 {
        self.files.iter().filter(|file| file.path.starts_with(start)).map(|file| file.bytes).sum()
    }

    /// The file of this path.
    pub(super) fn file(&self, path: &str) -> Option<&SavedFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Reads the manifest of a backup.
    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let bytes = std::fs::read(&path).map_err(|error| BackupError::Read { file: path.clone(), error })?;
        let damaged = |why: String| BackupError::Damaged { file: path.clone(), why };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| damaged(format!("is no JSON: {error}")))?;
        if let Some(form) = value.get("form").and_then(serde_json::Value::as_u64).filter(|form| *form > u64::from(FORM)) {
            let why = format!("is of form {form}, which a newer patchcored wrote; install that version");
            return Err(BackupError::NotABackup { folder: folder.to_owned(), why });
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| damaged(format!("is no manifest of a backup: {error}")))?;
        let strange =
            manifest.files.iter().find(|file| !Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_))));
        if let Some(file) = strange {
            return Err(damaged(format!("names `{}`, which is no file of a backup", file.path)));
        }
        let bank_files = manifest.banks.iter().flat_map(|bank| bank.files());
        let needed = [HISTORY.to_owned(), CONFIG.to_owned()].into_iter().chain(bank_files);
        let missing = needed.into_iter().find(|path| manifest.file(path).is_none());
        match missing {
            Some(missing) => Err(damaged(format!("does not name {missing}"))),
            None => Ok(manifest),
        }
    }
}

impl SavedBank {
    /// The folder in the backup, with a slash at its end.
    pub fn folder(&self) -> String {
        format!("banks/{}/", self.product)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = String> {
        crate::banks::BANK_FILES.into_iter().map(|name| self.folder() + name)
    }
}

/// The path of the list of a product's OK images in a backup.
pub(super) fn ok_list(product: &str) -> String {
    format!("ok-images/{product}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_that_leads_out_of_the_backup_or_lacks_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| json!({"path": path, "bytes": 1, "sha256": "00"});
        let read = |files: &[&str]| {
            let mut manifest = serde_json::to_value(BackupManifest::new(Timestamp::UNIX_EPOCH, Path::new("/c.yaml"))).unwrap();
            manifest["files"] = files.iter().map(|path| file(path)).collect();
            manifest["banks"] = json!([{"product": "a", "version": 3}]);
            // From a later version of the program.
            manifest["more"] = json!(true);
            std::fs::write(folder.path().join(MANIFEST), manifest.to_string()).unwrap();
            BackupManifest::read(folder.path()).map_err(|error| error.to_string())
        };
        let bank = ["banks/a/memory_bank.pt", "banks/a/bank_config.json", "banks/a/tau.json"];
        let whole = [&["history.db", "config.yaml"], &bank[..]].concat();
        assert_eq!(read(&whole).unwrap().banks[0].version, 3);
        assert!(read(&whole[..4]).unwrap_err().contains("does not name banks/a/tau.json"));
        for strange in ["../history.db", "/etc/passwd", "banks/../../x", "./x"] {
            let told = read(&[&whole[..], &[strange]].concat()).unwrap_err();
            assert!(told.contains("which is no file of a backup"), "{strange}: {told}");
        }
    }
}
