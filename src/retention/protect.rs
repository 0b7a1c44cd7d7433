//! Files in drop folders that are used as ok images or references: an engineer may put a link to a good image into `ok/`.

use super::remove::FileId;
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one product that must stay.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// Its ok folder.
    pub ok: PathBuf,
    /// Its reference image.
    pub reference: Option<PathBuf>,
}

impl Guarded {
    /// The ok folder itself, the targets of its entries, and the target of the reference.
    ///
    /// # Errors
    /// When the ok folder cannot be read. A missing one protects nothing.
    pub fn files(&self) -> io::Result<HashSet<FileId>> {
        let mut files: HashSet<FileId> = self.reference.iter().filter_map(|path| id(path)).collect();
        let entries = match std::fs::read_dir(&self.ok) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            other => other?,
        };
        files.extend(id(&self.ok));
        for entry in entries {
            files.extend(id(&entry?.path()));
        }
        Ok(files)
    }
}

fn id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// The files that must stay, for all products.
#[derive(Debug, Default)]
pub struct Protected {
    /// By product; `None` = not learned yet.
    of_products: Vec<Option<HashSet<FileId>>>,
    all: Arc<HashSet<FileId>>,
}

impl Protected {
    /// For this many products.
    pub fn new(products: usize) -> Self {
        Self { of_products: vec![None; products], ..Self::default() }
    }

    /// Takes the files found for a product. If an ok folder lost all its files, for example because its share is not mounted, the old files
    /// stay protected.
    pub fn learn(&mut self, product: usize, found: HashSet<FileId>) {
        if let Some(slot) = self.of_products.get_mut(product)
            && slot.as_ref().is_none_or(|before| found.len() > 1 || before.len() <= 1)
        {
            *slot = Some(found);
            self.all = Arc::new(self.of_products.iter().flatten().flatten().copied().collect());
        }
    }

    /// The files that must stay; `None` until they are known for every product.
    pub fn all(&self) -> Option<Arc<HashSet<FileId>>> {
        self.of_products.iter().all(Option::is_some).then(|| Arc::clone(&self.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_ok_folder_links_to_is_guarded_even_when_the_folder_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("ok")).unwrap();
        for name in ["image", "golden"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let guarded = Guarded { ok: path("ok"), reference: Some(path("golden")) };
        std::os::unix::fs::symlink(path("image"), path("ok/good.png")).unwrap();
        let found = guarded.files().unwrap();
        assert_eq!(found, ["ok", "image", "golden"].iter().filter_map(|name| id(&path(name))).collect());

        let mut protected = Protected::new(2);
        protected.learn(0, found.clone());
        assert_eq!(protected.all(), None);
        protected.learn(1, HashSet::new());
        assert_eq!(protected.all().as_deref(), Some(&found));
        std::fs::remove_file(path("ok/good.png")).unwrap();
        std::fs::remove_file(path("golden")).unwrap();
        protected.learn(0, guarded.files().unwrap());
        assert_eq!(protected.all().as_deref(), Some(&found));
    }
}
