//! The OK images of one product, and a fingerprint that tells whether a bank was built from just these.

use crate::files::mtime_ns;
use crate::inspection::{BuildOptions, has_image_extension, is_own_output};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The images in `folder` itself (no sub-folders), sorted by name; hidden files and the daemon's own outputs are left out.
///
/// # Errors
/// When the folder cannot be listed.
pub fn list_images(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(OkFolder::list(folder)?.paths())
}

/// A listing of an ok folder at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OkFolder {
    files: Vec<OkFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OkFile {
    path: PathBuf,
    size: u64,
    mtime_ns: i64,
    /// Was not what is listed when it was read.
    changed: bool,
}

impl OkFolder {
    /// Lists the images of `folder`, sorted by name.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
            if hidden || !has_image_extension(&path) || is_own_output(&path) {
                continue;
            }
            // Links to images elsewhere are welcome here: the engineer put them there.
            match std::fs::metadata(&path) {
                Ok(meta) if meta.is_file() => {
                    files.push(OkFile { path, size: meta.len(), mtime_ns: mtime_ns(&meta), changed: false });
                }
                _ => {}
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// The images, sorted by name.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Size and modification time (ns since 1970) of the image of this index, as listed.
    pub fn version(&self, index: usize) -> Option<(u64, i64)> {
        self.files.get(index).map(|file| (file.size, file.mtime_ns))
    }

    /// The listing without an image that was gone when it was to be read.
    pub fn without(&mut self, path: &Path) {
        self.files.retain(|file| file.path != path);
    }

    /// Marks an image that was not what was listed when it was read, so that the fingerprint equals no listing.
    pub fn mark_changed(&mut self, path: &Path) {
        self.files.iter_mut().filter(|file| file.path == path).for_each(|file| file.changed = true);
    }

    /// Hex digest over names, sizes, times and the options that shape the bank: equal = nothing to rebuild.
    pub fn fingerprint(&self, options: &BuildOptions) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{options:?}\0").as_bytes());
        for file in &self.files {
            let name = file.path.file_name().unwrap_or_default();
            hasher.update(name.as_bytes()).update(format!("\0{}\0{}\0", file.size, file.mtime_ns).as_bytes());
            if file.changed {
                hasher.update(b"changed\0");
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_follows_files_and_options() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "1").unwrap();
        let list = || OkFolder::list(folder.path()).unwrap();
        let options = BuildOptions::default();
        let before = list().fingerprint(&options);
        assert_eq!(before, list().fingerprint(&options));
        for ignored in [".b.png", "a.png.mask.png", "notes.txt"] {
            std::fs::write(folder.path().join(ignored), "2").unwrap();
        }
        assert_eq!(before, list().fingerprint(&options));
        assert_ne!(before, list().fingerprint(&BuildOptions { seed: 1, ..options.clone() }));
        std::fs::write(folder.path().join("b.png"), "2").unwrap();
        assert_ne!(before, list().fingerprint(&options));
        assert_eq!(list().len(), 2);
    }
}
