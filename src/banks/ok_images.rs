//! The OK images of a build, and whether they matched the listing when they were read.

use super::OkFolder;
use crate::domain::{EngineSize, ResizedImage};
use crate::imaging::ImageError;
use crate::inspect::{Expectation, Source, read_linked};
use crate::patchcore::{ImageSource, UnusableImage};
use parking_lot::Mutex;
use std::path::PathBuf;

/// The OK images, read one at a time.
pub(super) struct OkImages {
    listing: OkFolder,
    paths: Vec<PathBuf>,
    /// For each image, the state when it was read; `None` before that.
    found: Vec<Mutex<Option<Found>>>,
    size: EngineSize,
    expect: Expectation,
}

/// An image when it was read, compared with the listing.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    AsListed,
    Changed,
    Gone,
}

impl OkImages {
    pub(super) fn new(listing: OkFolder, size: EngineSize, expect: Expectation) -> Self {
        let paths = listing.paths();
        let found = paths.iter().map(|_| Mutex::new(None)).collect();
        Self { listing, paths, found, size, expect }
    }

    /// The listing, corrected by what was really read: it leaves out images that were gone. Changed images make it differ from any
    /// listing, so that a bank from a folder that changed during the build is built again.
    pub(super) fn as_read(&self) -> OkFolder {
        let mut listing = self.listing.clone();
        for (path, found) in self.paths.iter().zip(&self.found) {
            match *found.lock() {
                None | Some(Found::AsListed) => {}
                Some(Found::Changed) => listing.mark_changed(path),
                Some(Found::Gone) => listing.without(path),
            }
        }
        listing
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    fn note(&self, index: usize, read: Result<&Source, &ImageError>) {
        let listed = self.listing.version(index);
        let found = match read {
            Ok(source) if listed != Some((source.version.size, source.version.mtime_ns)) => Found::Changed,
            Err(ImageError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Found::Gone,
            // The bank holds nothing of a refused image; the next listing shows whether the image has changed.
            _ => Found::AsListed,
        };
        let mut noted = self.found[index].lock();
        // At the second read, for tau, an image may have changed. If it is gone by then, its patches are still in the bank.
        if noted.is_none() || found == Found::Changed {
            *noted = Some(found);
        }
    }
}

impl ImageSource for OkImages {
    fn names(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    }

    fn load(&self, index: usize) -> Result<ResizedImage, UnusableImage> {
        let path = &self.paths[index];
        let read = read_linked(path, &self.expect, self.size);
        self.note(index, read.as_ref().map(|(source, _)| source));
        read.map(|(_, resized)| resized).map_err(|error| UnusableImage(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BuildOptions;

    #[test]
    fn the_fingerprint_is_of_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, side| image::GrayImage::new(side, side).save(path(name)).unwrap();
        for name in ["a.png", "b.png", "c.png"] {
            write(name, 40);
        }
        std::fs::write(path("junk.png"), "no image, and never was one").unwrap();
        let list = || OkFolder::list(folder.path()).unwrap();
        let print = |folder: &OkFolder| folder.fingerprint(&BuildOptions::default());
        let read_all = |images: &OkImages| (0..images.paths.len()).for_each(|index| drop(images.load(index)));
        let expect = Expectation { max_megapixels: 1, ..Expectation::default() };
        let images = || OkImages::new(list(), EngineSize::new(32, 1), expect.clone());

        let before = print(&list());
        let still = images();
        read_all(&still);
        assert_eq!(print(&still.as_read()), before, "junk belongs to it: the same junk is no reason to build again");

        let (vanished, changed, late) = (images(), images(), images());
        read_all(&late);
        std::fs::rename(path("c.png"), path("away")).unwrap();
        read_all(&vanished);
        read_all(&late);
        assert_eq!(print(&vanished.as_read()), print(&list()), "what was gone is not in the bank");
        assert_eq!(print(&late.as_read()), before, "gone after it was read, it is in the bank");
        std::fs::rename(path("away"), path("c.png")).unwrap();
        assert_eq!(print(&list()), before);
        assert_ne!(print(&vanished.as_read()), before, "back again, it has to be built in");

        write("b.png", 41);
        read_all(&changed);
        for now in [before, print(&list())] {
            assert_ne!(print(&changed.as_read()), now, "neither the old listing nor the new one");
        }
    }
}
