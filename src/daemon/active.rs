//! Which bank each product uses now. Written by the rebuilders, read for every image.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The bank in use by one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveBank {
    /// Version number.
    pub version: u64,
    /// Its folder, which never changes.
    pub dir: PathBuf,
    /// Short side that its images are resized to, pixels.
    pub shorter: u32,
    /// Its row in the history.
    pub bank_id: i64,
}

/// The banks in use, by product name.
#[derive(Debug, Default)]
pub struct ActiveBanks {
    banks: Mutex<HashMap<String, ActiveBank>>,
}

impl ActiveBanks {
    /// The bank of a product, if it has one.
    pub fn get(&self, product: &str) -> Option<ActiveBank> {
        self.lock().get(product).cloned()
    }

    /// Puts a new bank in use.
    pub fn set(&self, product: &str, bank: ActiveBank) {
        self.lock().insert(product.to_owned(), bank);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, ActiveBank>> {
        // The map is whole at every moment, whoever panicked.
        self.banks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
