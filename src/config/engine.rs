//! `engine:` and `intake:`

use super::check::Problems;
use super::raw::{RawEngine, RawIntake, Span, Word};
use super::{EngineConfig, IntakeConfig};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Smallest and largest value that is accepted, here and in the schema.
pub(super) const THREADS: (u32, u32) = (0, 1024);
pub(super) const BANK_CACHE: (u32, u32) = (1, 10_000);
pub(super) const RESCAN: (Duration, Duration) = (SECOND, HOUR);
pub(super) const GIVE_UP_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(24 * 3600));
pub(super) const MEGAPIXELS: (u32, u32) = (1, 1000);

pub(super) fn check_engine(raw: RawEngine, problems: &mut Problems) -> EngineConfig {
    let threads = raw.threads.unwrap_or(0);
    problems.need_range("engine.threads", threads, THREADS, " (0 = all cores)");
    let bank_cache = raw.bank_cache.unwrap_or(3);
    problems.need_range("engine.bank_cache", bank_cache, BANK_CACHE, " banks");
    let weights = raw.weights.unwrap_or_default().into_iter();
    let weights = weights.map(|(Word(b), path)| (b, problems.path(&format!("engine.weights.{b}"), &path))).collect();
    EngineConfig {
        device: raw.device.map(|Word(d)| d).unwrap_or_default(),
        precision: raw.precision.map(|Word(p)| p).unwrap_or_default(),
        threads: threads as usize,
        bank_cache: bank_cache as usize,
        weights,
    }
}

pub(super) fn check_intake(raw: RawIntake, problems: &mut Problems) -> IntakeConfig {
    let rescan = raw.rescan.map_or(30 * SECOND, |Span(s)| s);
    problems.need_span("intake.rescan", rescan, RESCAN);
    let give_up_after = raw.give_up_after.map_or(10 * SECOND, |Span(s)| s);
    problems.need_span("intake.give_up_after", give_up_after, GIVE_UP_AFTER);
    let max_megapixels = raw.max_megapixels.unwrap_or(64);
    problems.need_range("intake.max_megapixels", max_megapixels, MEGAPIXELS, " megapixels");
    IntakeConfig { rescan, give_up_after, max_megapixels }
}
