//! Files are copied, hashed and synced on the way; as root, what is made belongs to the owner of the folder that it is made in.

use super::error::BackupError;
use super::manifest::SavedFile;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;

/// Copies everything from `from` to `to`; returns the number of bytes and their SHA-256.
pub(super) fn copy(from: &Path, to: &mut File, to_path: &Path) -> Result<(u64, String), BackupError> {
    let read = |error| BackupError::Read { file: from.to_owned(), error };
    let write = |error| BackupError::Write { file: to_path.to_owned(), error };
    let mut source = plain_file(from).map_err(read)?;
    let (mut digest, mut bytes, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        let count = source.read(&mut block).map_err(read)?;
        if count == 0 {
            break;
        }
        digest.update(&block[..count]);
        to.write_all(&block[..count]).map_err(write)?;
        bytes += count as u64;
    }
    to.sync_all().map_err(write)?;
    Ok((bytes, hex(digest)))
}

/// Copies a file into the backup's folder `root`, under the path `path`, which must be free.
pub(super) fn save_copy(from: &Path, root: &Path, path: &str) -> Result<SavedFile, BackupError> {
    let target = root.join(path);
    let mut to = File::create_new(&target).map_err(|error| BackupError::Write { file: target.clone(), error })?;
    let (bytes, sha256) = copy(from, &mut to, &target)?;
    Ok(SavedFile { path: path.to_owned(), bytes, sha256 })
}

/// Writes a value as JSON into the backup's folder `root`.
pub(super) fn save_json(value: &impl Serialize, root: &Path, path: &str) -> Result<SavedFile, BackupError> {
    let target = root.join(path);
    let write = |error| BackupError::Write { file: target.clone(), error };
    let content = serde_json::to_vec_pretty(value).map_err(|error| write(error.into()))?;
    let mut to = File::create_new(&target).map_err(write)?;
    to.write_all(&content).and_then(|()| to.sync_all()).map_err(write)?;
    Ok(SavedFile { path: path.to_owned(), bytes: content.len() as u64, sha256: hex(Sha256::new_with_prefix(&content)) })
}

/// The bytes and the SHA-256 of a file.
pub(super) fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let bytes = io::copy(&mut plain_file(path)?, &mut digest)?;
    Ok((bytes, hex(digest)))
}

/// Opens a file, and does not wait for a pipe in its place.
fn plain_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    File::open(path)
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As root, gives a file, folder or link to the owner of the folder that it lies in. The service has to be able to work with it.
pub(super) fn give_to_owner_of_folder(path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = std::fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    match lchown(path, Some(folder.uid()), Some(folder.gid())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// As root, gives a file to the group of a folder: the service reads its configuration through its group.
pub(super) fn give_to_group_of(path: &Path, folder: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    lchown(path, None, Some(std::fs::metadata(folder)?.gid()))
}

/// Makes a folder and those above it, as far as they are missing, each for the owner of the one above.
pub(super) fn make_folder(folder: &Path) -> Result<(), BackupError> {
    let missing: Vec<PathBuf> = folder.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    for path in missing.into_iter().rev() {
        let write = |error| BackupError::Write { file: path.clone(), error };
        std::fs::create_dir(&path).map_err(write)?;
        give_to_owner_of_folder(&path).map_err(write)?;
    }
    Ok(())
}
