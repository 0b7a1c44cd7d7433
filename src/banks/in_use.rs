//! Which bank a product uses. The history has the decisions of people and guards, so the daemon asks it first; the bank folder only adds
//! what the history does not know yet. A source that does not answer now is asked again; no answer never counts as an answer.

use super::rows::{active_bank, bank_row, describe, new_bank, rows_sha256};
use super::{ActiveBank, ActiveBanks, BANK_FILES, BankFolder, BankFolderError, BankState, Edit};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::domain::{BankTrigger, EngineSize, Tau, error_text};
use crate::history::{ActiveBankRow, Banks, HistoryError, NewBank};
use crate::patchcore::{BankRecord, MemoryBank};
use crate::platform::crash_point;
use crate::platform::folder_io::{self, NoAnswer};
use crate::telemetry::{Event, Telemetry};
use anyhow::{anyhow, bail};
use std::sync::Arc;
use tokio::sync::Notify;

/// The banks in use, and the means to change them.
#[derive(Clone)]
pub struct BanksInUse {
    /// The rows of the banks.
    pub rows: Banks,
    /// The banks in use, by product.
    pub active: Arc<ActiveBanks>,
    /// Where events go.
    pub telemetry: Telemetry,
    /// Rung when images that had no bank may have one.
    pub wake: Arc<Notify>,
}

/// The content of a bank folder.
enum Found {
    /// A plain bank, which is now this version.
    Imported(u64),
    /// The version that `current` leads to, if it leads anywhere.
    Current(Option<u64>),
    /// Parts of a bank, and no sign which one is in use.
    InParts,
    /// Nothing: nobody has built a bank there, or the share is not mounted.
    Bare,
}

/// The ok folder when the bank in use was built from it, or when a rollback put that bank back.
pub enum Origin {
    /// There is no bank.
    NoBank,
    /// Its fingerprint, if recorded.
    Of(Option<String>),
}

impl BanksInUse {
    /// Finds out which bank a product uses and puts it in use; after that the product's [`BankState`] is known. The daemon calls this
    /// before it takes any image, and again as long as there is no answer.
    ///
    /// # Errors
    /// Why nobody can tell now. Then no bank is in use, and none may be built.
    pub async fn adopt(&self, product: &ProductConfig) -> anyhow::Result<()> {
        let recorded = self.rows.active_bank(&product.name).await?;
        let folder = BankFolder::new(&product.bank);
        let version = recorded.as_ref().map(|row| row.version as u64);
        let found = match folder_io::work_in_time(&product.bank, move || look(&folder, version)).await {
            Ok(found) => found.map_err(anyhow::Error::from),
            Err(NoAnswer::InTime(folder)) => {
                Err(anyhow!("{}: does not answer; its images wait for it; check the share or the disk", folder.display()))
            }
            Err(ended) => return Err(ended.into()),
        };
        match recorded {
            Some(row) => self.adopt_recorded(product, &row, found).await?,
            None => match found? {
                Found::Imported(version) => self.put_in_use(product, version, BankTrigger::Imported).await?,
                Found::Current(Some(version)) => self.put_in_use(product, version, BankTrigger::Found).await?,
                Found::InParts => bail!(
                    "bank folder {}: holds parts of a bank, and none that is in use; put the rest of it there, or remove what is left: then a \
                     first bank is built",
                    product.bank.display()
                ),
                Found::Current(None) | Found::Bare => {
                    self.rows.set_waiting_for_bank(&product.name).await?;
                    self.active.found(&product.name, BankState::None);
                }
            },
        }
        self.wake.notify_one();
        Ok(())
    }

    /// The history knows the bank in use. The folder may have a newer one: published but unrecorded before a crash, or put there by hand.
    async fn adopt_recorded(&self, product: &ProductConfig, row: &ActiveBankRow, found: anyhow::Result<Found>) -> anyhow::Result<()> {
        let newer = match found {
            Ok(Found::Imported(version)) => Some((version, BankTrigger::Imported)),
            Ok(Found::Current(Some(version))) if version as i64 != row.version && !self.is_known(product, version).await? => {
                Some((version, BankTrigger::Found))
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(product = %product.name, error = error_text(&error), "bank folder cannot be used now; the history says which bank is in use");
                None
            }
        };
        if let Some((version, trigger)) = newer {
            match self.put_in_use(product, version, trigger).await {
                Err(error) if !error.is::<HistoryError>() => {
                    tracing::error!(product = %product.name, version, error = error_text(&error), "bank not put in use; the one that the history names stays");
                }
                done => return done,
            }
        }
        let bank = match recorded_bank(product, row) {
            Some(bank) => bank,
            None => self.complete(product, row).await?,
        };
        let bank = match edited(product, &bank).await {
            Some(edit) => match self.take_edit(product, &bank, &edit).await {
                Ok(edited) => edited.unwrap_or(bank),
                // The keeper tries again and reports it.
                Err(_) => bank,
            },
            None => bank,
        };
        tracing::info!(product = %product.name, version = bank.version, image_tau = bank.record.tau.image, "bank in use, as recorded");
        self.active.found(&product.name, BankState::InUse(bank));
        Ok(())
    }

    /// True when the version was in use before: only people decide to go back to it.
    async fn is_known(&self, product: &ProductConfig, version: u64) -> anyhow::Result<bool> {
        let recorded = self.rows.recorded_files(&product.name, version as i64).await?;
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

    /// Adds the facts of the bank folder to the row of an earlier release. If the thresholds differ from the row, somebody edited them.
    async fn complete(&self, product: &ProductConfig, row: &ActiveBankRow) -> anyhow::Result<ActiveBank> {
        let bank = bank_row(product, row.version as u64, BankTrigger::Found).await?;
        if bank.sha256 != row.sha256 {
            bail!("{}: memory_bank.pt is not the file that was recorded", bank.path.display());
        }
        if (bank.pixel_tau, bank.image_tau) == (row.pixel_tau, row.image_tau) {
            self.rows.complete_bank(row.id, &bank).await?;
            return Ok(active_bank(&bank, row.id));
        }
        let (dir, tau) = (bank.path.clone(), Tau { pixel: bank.pixel_tau, image: bank.image_tau });
        folder_io::work(move || MemoryBank::check_tau(&dir, tau)).await??;
        match self.rows.publish_edit(row.id, &bank).await? {
            Some(edited) => {
                self.telemetry.events.log(&Event::new(EventKind::BankEdited, &edited.detail).of_product(&product.name));
                Ok(active_bank(&bank, edited.bank_id))
            }
            None => bail!("{}: another bank was put in use meanwhile", product.bank.display()),
        }
    }

    /// Makes an edited `tau.json` decide from here on, with a row of its own. `None` when it was written again meanwhile, or when another
    /// bank is in use by now.
    ///
    /// # Errors
    /// When the thresholds cannot be right, the other files are not the recorded ones, or a folder or the history cannot be changed.
    pub async fn take_edit(&self, product: &ProductConfig, bank: &ActiveBank, edit: &Edit) -> anyhow::Result<Option<ActiveBank>> {
        let (dir, tau) = (bank.dir.clone(), edit.file.tau);
        folder_io::work(move || MemoryBank::check_tau(&dir, tau)).await??;
        if !edit.path.starts_with(&bank.dir) {
            let (folder, version, bytes) = (BankFolder::new(&product.bank), bank.version, edit.file.bytes.clone());
            folder_io::work(move || folder.take_over_tau(version, &bytes)).await??;
        }
        let facts = describe(bank.dir.clone()).await?;
        if facts.config_sha256 != bank.record.config_sha256 {
            bail!("{}: not the file that was recorded", bank.dir.join(BANK_FILES[1]).display());
        }
        if facts.tau_sha256 != edit.file.sha256 {
            return Ok(None);
        }
        let row = new_bank(product, bank.version, &facts, bank.record.rows_sha256.clone(), BankTrigger::Edited);
        let Some(edited) = self.rows.publish_edit(bank.bank_id, &row).await? else { return Ok(None) };
        self.telemetry.events.log(&Event::new(EventKind::BankEdited, &edited.detail).of_product(&product.name));
        Ok(Some(active_bank(&row, edited.bank_id)))
    }

    /// [`Origin`] of the product's bank; `None` as long as nobody can tell.
    pub async fn origin(&self, product: &ProductConfig) -> Option<Origin> {
        match self.active.state(&product.name) {
            BankState::Unknown => None,
            BankState::None => Some(Origin::NoBank),
            BankState::InUse(_) => {
                let row = self.rows.active_bank(&product.name).await.ok()??;
                Some(Origin::Of(row.held_ok.map_or(row.ok_fingerprint, |held| Some(held).filter(|held| !held.is_empty()))))
            }
        }
    }

    /// Puts a version in use that the history does not know, if it is whole.
    async fn put_in_use(&self, product: &ProductConfig, version: u64, trigger: BankTrigger) -> anyhow::Result<()> {
        let folder = BankFolder::new(&product.bank);
        folder_io::work(move || folder.check(version)).await??;
        let bank = bank_row(product, version, trigger).await?;
        let bank_id = self.rows.publish_bank(&bank).await?;
        self.put(product, &bank, bank_id);
        Ok(())
    }

    /// Puts a bank in use, but only after its row exists, so that every inspection can name it.
    pub fn put(&self, product: &ProductConfig, bank: &NewBank, bank_id: i64) {
        crash_point::reach("bank_recorded");
        self.active.set(&product.name, active_bank(bank, bank_id));
        self.wake.notify_one();
        let NewBank { version, trigger, pixel_tau, image_tau, .. } = bank;
        tracing::info!(product = %product.name, version, trigger = trigger.as_str(), pixel_tau, image_tau, "bank in use");
        if let Some(warning) = &bank.warning {
            tracing::warn!(product = %product.name, version, %warning, "tau of the bank in use");
        }
    }
}

fn look(folder: &BankFolder, recorded: Option<u64>) -> Result<Found, BankFolderError> {
    let survey = folder.survey()?;
    if survey.is_bare() {
        // A new product gets its folder. Where a bank is known, a share should be mounted instead.
        if recorded.is_none()
            && let Err(error) = folder.create()
        {
            tracing::warn!(%error, "bank folder not made");
        }
        return Ok(Found::Bare);
    }
    // A crash before the first bank was linked leaves a whole version without link and row.
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

/// The bank of a row; `None` for a row of an earlier release.
fn recorded_bank(product: &ProductConfig, row: &ActiveBankRow) -> Option<ActiveBank> {
    let version = row.version as u64;
    let tau = Tau { pixel: row.pixel_tau, image: row.image_tau };
    let record = BankRecord { rows_sha256: row.sha256.clone(), config_sha256: row.config_sha256.clone()?, tau };
    let dir = BankFolder::new(&product.bank).version_dir(version);
    let size = EngineSize::new(row.shorter?, row.side_multiple);
    Some(ActiveBank { version, dir, size, bank_id: row.id, record, tau_sha256: row.tau_sha256.clone()? })
}

/// The content of `tau.json`, when it is not the recorded one and can be read.
async fn edited(product: &ProductConfig, bank: &ActiveBank) -> Option<Edit> {
    let (folder, version, recorded) = (BankFolder::new(&product.bank), bank.version, bank.tau_sha256.clone());
    folder_io::work_in_time(&product.bank, move || folder.edited_tau(version, &recorded)).await.ok()?.ok()?
}
