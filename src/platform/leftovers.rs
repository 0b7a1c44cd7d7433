//! Temporary files that a killed daemon left beside the outputs it was writing.

use super::files;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The output folders that were cleared.
#[derive(Debug, Default)]
pub struct Leftovers {
    cleared: Mutex<HashSet<PathBuf>>,
}

impl Leftovers {
    /// Removes the leftovers of other processes in `folder`. Once is enough, as this process removes its own. All outputs of an image go
    /// to one folder, so a call for each image that had an attempt before finds all leftovers.
    pub fn clear(&self, folder: &Path) {
        let first = self.cleared.lock().insert(folder.to_owned());
        if first
            && let Err(error) = files::remove_leftovers(folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "temporary files of a killed daemon are not removed");
        }
    }
}
