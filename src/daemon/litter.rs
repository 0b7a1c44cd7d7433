//! Temporary files that a killed daemon left beside the outputs it was writing.

use crate::files;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The output folders that have been cleared.
#[derive(Debug, Default)]
pub struct Litter {
    cleared: Mutex<HashSet<PathBuf>>,
}

impl Litter {
    /// Removes what another process left in `folder`; once is enough, since this one removes its own. Outputs of an image go to one
    /// folder, so doing this where an image had an attempt before finds all that there can be.
    pub fn clear(&self, folder: &Path) {
        let first = self.cleared.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        if first
            && let Err(error) = files::remove_litter(folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "temporary files of a killed daemon are not removed");
        }
    }
}
