//! The loaded banks: an LRU of at most `bank_cache`.

use crate::patchcore::{BankRecord, EngineError, MemoryBank};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::path::Path;

/// What a loaded bank goes by: the SHA-256 of its rows and of its configuration. Neither its folder, as version numbers start again
/// when a bank folder is emptied, nor its thresholds, which people change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BankKey {
    rows_sha256: String,
    config_sha256: String,
}

impl BankKey {
    /// Of the bank that was recorded so.
    pub fn of(record: &BankRecord) -> Self {
        Self { rows_sha256: record.rows_sha256.clone(), config_sha256: record.config_sha256.clone() }
    }
}

/// Banks held in memory, the least recently used given up first.
pub struct BankLibrary {
    banks: LruCache<BankKey, MemoryBank>,
}

impl BankLibrary {
    /// Holds at most `capacity` banks.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { banks: LruCache::new(capacity) }
    }

    /// The banks in memory.
    pub fn loaded(&self) -> Vec<BankKey> {
        self.banks.iter().map(|(key, _)| key.clone()).collect()
    }

    /// The bank that was recorded so, in the version folder `dir`; where it has to be loaded, `place` then puts it where it is used.
    /// Its thresholds are those of the record that it was loaded by, and so not to be used.
    ///
    /// # Errors
    /// When the bank cannot be read, is not the recorded one, or cannot be placed.
    pub fn get(
        &mut self,
        dir: &Path,
        record: &BankRecord,
        place: impl FnOnce(MemoryBank) -> Result<MemoryBank, EngineError>,
    ) -> Result<&MemoryBank, EngineError> {
        let key = BankKey::of(record);
        // Loaded before an old one is given up would need room for one more.
        if !self.banks.contains(&key) && self.banks.len() == self.banks.cap().get() {
            self.banks.pop_lru();
        }
        self.banks.try_get_or_insert(key, || place(MemoryBank::load_recorded(dir, record)?))
    }
}
