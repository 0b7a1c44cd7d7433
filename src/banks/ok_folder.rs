//! The OK images of one product, and a fingerprint that tells whether a bank was built from exactly these.

use super::fingerprint::Fingerprint;
use crate::domain::{BuildOptions, has_image_extension, is_own_output};
use crate::platform::files::mtime_ns;
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

/// One OK image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OkFile {
    /// Its path.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The image changed after the listing, before it was read.
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
            // Links to images elsewhere are allowed here: the engineer put them there.
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

    /// The images, sorted by name.
    pub fn files(&self) -> &[OkFile] {
        &self.files
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Size and modification time (ns since 1970) of the image at this index, as listed.
    pub fn version(&self, index: usize) -> Option<(u64, i64)> {
        self.files.get(index).map(|file| (file.size, file.mtime_ns))
    }

    /// Removes an image from the listing that was gone when it was to be read.
    pub fn without(&mut self, path: &Path) {
        self.files.retain(|file| file.path != path);
    }

    /// Marks an image that had changed when it was read, so that the fingerprint equals no listing.
    pub fn mark_changed(&mut self, path: &Path) {
        self.files.iter_mut().filter(|file| file.path == path).for_each(|file| file.changed = true);
    }

    /// A hash over names, sizes, times and the options that shape the bank: equal = nothing to rebuild.
    pub fn fingerprint(&self, options: &BuildOptions) -> Fingerprint {
        Fingerprint::of(options, |hasher| {
            for file in &self.files {
                let name = file.path.file_name().unwrap_or_default();
                hasher.update(name.as_bytes()).update(format!("\0{}\0{}\0", file.size, file.mtime_ns).as_bytes());
                if file.changed {
                    hasher.update(b"changed\0");
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banks::fingerprint::tests::all_other;
    use std::ffi::OsStr;

    /// A made-up listing, in which one image changed before it was read, or none.
    fn listing(changed: Option<usize>) -> OkFolder {
        let files: [(&[u8], u64, i64); 3] =
            [(b"ok001.png", 1234, 1_795_000_000_123_456_789), (b"ok002.png", 0, 0), (b"\xff\xc3\xa4.png", 7_000_000_000, -1)];
        let file = |(index, (name, size, mtime_ns)): (usize, (&[u8], u64, i64))| {
            let path = Path::new("/plant/ok").join(OsStr::from_bytes(name));
            OkFile { path, size, mtime_ns, changed: changed == Some(index) }
        };
        OkFolder { files: files.into_iter().enumerate().map(file).collect() }
    }

    /// The fingerprints of these listings and options from version 0.1.0, and those of the form after it. Databases of plants hold both for ever.
    #[test]
    fn stored_fingerprints_of_every_form_are_recognised() {
        let (as_listed, changed, empty) = (listing(None), listing(Some(1)), OkFolder { files: Vec::new() });
        let default = BuildOptions::default();
        let guide = BuildOptions::guide();
        let other = all_other();
        let stored = [
            (
                &as_listed,
                &default,
                "aff35b54ea2fdfbdd2492b6d17a3d8747c6bf87ee4a73a12b1d92aa74d82a5a4",
                "2:8aa4bd8cb0c2ccf8834bb5fbfad4a45bb91906b6aabca613a326b17ae3d939a2",
            ),
            (
                &changed,
                &default,
                "e6d60a02f47e8efe51c63ba972292ccc3abc7f90e2147b55e5e2fe8a7d47f20e",
                "2:f6f41166ee6501b5c3fa113da56fa346a9dd6017685bbe26f54954a7f14bb92c",
            ),
            (
                &empty,
                &default,
                "20251476e253f27877f37c1ee635f009fe67ca60b7760f8aab9aab6553581a87",
                "2:2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
            ),
            (
                &as_listed,
                &guide,
                "e391f5bb31a0f7a44f310b929f14a231fa9adc6c1ce97ec64031ea8a033c92f4",
                "2:79acddc1b414986b0adb4384c1506fc09e8642658cd8dd72229bf49808860009",
            ),
            (
                &as_listed,
                &other,
                "c366c02c8a8b969210294aa2e2fc9f084f8ae85d42e81e25088139954b3b4a29",
                "2:f0e9078bf5f909e0cac894dfb3cf49fdcfc26027bfc56d6297f31a2af1ac1dbf",
            ),
            (
                &changed,
                &other,
                "f01cc6b6e8915ec58ba996648f2fb227d7b27a5d8b24c39283f61f62062126f1",
                "2:99d257968f0120f1c094d736816232c99445fe83a8af790fd2b161c1e56c9e7f",
            ),
            (
                &empty,
                &other,
                "41dc8517fe9c9708b5630b8ef7b37bbba375eb8f17c5bc733d4c1d796f343fc4",
                "2:838f81a853b460359ae73c6e83ebba5f841e328e09b1959e6ae15380a3a3f01b",
            ),
        ];
        for (row, (folder, options, ..)) in stored.iter().enumerate() {
            let fingerprint = folder.fingerprint(options);
            for (other_row, (_, _, form_1, form_2)) in stored.iter().enumerate() {
                assert_eq!(fingerprint.matches(form_1), row == other_row, "{row} {form_1}");
                assert_eq!(fingerprint.matches(form_2), row == other_row, "{row} {form_2}");
            }
        }
    }

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
