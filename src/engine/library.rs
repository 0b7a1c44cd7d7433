//! The loaded banks: an LRU of at most `bank_cache`.

use crate::patchcore::{BankRecord, EngineError, MemoryBank};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::path::Path;

/// The key of a loaded bank: the SHA-256 of its rows and of its configuration. Its folder is not part of the key, as version numbers
/// start again when a bank folder is emptied; nor are its thresholds, which people change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BankKey {
    rows_sha256: String,
    config_sha256: String,
}

impl BankKey {
    /// The key of the bank of this record.
    pub fn of(record: &BankRecord) -> Self {
        Self { rows_sha256: record.rows_sha256.clone(), config_sha256: record.config_sha256.clone() }
    }
}

/// Banks held in memory; the least recently used one is dropped first.
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

    /// True when the bank is in memory.
    pub fn holds(&self, key: &BankKey) -> bool {
        self.banks.contains(key)
    }

    /// Drops the least recently used bank where there is no room for one more: loading first would need room for both.
    pub fn make_room(&mut self) {
        if self.banks.len() == self.banks.cap().get() {
            self.banks.pop_lru();
        }
    }

    /// The bank of this record, in the version folder `dir`. If it must be loaded, `place` then moves it to where it is used. Do not use
    /// its thresholds: they belong to the record that it was loaded by.
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
        self.banks.try_get_or_insert(key, || place(MemoryBank::load_recorded(dir, record)?))
    }
}
