//! A backup whose files are those that were saved.

use super::copying::{copy, digest};
use super::error::BackupError;
use super::manifest::{BackupManifest, HISTORY, OkImageList, ok_list};
use super::place::check_backup;
use crate::database::check_copy;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A backup whose files were all compared with its manifest.
#[derive(Debug)]
pub(super) struct CheckedBackup {
    folder: PathBuf,
    pub(super) manifest: BackupManifest,
}

impl CheckedBackup {
    /// Reads every file of it.
    pub(super) async fn read(folder: &Path) -> Result<Self, BackupError> {
        check_backup(folder)?;
        let manifest = BackupManifest::read(folder)?;
        for saved in &manifest.files {
            let file = folder.join(&saved.path);
            let damaged = |why: String| BackupError::Damaged { file: file.clone(), why };
            match digest(&file) {
                Ok(found) if found == (saved.bytes, saved.sha256.clone()) => {}
                Ok((bytes, _)) if bytes != saved.bytes => {
                    return Err(damaged(format!("has {bytes} bytes, and {} were saved", saved.bytes)));
                }
                Ok(_) => return Err(damaged("is not the file that was saved: its SHA-256 differs from that in the manifest".to_owned())),
                Err(error) => return Err(damaged(format!("cannot be read: {error}"))),
            }
        }
        check_copy(&folder.join(HISTORY)).await?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// A file of it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// True when `file` is there and has the bytes of the file `path` of the backup.
    pub(super) fn is_same(&self, path: &str, file: &Path) -> std::io::Result<bool> {
        let Some(saved) = self.manifest.file(path) else { return Ok(false) };
        match std::fs::metadata(file) {
            Ok(meta) if meta.len() != saved.bytes => Ok(false),
            Ok(_) => Ok(digest(file)? == (saved.bytes, saved.sha256.clone())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies a file of the backup, and looks once more whether the copy is what was saved.
    pub(super) fn copy(&self, path: &str, to: &mut File, to_path: &Path) -> Result<(), BackupError> {
        let from = self.path(path);
        let (_, sha256) = copy(&from, to, to_path)?;
        match self.manifest.file(path) {
            Some(saved) if saved.sha256 == sha256 => Ok(()),
            _ => Err(BackupError::Changed { file: from }),
        }
    }

    /// The OK images of a product; `None` when they are not in the backup.
    pub(super) fn ok_images(&self, product: &str) -> Option<OkImageList> {
        self.manifest.file(&ok_list(product))?;
        serde_json::from_slice(&std::fs::read(self.path(&ok_list(product))).ok()?).ok()
    }
}
