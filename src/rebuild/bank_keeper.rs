//! One task per product that looks after its bank. It finds out which bank is in use when nobody could tell at the start, and notices
//! when somebody changes its files. A cheap look at the metadata every 2 seconds; the task reads only files that look different.

use crate::banks::{ActiveBank, BankFolder, BankState, BanksInUse, Edit, RowsSeen, Stamp};
use crate::config::ProductConfig;
use crate::domain::{BankTrouble, error_text};
use crate::history::HistoryError;
use crate::platform::folder_io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Time between two looks; a look that finds something wrong doubles it, up to 30 s.
pub const LOOK: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(30);

/// The context that every keeper needs.
#[derive(Clone)]
pub struct BankKeeper {
    /// The banks in use.
    pub banks: BanksInUse,
    /// Lets one keeper at a time check the content of its files.
    pub reading: Arc<Semaphore>,
}

impl BankKeeper {
    /// Runs until `stop`.
    pub async fn run(self, product: ProductConfig, stop: CancellationToken) {
        let Self { banks, reading } = &self;
        let mut keeper = Keeper { banks, reading, product: &product, seen: None, settled: false, rows: None, pause: LOOK };
        let looks = async {
            loop {
                let pause = keeper.look().await;
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looks => {}
        }
    }
}

struct Keeper<'a> {
    banks: &'a BanksInUse,
    reading: &'a Semaphore,
    product: &'a ProductConfig,
    /// The metadata of the files of the bank of this row.
    seen: Option<(i64, Stamp)>,
    /// The files were read since, and all is well.
    settled: bool,
    rows: Option<RowsSeen>,
    pause: Duration,
}

impl Keeper<'_> {
    /// Looks, acts, and says when to look again.
    async fn look(&mut self) -> Duration {
        match self.banks.active.state(&self.product.name) {
            BankState::None => LOOK,
            BankState::Unknown => match self.banks.adopt(self.product).await {
                Ok(()) => {
                    self.well(BankTrouble::Unusable).await;
                    LOOK
                }
                Err(error) => {
                    self.ill(BankTrouble::Unusable, &error_text(&error)).await;
                    self.back_off()
                }
            },
            BankState::InUse(bank) => self.look_at(bank).await,
        }
    }

    async fn look_at(&mut self, bank: ActiveBank) -> Duration {
        let (folder, version) = (BankFolder::new(&self.product.bank), bank.version);
        let Ok(stamp) = folder_io::work(move || folder.stamp(version)).await else { return LOOK };
        let seen = (bank.bank_id, stamp);
        if self.seen.as_ref() != Some(&seen) {
            let is_new = self.seen.as_ref().is_none_or(|(id, _)| *id != bank.bank_id);
            (self.seen, self.settled, self.pause) = (Some(seen), false, LOOK);
            if !is_new {
                // The writer may not be done: wait until two looks see the same files.
                return LOOK;
            }
            // Images that came before the bank was known wait for it; the rebuilder releases later ones.
            if let Err(error) = self.banks.rows.release_waiting(&self.product.name).await {
                tracing::debug!(%error, "waiting images are released later");
            }
        }
        if self.settled {
            return LOOK;
        }
        match self.compare(&bank).await {
            Ok(wrong) if wrong.is_empty() => {
                self.settled = true;
                self.well(BankTrouble::Changed).await;
                LOOK
            }
            Ok(wrong) => {
                let kept = "what is in memory goes on judging, and nothing is loaded from these files";
                let reason = format!("version {version}: {}; {kept}", wrong.join("; "));
                self.ill(BankTrouble::Changed, &reason).await;
                self.back_off()
            }
            Err(error) => {
                tracing::warn!(product = %self.product.name, error = error_text(&error), "files of the bank not compared; tried again");
                self.back_off()
            }
        }
    }

    /// Reads the files and takes an edited `tau.json`; says what is wrong.
    async fn compare(&mut self, bank: &ActiveBank) -> anyhow::Result<Vec<String>> {
        let turn = self.reading.acquire().await?;
        let (folder, version, recorded, mut rows) = (BankFolder::new(&self.product.bank), bank.version, bank.digests(), self.rows.take());
        let (findings, rows) = folder_io::work(move || (folder.compare(version, &recorded, &mut rows), rows)).await?;
        drop(turn);
        self.rows = rows;
        let mut wrong = findings.wrong;
        if let Some(edit) = findings.edited {
            wrong.extend(self.take(bank, &edit).await?);
        }
        Ok(wrong)
    }

    /// Why the edited thresholds are refused, if they are.
    async fn take(&self, bank: &ActiveBank, edit: &Edit) -> anyhow::Result<Option<String>> {
        match self.banks.take_edit(self.product, bank, edit).await {
            Ok(Some(edited)) => {
                self.banks.active.replace(&self.product.name, bank.bank_id, edited);
                Ok(None)
            }
            // The file or the bank changed again: the next look finds out.
            Ok(None) => Ok(None),
            Err(error) if error.is::<HistoryError>() => Err(error),
            Err(error) => Ok(Some(error_text(&error))),
        }
    }

    async fn ill(&self, trouble: BankTrouble, reason: &str) {
        let ProductConfig { name, bank, .. } = self.product;
        self.banks.telemetry.banks.begins(name, bank, trouble, reason).await;
    }

    async fn well(&self, trouble: BankTrouble) {
        let ProductConfig { name, bank, .. } = self.product;
        self.banks.telemetry.banks.ends(name, bank, trouble).await;
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }
}
