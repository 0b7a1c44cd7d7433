//! What a finished bank would change: it judges recent images of the product again, in the build process.

use super::CompareJob;
use crate::domain::{Comparison, PrecisionChoice, RecentImage};
use crate::inspect::BankScorer;
use crate::patchcore::MemoryBank;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Judges the images whose files are still those of their rows. An image that cannot be judged does not count.
///
/// # Errors
/// A bank or weights that cannot be read.
pub fn compare(job: &CompareJob) -> anyhow::Result<Comparison> {
    let begin = Instant::now();
    let bank = MemoryBank::load(&job.bank_dir)?;
    let extractor = job.engine.load(bank.config().backbone, PrecisionChoice::Fixed(bank.config().precision))?;
    bank.check_extractor(&extractor)?;
    let bank = bank.beside(&extractor)?;
    let scorer = BankScorer::new(bank, extractor, job.engine.expectation(), job.rules.clone());
    let mut found = Comparison::default();
    for image in &job.recent {
        if begin.elapsed() > Duration::from_secs(job.seconds) {
            break;
        }
        if is_still_there(image)
            && let Ok(verdict) = scorer.verdict(&image.path)
        {
            found.add(image.decision, verdict.decision);
        }
    }
    Ok(found)
}

fn is_still_there(image: &RecentImage) -> bool {
    let now = std::fs::metadata(&image.path).map(|meta| (meta.len(), meta.mtime() * 1_000_000_000 + meta.mtime_nsec()));
    now.is_ok_and(|now| now == (image.size, image.mtime_ns))
}
