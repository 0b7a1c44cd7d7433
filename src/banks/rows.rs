//! The row of a bank version, made from its files.

use super::{ActiveBank, BANK_FILES, BankFolder};
use crate::config::ProductConfig;
use crate::domain::{BankTrigger, Tau};
use crate::history::NewBank;
use crate::patchcore::{BankFacts, BankRecord, MemoryBank, file_sha256};
use crate::platform::folder_io;
use jiff::Timestamp;
use std::path::PathBuf;

/// The facts in the files of a version folder.
///
/// # Errors
/// When they cannot be read, or are not those of a bank.
pub async fn describe(dir: PathBuf) -> anyhow::Result<BankFacts> {
    Ok(folder_io::work(move || MemoryBank::describe(&dir)).await??)
}

/// The row for the history of a version on disk.
///
/// # Errors
/// As [`describe`].
pub async fn bank_row(product: &ProductConfig, version: u64, trigger: BankTrigger) -> anyhow::Result<NewBank> {
    let dir = BankFolder::new(&product.bank).version_dir(version);
    let facts = describe(dir.clone()).await?;
    let sha256 = rows_sha256(&facts, dir).await?;
    Ok(new_bank(product, version, &facts, sha256, trigger))
}

/// The SHA-256 of `memory_bank.pt`: the one in `bank_config.json`, which is compared when the bank is loaded, or else that of the file.
///
/// # Errors
/// When the file cannot be read.
pub async fn rows_sha256(facts: &BankFacts, dir: PathBuf) -> anyhow::Result<String> {
    match &facts.config.memory_bank_sha256 {
        Some(sha256) => Ok(sha256.clone()),
        None => Ok(folder_io::work(move || file_sha256(&dir.join(BANK_FILES[0]))).await??),
    }
}

/// The row of a version, made from its files.
pub fn new_bank(product: &ProductConfig, version: u64, facts: &BankFacts, sha256: String, trigger: BankTrigger) -> NewBank {
    let BankFacts { config, config_sha256, tau, tau_sha256 } = facts;
    NewBank {
        product: product.name.clone(),
        version: version as i64,
        trigger,
        images: config.images.map(|n| n as i64),
        patches: config.patches.map(|n| n as i64),
        rows: config.rows.map(|n| n as i64),
        pixel_tau: tau.pixel,
        image_tau: tau.image,
        expected_false_alarms: config.false_alarms.map(|f| f.expected),
        false_alarms_bound: config.false_alarms.map(|f| f.bound),
        warning: config.tau_warning.clone(),
        comparison: None,
        seconds: None,
        path: BankFolder::new(&product.bank).version_dir(version),
        sha256,
        config_sha256: config_sha256.clone(),
        tau_sha256: tau_sha256.clone(),
        size: config.engine_size(),
        ok_fingerprint: config.ok_fingerprint.clone(),
        created_at: config.created_at.as_ref().and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now),
    }
}

/// The bank in use that a row stands for.
pub fn active_bank(bank: &NewBank, bank_id: i64) -> ActiveBank {
    let tau = Tau { pixel: bank.pixel_tau, image: bank.image_tau };
    let record = BankRecord { rows_sha256: bank.sha256.clone(), config_sha256: bank.config_sha256.clone(), tau };
    let (dir, tau_sha256) = (bank.path.clone(), bank.tau_sha256.clone());
    ActiveBank { version: bank.version as u64, dir, size: bank.size, bank_id, record, tau_sha256 }
}
