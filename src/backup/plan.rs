//! What a restore has to do, found out before it changes anything.

use super::checked::CheckedBackup;
use super::error::BackupError;
use super::manifest::{CONFIG, HISTORY, SavedBank};
use crate::banks::{BANK_FILES, BankFolder, BankInPlace};
use crate::config::{Config, ConfigError, ProductConfig};
use crate::database::{history_file, history_size};
use std::path::Path;

/// What a restore has to do.
#[derive(Debug)]
pub struct Plan {
    /// With the configuration.
    pub config: PlannedConfig,
    /// With the history.
    pub history: PlannedHistory,
    /// With each bank.
    pub banks: Vec<BankPlan>,
    /// The products of the backup that the configuration does not have.
    pub unknown_products: Vec<String>,
}

/// What becomes of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedConfig {
    /// There is none; that of the backup is put there.
    Put,
    /// It is that of the backup.
    Same,
    /// It is another one, and stays.
    Differs,
}

/// What becomes of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedHistory {
    /// There is none.
    Put,
    /// It is that of the backup.
    Same,
    /// There is another one, of so many bytes.
    Replace(u64),
}

/// What becomes of a bank.
#[derive(Debug)]
pub struct BankPlan {
    /// The bank in the backup.
    pub bank: SavedBank,
    /// Its product.
    pub(super) product: ProductConfig,
    /// What is there.
    pub in_place: BankInPlace,
}

impl Plan {
    /// Looks at everything and changes nothing.
    pub(super) fn make(backup: &CheckedBackup, config: &Config, config_plan: PlannedConfig) -> Result<Self, BackupError> {
        let mut plan =
            Self { config: config_plan, history: history(backup, &config.database)?, banks: Vec::new(), unknown_products: Vec::new() };
        for bank in &backup.manifest.banks {
            match config.products.iter().find(|product| product.name == bank.product) {
                Some(product) => plan.banks.push(BankPlan::make(backup, bank, product)?),
                None => plan.unknown_products.push(bank.product.clone()),
            }
        }
        Ok(plan)
    }

    /// Fails when something would be replaced and nobody said that it may be.
    pub(super) fn check(&self, database: &Path, replace: bool) -> Result<(), BackupError> {
        let mut in_the_way = Vec::new();
        if let PlannedHistory::Replace(bytes) = self.history {
            in_the_way.push(format!("  {}: a history of {} KiB is there", database.display(), bytes.div_ceil(1024)));
        }
        for BankPlan { bank, product, in_place } in &self.banks {
            if let BankInPlace::Other { what, .. } = in_place {
                in_the_way.push(format!(
                    "  {}: {what}; the backup has version {} of {}",
                    product.bank.display(),
                    bank.version,
                    bank.product
                ));
            }
        }
        if replace || in_the_way.is_empty() { Ok(()) } else { Err(BackupError::InTheWay(in_the_way)) }
    }
}

impl BankPlan {
    fn make(backup: &CheckedBackup, bank: &SavedBank, product: &ProductConfig) -> Result<Self, BackupError> {
        let is_same = |dir: &Path| {
            for name in BANK_FILES {
                if !backup.is_same(&format!("{}{name}", bank.folder()), &dir.join(name))? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let in_place = BankFolder::new(&product.bank).in_place(bank.version, is_same);
        let in_place = in_place.map_err(|error| BackupError::Bank { product: bank.product.clone(), error })?;
        Ok(Self { bank: bank.clone(), product: product.clone(), in_place })
    }
}

fn history(backup: &CheckedBackup, database: &Path) -> Result<PlannedHistory, BackupError> {
    let read = |error| BackupError::Read { file: database.to_owned(), error };
    match history_size(database).map_err(read)? {
        0 => Ok(PlannedHistory::Put),
        // With rows in its log it is longer.
        bytes if Some(bytes) == backup.manifest.file(HISTORY).map(|saved| saved.bytes) => {
            let same = backup.is_same(HISTORY, &history_file(database)).map_err(read)?;
            Ok(if same { PlannedHistory::Same } else { PlannedHistory::Replace(bytes) })
        }
        bytes => Ok(PlannedHistory::Replace(bytes)),
    }
}

/// The configuration that says where everything belongs: the one in its place, or else the one of the backup as if it were there.
pub(super) fn configuration(backup: &CheckedBackup, file: &Path) -> Result<(Config, PlannedConfig), BackupError> {
    if file.symlink_metadata().is_ok() {
        let config = Config::load(file)?;
        let same = backup.is_same(CONFIG, file).map_err(|error| BackupError::Read { file: file.to_owned(), error })?;
        return Ok((config, if same { PlannedConfig::Same } else { PlannedConfig::Differs }));
    }
    let saved = backup.path(CONFIG);
    let text = std::fs::read_to_string(&saved).map_err(|error| BackupError::Read { file: saved.clone(), error })?;
    let whole = std::path::absolute(file).map_err(|error| BackupError::Read { file: file.to_owned(), error })?;
    let config = Config::parse_in(&text, whole.parent()).map_err(|problems| ConfigError::Problems { path: saved, problems })?;
    Ok((config, PlannedConfig::Put))
}
