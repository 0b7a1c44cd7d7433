//! Files that appear whole or not at all: temporary name in the same folder, sync, rename, sync the folder.
//!
//! Temporary names start with [`crate::domain::TEMPORARY_PREFIX`], so no watcher takes them for images. A word of this process follows,
//! to tell the leftovers of a killed process from the files that are being written.

use crate::domain::TEMPORARY_PREFIX;
use crate::platform::crash_point;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::NamedTempFile;

/// The start of the temporary names of this process.
static OWN_PREFIX: LazyLock<String> = LazyLock::new(|| format!("{TEMPORARY_PREFIX}{:016x}-", RandomState::new().hash_one(0)));

/// When the content of a file was last changed, in nanoseconds since 1970. A time outside the years 1677 to 2262 becomes the nearest time
/// inside: files come with any time.
pub fn mtime_ns(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// Bytes of a temporary name: the prefix, the word of this process, a hyphen, and the part from tempfile.
pub const TEMPORARY_NAME: usize = TEMPORARY_PREFIX.len() + 16 + 1 + 6;

/// A temporary file in `folder`, removed when dropped, with the mode that the process's umask leaves of 0666.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(OWN_PREFIX.as_str())
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
}

/// A unique name for a file that is being removed from its folder; [`remove_leftovers`] finds it when this process dies.
pub fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}gone-{}", *OWN_PREFIX, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the temporary files and links of other processes in `folder`; those processes are assumed dead.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if is(TEMPORARY_PREFIX) && !is(&OWN_PREFIX) && !entry.file_type()?.is_dir() {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Writes `path` through `fill`; after an error or a crash the old file (or none) still exists.
pub fn replace<E: From<io::Error>>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>) -> Result<(), E> {
    let folder = parent(path);
    let (file, name) = temporary(folder)?.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|e| e.into_error())?;
    file.sync_all()?;
    crash_point::reach("file_written");
    name.persist(path).map_err(|e| e.error)?;
    crash_point::reach("file_renamed");
    sync_folder(folder)?;
    Ok(())
}

/// [`replace`] with given bytes.
pub fn replace_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |w| w.write_all(bytes))
}

/// Makes `link` a symbolic link to `target`, and replaces an old one in one step.
pub fn replace_symlink(target: &Path, link: &Path) -> io::Result<()> {
    let folder = parent(link);
    let name = tempfile::Builder::new().prefix(OWN_PREFIX.as_str()).make_in(folder, |path| std::os::unix::fs::symlink(target, path))?;
    crash_point::reach("link_made");
    name.into_temp_path().persist(link).map_err(|e| e.error)?;
    crash_point::reach("link_swapped");
    sync_folder(folder)
}

/// Renames a file or folder, and replaces nothing.
pub fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match to.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Makes names that were created, renamed or removed in `folder` survive a power cut, if its file system can. If not, warns once.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let open = File::open(folder)?;
    if !settle_sync(open.sync_all())? {
        tell_once(folder, &open);
    }
    Ok(())
}

/// False when the file system of the folder cannot sync folders: shares (CIFS before Linux 4.17), WSL and some in user space.
///
/// # Errors
/// When the folder cannot be opened, or its disk fails.
pub fn can_sync_folder(folder: &Path) -> io::Result<bool> {
    settle_sync(File::open(folder)?.sync_all())
}

fn settle_sync(synced: io::Result<()>) -> io::Result<bool> {
    match synced {
        Ok(()) => Ok(true),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Warns once for each file system.
fn tell_once(folder: &Path, open: &File) {
    static TOLD: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let Ok(device) = open.metadata().map(|meta| meta.dev()) else { return };
    let mut told = TOLD.lock();
    if told.get_or_insert_default().insert(device) {
        let folder = folder.display();
        tracing::warn!(%folder, "the file system cannot sync folders; after a power cut, names written in the last seconds may be missing");
    }
}

/// The path, quoted so that a shell takes it as one word.
pub fn shell_word(path: &Path) -> String {
    let shown = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if shown.chars().all(plain) && !shown.is_empty() { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace_bytes(&path, b"old").unwrap();
        let failed = replace(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let own = temporary(folder.path()).unwrap();
        assert_eq!(own.path().file_name().unwrap().len(), TEMPORARY_NAME);
        for name in [".patchcored-0123456789abcdef-x", ".patchcored-old", ".hidden", "a.png"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", folder.path().join(".patchcored-link")).unwrap();
        std::fs::create_dir(folder.path().join(".patchcored-dir")).unwrap();
        remove_leftovers(folder.path()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = vec![".hidden".into(), ".patchcored-dir".into(), "a.png".into(), own.path().file_name().unwrap().to_owned()];
        expected.sort();
        assert_eq!(left, expected);
        assert!(remove_leftovers(&folder.path().join("gone")).is_err());
    }

    #[test]
    fn a_folder_without_sync_is_no_failure_and_a_failing_disk_is() {
        assert!(settle_sync(Ok(())).unwrap() && can_sync_folder(&std::env::temp_dir()).unwrap());
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS] {
            assert!(!settle_sync(Err(errno.into())).unwrap(), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
            assert!(settle_sync(Err(errno.into())).is_err(), "{errno:?}");
        }
    }

    #[test]
    fn temporary_names_are_as_long_as_said_and_paths_are_quoted_for_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(temporary(folder.path()).unwrap().path().file_name().unwrap().len(), TEMPORARY_NAME);
        for (path, word) in [("/srv/a-b_1.x", "/srv/a-b_1.x"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'"), ("/$(x)", "'/$(x)'")] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }

    #[test]
    fn a_symlink_is_swapped() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        for target in ["000001", "000002"] {
            replace_symlink(Path::new(target), &link).unwrap();
            assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
