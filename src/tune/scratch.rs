//! The temporary folder of a comparison.

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A temporary folder that goes when this value goes, and also when a person or the system ends the program.
pub(super) struct ScratchFolder {
    folder: TempDir,
}

impl ScratchFolder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let make = || tempfile::Builder::new().prefix("patchcored-tune-").tempdir();
        let folder = make().context("cannot make a temporary folder; set TMPDIR to a folder with 200 MB of free space")?;
        let path = folder.path().to_owned();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen to signals")?;
        std::thread::spawn(move || {
            for signal in &mut signals {
                let _ = std::fs::remove_dir_all(&path);
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
        Ok(Self { folder })
    }

    /// Makes the folder `name` with a symbolic link to each of the images.
    pub(super) fn link(&self, name: &str, images: &[PathBuf]) -> anyhow::Result<PathBuf> {
        let folder = self.path(name);
        std::fs::create_dir(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        for image in images {
            let whole = image.canonicalize().with_context(|| format!("{}: cannot be found any more", image.display()))?;
            let link = folder.join(image.file_name().unwrap_or_default());
            std::os::unix::fs::symlink(whole, &link).with_context(|| format!("{}: cannot be made", link.display()))?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_and_the_images_stay() {
        let ok = tempfile::tempdir().unwrap();
        let image = ok.path().join("a.png");
        std::fs::write(&image, "pixels").unwrap();
        let scratch = ScratchFolder::new().unwrap();
        let links = scratch.link("ok", std::slice::from_ref(&image)).unwrap();
        assert_eq!(std::fs::read(links.join("a.png")).unwrap(), b"pixels");
        let folder = scratch.path("");
        drop(scratch);
        assert!(!folder.exists() && image.exists());
    }
}
