//! What a finished bank would change: it judges recent images of the product again, in the build process.

use super::CompareJob;
use crate::domain::Comparison;
use crate::inspect::BankScorer;
use crate::intake::FileVersion;
use crate::patchcore::MemoryBank;
use std::time::{Duration, Instant};

/// Judges the images whose files are still those of their rows. An image that cannot be judged does not count.
///
/// # Errors
/// A bank or weights that cannot be read.
pub fn compare(job: &CompareJob) -> anyhow::Result<Comparison> {
    let begin = Instant::now();
    let bank = MemoryBank::load(&job.bank_dir)?;
    let extractor = job.engine.load_for(bank.config())?;
    let scorer = BankScorer::new(bank, extractor, job.engine.expectation(), job.rules.clone())?;
    let mut found = Comparison::default();
    for image in &job.recent {
        if begin.elapsed() > Duration::from_secs(job.seconds) {
            break;
        }
        let recorded = FileVersion { size: image.size, mtime_ns: image.mtime_ns };
        if let Ok((version, verdict)) = scorer.verdict(&image.path)
            && version == recorded
        {
            found.add(image.decision, verdict.decision);
        }
    }
    Ok(found)
}
