//! Which planted defects a bank finds that has just been built, told by the build process.

use super::{SelfTestJob, list_images};
use crate::inspect::BankScorer;
use crate::patchcore::MemoryBank;
use crate::selftest::{Judged, SelfTestPlan, self_test};
use anyhow::Context;

/// The contrast of the planted defects, percent of the grey range.
const CONTRAST: f64 = 30.0;
/// Defects of each kind and size: the fewest of which 95 of 100 can be found with one missed.
const PLACEMENTS: u32 = 20;

/// Plants defects into the OK images; gives one sentence for each kind.
///
/// # Errors
/// A bank or weights that cannot be read, and an ok folder without an image that can be used.
pub fn self_test_bank(job: &SelfTestJob) -> anyhow::Result<Vec<String>> {
    let paths = list_images(&job.ok_dir).with_context(|| format!("{}: cannot list the folder", job.ok_dir.display()))?;
    let bank = MemoryBank::load(&job.bank_dir)?;
    let extractor = job.engine.load_for(bank.config())?;
    let scorer = BankScorer::new(bank, extractor, job.engine.expectation(), job.rules.clone())?;
    let judge = |picture: &_| Ok(Judged::from(scorer.judge(picture)?));
    let plan = SelfTestPlan { contrasts: vec![CONTRAST], placements: PLACEMENTS, ..SelfTestPlan::default() };
    Ok(self_test(&judge, &paths, &|path| scorer.picture(path), &plan, &mut |_| ())?.sentences())
}
