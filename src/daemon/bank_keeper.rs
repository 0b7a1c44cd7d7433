//! One task per product that looks after its bank: it finds out which one is in use when that could not be told at the start, and
//! notices when somebody changes its files. A cheap look from outside every 2 seconds; only what looks otherwise is read.

use super::Line;
use super::active::{ActiveBank, BankState};
use super::bank_troubles::{BankTrouble, over, tell};
use super::rebuilder::{adopt, off_runtime, take_edit};
use crate::banks::{BankFolder, Edit, RowsSeen, Stamp};
use crate::config::ProductConfig;
use crate::history::HistoryError;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks; after one that found something wrong it is doubled up to [`LONGEST`].
const LOOK: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub(super) async fn run(line: Arc<Line>, product: ProductConfig, stop: CancellationToken) {
    let mut keeper = Keeper { line: &line, product: &product, seen: None, settled: false, rows: None, pause: LOOK };
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

struct Keeper<'a> {
    line: &'a Line,
    product: &'a ProductConfig,
    /// How the files of the bank of this row looked.
    seen: Option<(i64, Stamp)>,
    /// They were read since, and all is well.
    settled: bool,
    rows: Option<RowsSeen>,
    pause: Duration,
}

impl Keeper<'_> {
    /// Looks, does what is to be done, and says when to look again.
    async fn look(&mut self) -> Duration {
        match self.line.banks.state(&self.product.name) {
            BankState::None => LOOK,
            BankState::Unknown => match adopt(self.line, self.product).await {
                Ok(()) => {
                    over(self.line, self.product, BankTrouble::Unusable).await;
                    LOOK
                }
                Err(error) => {
                    tell(self.line, self.product, BankTrouble::Unusable, &format!("{error:#}")).await;
                    self.back_off()
                }
            },
            BankState::InUse(bank) => self.look_at(bank).await,
        }
    }

    async fn look_at(&mut self, bank: ActiveBank) -> Duration {
        let (folder, version) = (BankFolder::new(&self.product.bank), bank.version);
        let Ok(stamp) = off_runtime(move || folder.stamp(version)).await else { return LOOK };
        let seen = (bank.bank_id, stamp);
        if self.seen.as_ref() != Some(&seen) {
            let is_new = self.seen.as_ref().is_none_or(|(id, _)| *id != bank.bank_id);
            (self.seen, self.settled, self.pause) = (Some(seen), false, LOOK);
            if !is_new {
                // Whoever is writing is let finish: read is what looks the same twice.
                return LOOK;
            }
            // Images that came before it was known wait for it; the rebuilder releases later ones.
            if let Err(error) = self.line.store.release_waiting(&self.product.name).await {
                tracing::debug!(%error, "waiting images are released later");
            }
        }
        if self.settled {
            return LOOK;
        }
        match self.compare(&bank).await {
            Ok(wrong) if wrong.is_empty() => {
                self.settled = true;
                over(self.line, self.product, BankTrouble::Changed).await;
                LOOK
            }
            Ok(wrong) => {
                let kept = "what is in memory goes on judging, and nothing is loaded from these files";
                let reason = format!("version {version}: {}; {kept}", wrong.join("; "));
                tell(self.line, self.product, BankTrouble::Changed, &reason).await;
                self.back_off()
            }
            Err(error) => {
                tracing::warn!(product = %self.product.name, error = format!("{error:#}"), "files of the bank not compared; tried again");
                self.back_off()
            }
        }
    }

    /// Reads the files and takes an edited `tau.json`; says what is wrong.
    async fn compare(&mut self, bank: &ActiveBank) -> anyhow::Result<Vec<String>> {
        let turn = self.line.bank_reading.acquire().await?;
        let (folder, version, recorded, mut rows) = (BankFolder::new(&self.product.bank), bank.version, bank.digests(), self.rows.take());
        let (findings, rows) = off_runtime(move || (folder.compare(version, &recorded, &mut rows), rows)).await?;
        drop(turn);
        self.rows = rows;
        let mut wrong = findings.wrong;
        if let Some(edit) = findings.edited {
            wrong.extend(self.take(bank, &edit).await?);
        }
        Ok(wrong)
    }

    /// Why the edited thresholds are not taken, if they are not.
    async fn take(&self, bank: &ActiveBank, edit: &Edit) -> anyhow::Result<Option<String>> {
        match take_edit(self.line, self.product, bank, edit).await {
            Ok(Some(edited)) => {
                self.line.banks.replace(&self.product.name, bank.bank_id, edited);
                Ok(None)
            }
            // Written again, or another bank by now: the next look shows.
            Ok(None) => Ok(None),
            Err(error) if error.is::<HistoryError>() => Err(error),
            Err(error) => Ok(Some(format!("{error:#}"))),
        }
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }
}
