//! The loaded banks: an LRU of at most `bank_cache`.

use crate::patchcore::{EngineError, MemoryBank};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Banks held in memory, the least recently used given up first.
pub struct BankLibrary {
    banks: LruCache<PathBuf, MemoryBank>,
}

impl BankLibrary {
    /// Holds at most `capacity` banks.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { banks: LruCache::new(capacity) }
    }

    /// The bank in `dir` (a version folder, which never changes); where it has to be loaded, `place` then puts it where it is used.
    ///
    /// # Errors
    /// When the bank cannot be read or placed.
    pub fn get(
        &mut self,
        dir: &Path,
        place: impl FnOnce(MemoryBank) -> Result<MemoryBank, EngineError>,
    ) -> Result<&MemoryBank, EngineError> {
        // Loaded before an old one is given up would need room for one more.
        if !self.banks.contains(dir) && self.banks.len() == self.banks.cap().get() {
            self.banks.pop_lru();
        }
        self.banks.try_get_or_insert_ref(dir, || place(MemoryBank::load(dir)?))
    }

    /// Gives up a bank that is no longer current.
    pub fn forget(&mut self, dir: &Path) {
        self.banks.pop(dir);
    }
}
