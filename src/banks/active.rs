//! Which bank each product uses now. The rebuilders and the bank keepers write it, and every image reads it.

use super::RecordedDigests;
use crate::domain::EngineSize;
use crate::patchcore::BankRecord;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::PathBuf;

/// The bank in use by one product.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveBank {
    /// Version number.
    pub version: u64,
    /// Its folder.
    pub dir: PathBuf,
    /// The size that its images are resized to.
    pub size: EngineSize,
    /// Its row in the history.
    pub bank_id: i64,
    /// The file digests and thresholds from its row.
    pub record: BankRecord,
    /// The SHA-256 of `tau.json` from its row.
    pub tau_sha256: String,
}

impl ActiveBank {
    /// The digests of the three files from its row.
    pub fn digests(&self) -> RecordedDigests {
        let BankRecord { rows_sha256, config_sha256, .. } = self.record.clone();
        RecordedDigests { rows: rows_sha256, config: config_sha256, tau: self.tau_sha256.clone() }
    }
}

/// What the daemon knows of a product's bank.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum BankState {
    /// Nothing yet: neither the history nor the bank folder answered. The product may have a bank, so nothing is built.
    #[default]
    Unknown,
    /// The product has no bank: the history knows none, and the folder holds none.
    None,
    /// The product has this bank.
    InUse(ActiveBank),
}

/// The banks in use, by product name.
#[derive(Debug, Default)]
pub struct ActiveBanks {
    banks: Mutex<HashMap<String, BankState>>,
}

impl ActiveBanks {
    /// The bank of a product, if it has one.
    pub fn get(&self, product: &str) -> Option<ActiveBank> {
        match self.state(product) {
            BankState::InUse(bank) => Some(bank),
            BankState::None | BankState::Unknown => None,
        }
    }

    /// What the daemon knows of a product's bank.
    pub fn state(&self, product: &str) -> BankState {
        self.lock().get(product).cloned().unwrap_or_default()
    }

    /// Puts a new bank in use.
    pub fn set(&self, product: &str, bank: ActiveBank) {
        self.lock().insert(product.to_owned(), BankState::InUse(bank));
    }

    /// Takes what history and folder said. A bank that was put in use meanwhile stays.
    pub fn found(&self, product: &str, state: BankState) {
        let mut banks = self.lock();
        let known = banks.entry(product.to_owned()).or_default();
        if *known == BankState::Unknown {
            *known = state;
        }
    }

    /// Replaces the bank of this row; a bank of another row stays.
    pub fn replace(&self, product: &str, bank_id: i64, bank: ActiveBank) {
        if let Some(BankState::InUse(known)) = self.lock().get_mut(product)
            && known.bank_id == bank_id
        {
            *known = bank;
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, BankState>> {
        self.banks.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Tau;

    fn bank(bank_id: i64) -> ActiveBank {
        let record = BankRecord { rows_sha256: "r".into(), config_sha256: "c".into(), tau: Tau { pixel: 1.0, image: 2.0 } };
        ActiveBank { version: 1, dir: "/b".into(), size: EngineSize::new(64, 1), bank_id, record, tau_sha256: "t".into() }
    }

    #[test]
    fn what_came_later_is_not_replaced_by_what_was_found_before() {
        let banks = ActiveBanks::default();
        assert_eq!(banks.state("p"), BankState::Unknown);
        banks.found("p", BankState::None);
        assert_eq!((banks.state("p"), banks.get("p")), (BankState::None, None));
        banks.set("p", bank(2));
        banks.found("p", BankState::InUse(bank(1)));
        banks.replace("p", 1, bank(3));
        assert_eq!(banks.get("p"), Some(bank(2)));
        banks.replace("p", 2, bank(3));
        assert_eq!(banks.get("p"), Some(bank(3)));
        banks.replace("q", 2, bank(3));
        assert_eq!(banks.state("q"), BankState::Unknown);
    }
}
