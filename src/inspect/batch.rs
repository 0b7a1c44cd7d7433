//! Many images against one bank, by hand: while the engine works, the next image is read and the last one finished.

use super::plan::{InspectionPlan, Prepared};
use super::source::Expectation;
use super::verdict::{Verdict, VerdictRules};
use crate::domain::{AnomalyScores, OverlayStyle, Picture, Tau};
use crate::imaging::resize::{check_engine_size, resize_for_engine};
use crate::intake::FileVersion;
use crate::patchcore::{EngineError, FeatureExtractor, MemoryBank, score};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// Images read ahead of the engine, and scored images that wait to be written.
const IN_BETWEEN: usize = 2;

/// A loaded bank with its network.
pub struct BankScorer {
    bank: MemoryBank,
    extractor: FeatureExtractor,
    plan: InspectionPlan,
}

impl BankScorer {
    /// Judges images by these rules, with the network of the bank.
    ///
    /// # Errors
    /// A network that the bank was not built with, or no memory for the rows.
    pub fn new(bank: MemoryBank, extractor: FeatureExtractor, expect: Expectation, rules: VerdictRules) -> Result<Self, EngineError> {
        bank.check_extractor(&extractor)?;
        let bank = bank.beside(&extractor)?;
        let plan = InspectionPlan { expect, size: bank.config().engine_size(), rules };
        Ok(Self { bank, extractor, plan })
    }

    /// Judges images by their score, in the order of `paths`, and hands each to `finish`. While the engine works, the next image is read
    /// and the last one finished.
    ///
    /// # Errors
    /// Those of `finish`; an unreadable or unfit image is handed to it as such.
    pub fn inspect_all(
        &self,
        paths: &[PathBuf],
        mut finish: impl FnMut(&Path, anyhow::Result<(Picture, Verdict)>) -> anyhow::Result<()> + Send,
    ) -> anyhow::Result<()> {
        let plan = &self.plan;
        let tau = self.bank.tau();
        std::thread::scope(|scope| {
            let (to_engine, read) = sync_channel(IN_BETWEEN);
            let (to_finish, scored) = sync_channel::<(&Path, anyhow::Result<(Picture, AnomalyScores)>)>(IN_BETWEEN);
            // A send fails only when the next stage has ended with an error, which then ends this stage too.
            scope.spawn(move || paths.iter().all(|path| to_engine.send((path.as_path(), plan.prepare_linked(path))).is_ok()));
            let finisher = scope.spawn(move || {
                for (path, scored) in scored {
                    let judged = scored.map(|(picture, scores)| {
                        let verdict = plan.judge(&scores, &picture, tau);
                        (picture, verdict)
                    });
                    finish(path, judged)?;
                }
                Ok(())
            });
            for (path, image) in read {
                let scored = image
                    .map_err(anyhow::Error::from)
                    .and_then(|Prepared { source, resized }| Ok((source.picture, score(&self.extractor, &self.bank, &resized)?)));
                if to_finish.send((path, scored)).is_err() {
                    break;
                }
            }
            drop(to_finish);
            finisher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Judges one image; gives the version of the file that was read, too.
    ///
    /// # Errors
    /// An unreadable or unfit image, and what the engine says.
    pub fn verdict(&self, path: &Path) -> anyhow::Result<(FileVersion, Verdict)> {
        let Prepared { source, resized } = self.plan.prepare_linked(path)?;
        let scores = score(&self.extractor, &self.bank, &resized)?;
        Ok((source.version, self.plan.judge(&scores, &source.picture, self.bank.tau())))
    }

    /// Reads an image, as [`BankScorer::judge`] judges it.
    ///
    /// # Errors
    /// An image that cannot be read, is not whole, or does not meet the requirements.
    pub fn picture(&self, path: &Path) -> anyhow::Result<Picture> {
        Ok(self.plan.prepare_linked(path)?.source.picture)
    }

    /// Judges a picture that is in memory.
    ///
    /// # Errors
    /// A strip that the resize would enlarge too much, and what the engine says.
    pub fn judge(&self, picture: &Picture) -> anyhow::Result<Verdict> {
        check_engine_size(picture, self.plan.size)?;
        let scores = score(&self.extractor, &self.bank, &resize_for_engine(picture, self.plan.size))?;
        Ok(self.plan.judge(&scores, picture, self.bank.tau()))
    }

    /// The bank.
    pub fn into_bank(self) -> MemoryBank {
        self.bank
    }

    /// The thresholds that images are compared with.
    pub fn tau(&self) -> Tau {
        self.bank.tau().at(self.plan.rules.sensitivity)
    }

    /// How overlays show the mask.
    pub fn overlay_style(&self) -> OverlayStyle {
        OverlayStyle::of(&self.bank.config().options())
    }

    /// How images are inspected.
    pub fn plan(&self) -> &InspectionPlan {
        &self.plan
    }
}
