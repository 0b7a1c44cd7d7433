//! The loaded banks: an LRU of at most `bank_cache`.

use crate::patchcore::{EngineError, MemoryBank};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::path::Path;

/// Banks held in memory, the least recently used given up first.
///
/// They go by the id of their row in the history, not by their folder: version numbers start again when a bank folder is emptied.
pub struct BankLibrary {
    banks: LruCache<i64, MemoryBank>,
}

impl BankLibrary {
    /// Holds at most `capacity` banks.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { banks: LruCache::new(capacity) }
    }

    /// The ids of the banks in memory.
    pub fn loaded(&self) -> Vec<i64> {
        self.banks.iter().map(|(id, _)| *id).collect()
    }

    /// The bank `id` in `dir` (a version folder, which never changes); where it has to be loaded, `place` then puts it where it is
    /// used.
    ///
    /// # Errors
    /// When the bank cannot be read or placed.
    pub fn get(
        &mut self,
        id: i64,
        dir: &Path,
        place: impl FnOnce(MemoryBank) -> Result<MemoryBank, EngineError>,
    ) -> Result<&MemoryBank, EngineError> {
        // Loaded before an old one is given up would need room for one more.
        if !self.banks.contains(&id) && self.banks.len() == self.banks.cap().get() {
            self.banks.pop_lru();
        }
        self.banks.try_get_or_insert(id, || place(MemoryBank::load(dir)?))
    }
}
