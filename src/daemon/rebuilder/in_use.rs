//! Which bank a product uses. What people and guards decided is in the history, so that is asked first; the bank folder only says
//! what the history does not know yet. What cannot be asked now is asked again, and is never taken for an answer.

use super::super::Line;
use super::super::active::{ActiveBank, BankState};
use super::off_runtime;
use crate::banks::{BANK_FILES, BankFolder, BankFolderError, Edit};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{self, HistoryError, NewBank};
use crate::inspection::Tau;
use crate::patchcore::{BankFacts, BankRecord, MemoryBank, file_sha256};
use anyhow::{anyhow, bail};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// How long a bank folder has to answer, before the history alone counts.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look into a bank folder gave.
enum Found {
    /// A plain bank, which is this version now.
    Imported(u64),
    /// The version that `current` leads to, if it leads anywhere.
    Current(Option<u64>),
    /// Parts of a bank, and nothing that says which one is in use.
    InParts,
    /// Nothing: no bank was ever built there, or what should be mounted is not.
    Bare,
}

/// Finds out which bank a product uses and puts it in use; the product's [`BankState`] is known then. Called before any image is
/// taken, and again as long as there is no answer.
///
/// # Errors
/// Why it cannot be told now. Nothing is in use then, and nothing may be built.
pub(in crate::daemon) async fn adopt(line: &Line, product: &ProductConfig) -> anyhow::Result<()> {
    let recorded = line.store.active_bank(&product.name).await?;
    let folder = BankFolder::new(&product.bank);
    let version = recorded.as_ref().map(|row| row.version as u64);
    let found = match tokio::time::timeout(PATIENCE, off_runtime(move || look(&folder, version))).await {
        Ok(found) => found?.map_err(anyhow::Error::from),
        Err(_) => Err(anyhow!("{}: does not answer; its images wait for it; check the share or the disk", product.bank.display())),
    };
    match recorded {
        Some(row) => adopt_recorded(line, product, &row, found).await?,
        None => match found? {
            Found::Imported(version) => put_in_use(line, product, version, "imported").await?,
            Found::Current(Some(version)) => put_in_use(line, product, version, "found").await?,
            Found::InParts => bail!(
                "bank folder {}: holds parts of a bank, and none that is in use; put the rest of it there, or remove what is left: then a \
                 first bank is built",
                product.bank.display()
            ),
            Found::Current(None) | Found::Bare => {
                line.store.set_waiting_for_bank(&product.name).await?;
                line.banks.found(&product.name, BankState::None);
            }
        },
    }
    line.wake.notify_one();
    Ok(())
}

fn look(folder: &BankFolder, recorded: Option<u64>) -> Result<Found, BankFolderError> {
    let survey = folder.survey()?;
    if survey.is_bare() {
        // A new product gets its folder; where a bank is known, something else belongs there.
        if recorded.is_none()
            && let Err(error) = folder.create()
        {
            tracing::warn!(%error, "bank folder not made");
        }
        return Ok(Found::Bare);
    }
    // A crash before the first bank was linked leaves a whole version, no link and no row.
    let unlinked = survey.versions.last().copied().filter(|_| !survey.in_parts);
    if let Err(error) = folder.tidy(recorded.or(unlinked)) {
        tracing::warn!(%error, "bank folder not tidied");
    }
    let survey = folder.survey()?;
    match survey.current {
        _ if survey.plain => folder.take_over().map(Found::Imported),
        None if survey.in_parts || !survey.versions.is_empty() => Ok(Found::InParts),
        current => Ok(Found::Current(current)),
    }
}

/// The history knows the bank in use. The folder may have a newer one, that was published and not recorded before a crash, or that
/// somebody put there.
async fn adopt_recorded(
    line: &Line,
    product: &ProductConfig,
    row: &history::ActiveBank,
    found: anyhow::Result<Found>,
) -> anyhow::Result<()> {
    let newer = match found {
        Ok(Found::Imported(version)) => Some((version, "imported")),
        Ok(Found::Current(Some(version))) if version as i64 != row.version && !is_known(line, product, version).await? => {
            Some((version, "found"))
        }
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(product = %product.name, error = format!("{error:#}"), "bank folder cannot be used now; the history says which bank is in use");
            None
        }
    };
    if let Some((version, trigger)) = newer {
        match put_in_use(line, product, version, trigger).await {
            Err(error) if !error.is::<HistoryError>() => {
                tracing::error!(product = %product.name, version, error = format!("{error:#}"), "bank not put in use; the one that the history names stays");
            }
            done => return done,
        }
    }
    let bank = match recorded_bank(product, row) {
        Some(bank) => bank,
        None => complete(line, product, row).await?,
    };
    let bank = match edited(product, &bank).await {
        Some(edit) => match take_edit(line, product, &bank, &edit).await {
            Ok(edited) => edited.unwrap_or(bank),
            // The keeper tries it again and tells.
            Err(_) => bank,
        },
        None => bank,
    };
    tracing::info!(product = %product.name, version = bank.version, image_tau = bank.record.tau.image, "bank in use, as recorded");
    line.banks.found(&product.name, BankState::InUse(bank));
    Ok(())
}

/// True when the version is one that was in use before: to go back to it is for people to decide.
async fn is_known(line: &Line, product: &ProductConfig, version: u64) -> anyhow::Result<bool> {
    let recorded = line.store.recorded_files(&product.name, version as i64).await?;
    if recorded.is_empty() {
        return Ok(false);
    }
    let dir = BankFolder::new(&product.bank).version_dir(version);
    let sha256 = match describe(dir.clone()).await {
        Ok(facts) => rows_sha256(&facts, dir).await.ok(),
        Err(_) => None,
    };
    Ok(sha256.is_none_or(|sha256| recorded.iter().any(|files| files.sha256 == sha256)))
}

/// The bank of a row; `None` for a row of an earlier release.
fn recorded_bank(product: &ProductConfig, row: &history::ActiveBank) -> Option<ActiveBank> {
    let version = row.version as u64;
    let tau = Tau { pixel: row.pixel_tau, image: row.image_tau };
    let record = BankRecord { rows_sha256: row.sha256.clone(), config_sha256: row.config_sha256.clone()?, tau };
    let dir = BankFolder::new(&product.bank).version_dir(version);
    Some(ActiveBank { version, dir, shorter: row.shorter?, bank_id: row.id, record, tau_sha256: row.tau_sha256.clone()? })
}

/// Adds to the row of an earlier release what its bank folder says. Thresholds other than those of the row were edited meanwhile.
async fn complete(line: &Line, product: &ProductConfig, row: &history::ActiveBank) -> anyhow::Result<ActiveBank> {
    let bank = bank_row(product, row.version as u64, "found").await?;
    if bank.sha256 != row.sha256 {
        bail!("{}: memory_bank.pt is not the file that was recorded", bank.path.display());
    }
    if (bank.pixel_tau, bank.image_tau) == (row.pixel_tau, row.image_tau) {
        line.store.complete_bank(row.id, &bank).await?;
        return Ok(active(&bank, row.id));
    }
    let (dir, tau) = (bank.path.clone(), Tau { pixel: bank.pixel_tau, image: bank.image_tau });
    off_runtime(move || MemoryBank::check_tau(&dir, tau)).await??;
    match line.store.publish_edit(row.id, &bank).await? {
        Some(edited) => {
            line.log_event(EventKind::BankEdited, Some(&product.name), &edited.detail);
            Ok(active(&bank, edited.bank_id))
        }
        None => bail!("{}: another bank was put in use meanwhile", product.bank.display()),
    }
}

/// What `tau.json` says, when it is not the recorded one and can be read.
async fn edited(product: &ProductConfig, bank: &ActiveBank) -> Option<Edit> {
    let (folder, version, recorded) = (BankFolder::new(&product.bank), bank.version, bank.tau_sha256.clone());
    let reading = off_runtime(move || folder.edited_tau(version, &recorded));
    tokio::time::timeout(PATIENCE, reading).await.ok()?.ok()?.ok()?
}

/// Has an edited `tau.json` judge from here on, as a row of its own. `None` when it was written again meanwhile, or another bank is in
/// use by now.
///
/// # Errors
/// When the thresholds cannot be right, the other files are not the recorded ones, or a folder or the history cannot be changed.
pub(in crate::daemon) async fn take_edit(
    line: &Line,
    product: &ProductConfig,
    bank: &ActiveBank,
    edit: &Edit,
) -> anyhow::Result<Option<ActiveBank>> {
    let (dir, tau) = (bank.dir.clone(), edit.file.tau);
    off_runtime(move || MemoryBank::check_tau(&dir, tau)).await??;
    if !edit.path.starts_with(&bank.dir) {
        let (folder, version, bytes) = (BankFolder::new(&product.bank), bank.version, edit.file.bytes.clone());
        off_runtime(move || folder.take_over_tau(version, &bytes)).await??;
    }
    let facts = describe(bank.dir.clone()).await?;
    if facts.config_sha256 != bank.record.config_sha256 {
        bail!("{}: not the file that was recorded", bank.dir.join(BANK_FILES[1]).display());
    }
    if facts.tau_sha256 != edit.file.sha256 {
        return Ok(None);
    }
    let row = new_bank(product, bank.version, &facts, bank.record.rows_sha256.clone(), "edited");
    let Some(edited) = line.store.publish_edit(bank.bank_id, &row).await? else { return Ok(None) };
    line.log_event(EventKind::BankEdited, Some(&product.name), &edited.detail);
    Ok(Some(active(&row, edited.bank_id)))
}

/// What the ok folder looked like when the bank in use was built from it, or when a rollback put that bank back.
pub(super) enum Origin {
    /// There is no bank.
    NoBank,
    /// Like this, if that was recorded.
    Of(Option<String>),
}

/// [`Origin`] of the product's bank; `None` as long as nobody can tell.
pub(super) async fn origin(line: &Line, product: &ProductConfig) -> Option<Origin> {
    match line.banks.state(&product.name) {
        BankState::Unknown => None,
        BankState::None => Some(Origin::NoBank),
        BankState::InUse(_) => {
            let row = line.store.active_bank(&product.name).await.ok()??;
            Some(Origin::Of(row.held_ok.map_or(row.ok_fingerprint, |held| Some(held).filter(|held| !held.is_empty()))))
        }
    }
}

pub(super) async fn describe(dir: PathBuf) -> anyhow::Result<BankFacts> {
    Ok(off_runtime(move || MemoryBank::describe(&dir)).await??)
}

/// Puts a version that the history does not know in use, if it is whole.
async fn put_in_use(line: &Line, product: &ProductConfig, version: u64, trigger: &str) -> anyhow::Result<()> {
    let folder = BankFolder::new(&product.bank);
    off_runtime(move || folder.check(version)).await??;
    let bank = bank_row(product, version, trigger).await?;
    let bank_id = line.store.publish_bank(&bank).await?;
    in_use(line, product, &bank, bank_id);
    Ok(())
}

/// A bank is in use only after its row is there, so that every inspection can name it.
pub(super) fn in_use(line: &Line, product: &ProductConfig, bank: &NewBank, bank_id: i64) {
    crash_point::reach("bank_recorded");
    line.banks.set(&product.name, active(bank, bank_id));
    line.wake.notify_one();
    let NewBank { version, trigger, pixel_tau, image_tau, .. } = bank;
    tracing::info!(product = %product.name, version, trigger, pixel_tau, image_tau, "bank in use");
    if let Some(warning) = &bank.warning {
        tracing::warn!(product = %product.name, version, %warning, "tau of the bank in use");
    }
}

/// What the history is told of a version on disk.
pub(in crate::daemon) async fn bank_row(product: &ProductConfig, version: u64, trigger: &str) -> anyhow::Result<NewBank> {
    let dir = BankFolder::new(&product.bank).version_dir(version);
    let facts = describe(dir.clone()).await?;
    let sha256 = rows_sha256(&facts, dir).await?;
    Ok(new_bank(product, version, &facts, sha256, trigger))
}

/// SHA-256 of `memory_bank.pt`: what `bank_config.json` records, which is compared when the bank is loaded, else that of the file.
pub(super) async fn rows_sha256(facts: &BankFacts, dir: PathBuf) -> anyhow::Result<String> {
    match &facts.config.memory_bank_sha256 {
        Some(sha256) => Ok(sha256.clone()),
        None => Ok(off_runtime(move || file_sha256(&dir.join(BANK_FILES[0]))).await??),
    }
}

/// The row of a version, from what its files say.
pub(super) fn new_bank(product: &ProductConfig, version: u64, facts: &BankFacts, sha256: String, trigger: &str) -> NewBank {
    let BankFacts { config, config_sha256, tau, tau_sha256 } = facts;
    NewBank {
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
        seconds: None,
        path: BankFolder::new(&product.bank).version_dir(version),
        sha256,
        config_sha256: config_sha256.clone(),
        tau_sha256: tau_sha256.clone(),
        shorter: config.shorter,
        ok_fingerprint: config.ok_fingerprint.clone(),
        created_at: config.created_at.as_ref().and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now),
    }
}

/// The bank in use that a row stands for.
pub(in crate::daemon) fn active(bank: &NewBank, bank_id: i64) -> ActiveBank {
    let tau = Tau { pixel: bank.pixel_tau, image: bank.image_tau };
    let record = BankRecord { rows_sha256: bank.sha256.clone(), config_sha256: bank.config_sha256.clone(), tau };
    let (dir, tau_sha256) = (bank.path.clone(), bank.tau_sha256.clone());
    ActiveBank { version: bank.version as u64, dir, shorter: bank.shorter, bank_id, record, tau_sha256 }
}
