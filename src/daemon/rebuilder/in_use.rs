//! Which bank a product uses: recorded in the history, then put in use.

use super::super::Line;
use super::super::active::ActiveBank;
use super::off_runtime;
use crate::banks::{BANK_FILES, BankFolder};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::NewBank;
use crate::inspection::Tau;
use crate::patchcore::{BankConfig, MemoryBank, file_sha256};
use jiff::Timestamp;
use std::path::PathBuf;

/// Makes a product's bank folder ready and puts its current bank, if any, in use. Called before any image is taken.
///
/// # Errors
/// A sentence for the log when the folder cannot be used; the product then waits without a bank.
pub(in crate::daemon) async fn adopt(line: &Line, product: &ProductConfig) -> anyhow::Result<()> {
    let folder = BankFolder::new(&product.bank);
    let recovering = folder.clone();
    let (imported, current) = off_runtime(move || recovering.recover().map(|imported| (imported, recovering.current()))).await??;
    match current {
        Some(version) => put_in_use(line, product, version, if imported { "imported" } else { "found" }, None).await,
        None => {
            line.store.set_waiting_for_bank(&product.name).await?;
            Ok(())
        }
    }
}

/// What the ok folder looked like when the bank in use was built from it, or when a rollback put that bank back: `None` without a bank,
/// `Some(None)` when that is not known.
pub(super) async fn origin(line: &Line, product: &ProductConfig) -> Option<Option<String>> {
    if line.banks.get(&product.name).is_none() {
        // Its folder may not have answered at the start. What else is wrong with it was said then.
        let _ = adopt(line, product).await;
    }
    let bank = line.banks.get(&product.name)?;
    if let Some(held) = line.store.active_bank(&product.name).await.ok().flatten().and_then(|active| active.held_ok) {
        return Some(Some(held).filter(|held| !held.is_empty()));
    }
    let (config, _) = describe(bank.dir).await.ok()?;
    Some(config.ok_fingerprint)
}

pub(super) async fn describe(dir: PathBuf) -> anyhow::Result<(BankConfig, Tau)> {
    Ok(off_runtime(move || MemoryBank::describe(&dir)).await??)
}

/// A bank is in use only after its row is there, so that every inspection can name it.
pub(super) async fn put_in_use(
    line: &Line,
    product: &ProductConfig,
    version: u64,
    trigger: &str,
    seconds: Option<f64>,
) -> anyhow::Result<()> {
    let (bank, config) = bank_row(product, version, trigger, seconds).await?;
    let bank_id = line.store.publish_bank(&bank).await?;
    crash_point::reach("bank_recorded");
    line.banks.set(&product.name, ActiveBank { version, dir: bank.path, shorter: config.shorter, bank_id });
    line.store.release_waiting(&product.name).await?;
    line.wake.notify_one();
    tracing::info!(product = %product.name, version, trigger, pixel_tau = bank.pixel_tau, image_tau = bank.image_tau, "bank in use");
    if let Some(warning) = config.tau_warning {
        tracing::warn!(product = %product.name, version, %warning, "tau of the bank in use");
    }
    Ok(())
}

/// What the history is told of a version on disk.
pub(in crate::daemon) async fn bank_row(
    product: &ProductConfig,
    version: u64,
    trigger: &str,
    seconds: Option<f64>,
) -> anyhow::Result<(NewBank, BankConfig)> {
    let dir = BankFolder::new(&product.bank).version_dir(version);
    let (config, tau) = describe(dir.clone()).await?;
    let sha256 = match &config.memory_bank_sha256 {
        Some(sha256) => sha256.clone(),
        None => sha256_of(dir.join(BANK_FILES[0])).await?,
    };
    let row = NewBank {
        product: product.name.clone(),
        version: version as i64,
        trigger: trigger.to_owned(),
        images: config.images.map(|n| n as i64),
        patches: config.patches.map(|n| n as i64),
        rows: config.rows.map(|n| n as i64),
        pixel_tau: tau.pixel,
        image_tau: tau.image,
        expected_false_alarms: config.false_alarms.map(|f| f.expected),
        false_alarms_bound: config.false_alarms.map(|f| f.bound),
        warning: config.tau_warning.clone(),
        seconds,
        path: dir,
        sha256,
        created_at: config.created_at.as_ref().and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now),
    };
    Ok((row, config))
}

async fn sha256_of(path: PathBuf) -> anyhow::Result<String> {
    Ok(off_runtime(move || file_sha256(&path)).await??)
}
