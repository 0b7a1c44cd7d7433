//! Puts an earlier bank version back in use: which version, and the steps. In a running line the rebuilder does it, in a stopped line the
//! command itself.
//!
//! The command chooses the version, and the request becomes a row before anything else happens. Then: 1. the version is read in full; 2.
//! `current` is swapped; 3. one transaction makes the bank `active`, holds the ok folder and ends the request. A crash before 2 changes
//! nothing. After a crash between 2 and 3 the daemon repeats the request, which repairs it.

use super::ok_listing::list_in_time;
use super::rows::{active_bank, bank_row};
use super::{ActiveBank, BankFolder, BankFolderError};
use crate::config::ProductConfig;
use crate::domain::BankTrigger;
use crate::history::{BankRequest, Banks, HistoryError, RecordedFiles, RequestEnd};
use crate::patchcore::{EngineError, MemoryBank};
use crate::platform::{crash_point, folder_io};

/// A version that cannot be put back in use.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is no such version.
    #[error("{product}: has no bank version {version}; {versions}")]
    UnknownVersion {
        /// The product.
        product: String,
        /// The version asked for.
        version: u64,
        /// The existing versions, in words.
        versions: String,
    },
    /// The request names no version, and there is none before the current one.
    #[error("{product}: no bank version is left that was in use before the present one; {versions}")]
    NoEarlierVersion {
        /// The product.
        product: String,
        /// The existing versions, in words.
        versions: String,
    },
    /// Its files are not those of a bank.
    #[error("{product}: bank version {version} is not whole: {error}; {versions}")]
    Damaged {
        /// The product.
        product: String,
        /// The version.
        version: u64,
        /// What is wrong.
        error: EngineError,
        /// The existing versions, in words.
        versions: String,
    },
    /// The bank folder cannot be read or changed.
    #[error(transparent)]
    Folder(#[from] BankFolderError),
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Work in the bank folder ended early.
    #[error(transparent)]
    Ended(#[from] tokio::task::JoinError),
    /// Any other error.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// The version to go back to: `wanted`, or else the version that was in use before the current one. It exists and is whole.
///
/// # Errors
/// When there is no such version, or it is damaged.
pub async fn rollback_target(rows: &Banks, product: &ProductConfig, wanted: Option<u64>) -> Result<u64, RollbackError> {
    let versions = versions_of(product).await?;
    let version = match wanted {
        Some(version) if versions.contains(&version) => version,
        Some(version) => {
            return Err(RollbackError::UnknownVersion {
                product: product.name.clone(),
                version,
                versions: words(rows, product, &versions).await?,
            });
        }
        None => earlier(rows, product, &versions).await?,
    };
    check(rows, product, version, &versions).await?;
    Ok(version)
}

/// The version in use from the history; from the bank folder only when the history knows no bank of the product.
///
/// # Errors
/// When the history cannot be read.
pub async fn version_in_use(rows: &Banks, product: &ProductConfig) -> Result<Option<u64>, RollbackError> {
    if let Some(active) = rows.active_bank(&product.name).await? {
        return Ok(Some(active.version as u64));
    }
    current_version(product).await
}

/// The version that `current` leads to.
///
/// # Errors
/// When the look ended early.
pub async fn current_version(product: &ProductConfig) -> Result<Option<u64>, RollbackError> {
    let folder = BankFolder::new(&product.bank);
    Ok(folder_io::work(move || folder.current()).await?)
}

async fn versions_of(product: &ProductConfig) -> Result<Vec<u64>, RollbackError> {
    let folder = BankFolder::new(&product.bank);
    Ok(folder_io::work(move || folder.versions()).await??)
}

async fn earlier(rows: &Banks, product: &ProductConfig, versions: &[u64]) -> Result<u64, RollbackError> {
    let folder = BankFolder::new(&product.bank);
    for bank in rows.earlier_banks(&product.name).await? {
        let version = bank.version as u64;
        let dir = folder.version_dir(version);
        // Version numbers start again when somebody empties a bank folder.
        let is_other =
            move || MemoryBank::describe(&dir).is_ok_and(|facts| facts.config.memory_bank_sha256.is_some_and(|s| s != bank.sha256));
        if versions.contains(&version) && !folder_io::work(is_other).await? {
            return Ok(version);
        }
    }
    Err(RollbackError::NoEarlierVersion { product: product.name.clone(), versions: words(rows, product, versions).await? })
}

/// The version must be whole. If the history knows it, its files must be the recorded ones.
async fn check(rows: &Banks, product: &ProductConfig, version: u64, versions: &[u64]) -> Result<(), RollbackError> {
    let folder = BankFolder::new(&product.bank);
    let dir = folder.version_dir(version);
    let error = match folder_io::work(move || folder.check(version)).await? {
        Ok(()) => {
            let recorded = rows.recorded_files(&product.name, version as i64).await?;
            let bank = bank_row(product, version, BankTrigger::Rollback).await?;
            let is_it = |files: &RecordedFiles| {
                files.sha256 == bank.sha256 && files.config_sha256.as_ref().is_none_or(|config| *config == bank.config_sha256)
            };
            if recorded.is_empty() || recorded.iter().any(is_it) {
                return Ok(());
            }
            EngineError::BankFile { path: dir, reason: "its files are not those that were recorded when it was in use".to_owned() }
        }
        Err(error) => error,
    };
    let versions = words(rows, product, versions).await?;
    Err(RollbackError::Damaged { product: product.name.clone(), version, error, versions })
}

/// `there are 7 (in use), 6, 4`
async fn words(rows: &Banks, product: &ProductConfig, versions: &[u64]) -> Result<String, RollbackError> {
    let current = version_in_use(rows, product).await?;
    let name = |version: &u64| if Some(*version) == current { format!("{version} (in use)") } else { version.to_string() };
    let names: Vec<String> = versions.iter().rev().map(name).collect();
    Ok(if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) })
}

/// A version that a rollback put back in use.
#[derive(Debug)]
pub struct RolledBack {
    /// The bank.
    pub bank: ActiveBank,
    /// The outcome of the request, in words.
    pub outcome: String,
    /// The fingerprint of the ok folder that the daemon does not build from on its own; `None` when the folder could not be listed.
    pub held: Option<String>,
}

/// Carries out a request, and ends it.
///
/// # Errors
/// When the version cannot be put in use. The bank in use stays, and the request is pending.
pub async fn roll_back(rows: &Banks, product: &ProductConfig, request: &BankRequest, version: u64) -> Result<RolledBack, RollbackError> {
    rollback_target(rows, product, Some(version)).await?;
    let before = rows.active_bank(&product.name).await?;
    let held = list_in_time(product).await.map(|listing| listing.fingerprint(&product.build).to_string());
    let bank = bank_row(product, version, BankTrigger::Rollback).await?;
    let folder = BankFolder::new(&product.bank);
    folder_io::work(move || folder.switch_to(version)).await??;
    crash_point::reach("rollback_swapped");
    let outcome = match before {
        Some(before) if before.version != version as i64 => {
            format!("bank version {version} is in use again, in the place of version {}", before.version)
        }
        _ => format!("bank version {version} is in use again"),
    };
    let end = RequestEnd { done: true, outcome };
    let bank_id = rows.publish_rollback(&bank, held.as_deref().unwrap_or_default(), request.id, &end).await?;
    crash_point::reach("rollback_recorded");
    Ok(RolledBack { bank: active_bank(&bank, bank_id), outcome: end.outcome, held })
}
