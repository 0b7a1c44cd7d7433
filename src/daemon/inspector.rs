//! The way of one image: read and resize → engine → verdict → outputs → one transaction.
//!
//! The row is `pending` before anything happens and `done` only after the outputs are on disk, so a crash at any point leaves a
//! row that is simply done again; the names of the outputs follow from the image, so the second time replaces the first.

use super::Line;
use super::acting::follow_up;
use super::active::ActiveBank;
use super::bank_troubles::{self, BankTrouble};
use super::engine::EngineFailure;
use super::hand::Hand;
use super::not_written::{not_written, written};
use super::outputs::OutputPaths;
use super::source::{self, Expectation, Source};
use super::verdict::{Verdict, judge};
use super::whose::{drop_folder, is_of_another, readiness};
use crate::banks::read_ahead;
use crate::codes::{EventKind, Reason, ReasonCode};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::error::{ImageError, NOT_CLOSED, NOT_MARKED};
use crate::history::{Finished, FollowUp, HistoryError, PendingImage};
use crate::imaging::exposure::{Exposure, exposure};
use crate::inspection::{Picture, ResizedImage, SaidWhole};
use crate::intake::{FileVersion, Writing, file_version, has_stale_marker};
use jiff::Timestamp;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinError;

/// Wait before an incomplete file is tried again; doubled with each attempt up to [`RETRY_LONGEST`].
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// Wait before an image is tried again when its bank or its output folder is at fault: somebody has to do something. The longest of all.
pub(super) const RETRY_OBSTACLE: Duration = Duration::from_secs(10);

/// How an attempt ended, when not with a verdict.
enum Setback {
    /// Its row says so for good.
    Failed(Reason),
    /// As `Failed`, since it was incomplete for too long.
    GaveUp(Reason),
    /// Its row stays pending for this reason, until then.
    Later(Reason, Duration),
    /// Another writing of the file has taken the place of the one recorded.
    Changed(FileVersion),
    /// The product has no bank.
    NoBank,
    /// The history cannot be written.
    History(HistoryError),
    /// The daemon is stopping.
    Stopping,
}

/// Inspects one image and records the outcome.
///
/// # Errors
/// Only when the history cannot be written; the row is then still pending.
pub(super) async fn inspect(line: &Line, product: &ProductConfig, image: PendingImage, mut hand: Hand) -> Result<(), HistoryError> {
    let began = if hand.is_alone() { line.store.start_attempt_alone(image.id).await? } else { line.store.start_attempt(image.id).await? };
    if !began {
        return Ok(());
    }
    crash_point::reach("attempt_started");
    let work = Work { line, product, image: &image, hand: &mut hand };
    match work.attempt().await {
        Ok((finished, seen)) => {
            let path = image.path.display();
            crash_point::reach("outputs_written");
            if line.store.finish(&finished).await? {
                crash_point::reach("decision_recorded");
                line.decided.send_replace(());
                line.status.decided(&product.name, finished.decision);
                line.meters.decided(&product.name, line.clock.age(image.seen_at), &finished);
                tracing::info!(
                    product = %product.name, image = %path, decision = finished.decision.as_str(), score = finished.image_score,
                    image_tau = finished.image_tau, mask_pixels = finished.mask_pixels, decode_ms = finished.decode_ms,
                    engine_ms = finished.engine_ms, write_ms = finished.write_ms, "inspected"
                );
                if let Some(seen) = seen {
                    let folder = drop_folder(product, &image.path);
                    for (kind, detail) in line.cameras.observe(&product.name, folder, &product.health, &seen) {
                        line.event(kind, Some(&product.name), &format!("{path}: {detail}")).await;
                    }
                }
            } else if line.store.is_duplicate(image.id).await? {
                tell_duplicate(line, product, &image);
            } else {
                line.store.put_down(image.id).await?;
            }
        }
        Err(Setback::Failed(reason)) => {
            tracing::warn!(product = %product.name, image = %image.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "failed");
            if line.store.fail(image.id, &reason, Timestamp::now()).await? {
                line.status.failed();
                line.meters.failed(&product.name, reason.code);
            }
        }
        Err(Setback::GaveUp(reason)) => {
            tracing::warn!(product = %product.name, image = %image.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "failed");
            if line.store.fail(image.id, &reason, Timestamp::now()).await? {
                line.status.failed();
                line.meters.failed(&product.name, reason.code);
                let detail = format!("{}: {}", image.path.display(), reason.text);
                line.event(EventKind::GaveUp, Some(&product.name), &detail).await;
            }
        }
        Err(Setback::Later(reason, wait)) => {
            if image.attempts == 0 && !reason.code.ends_by_itself() {
                tracing::warn!(product = %product.name, image = %image.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "waits");
            }
            tracing::debug!(product = %product.name, image = %image.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "tried again later");
            line.store.retry_later(image.id, &reason, later(wait)).await?;
        }
        Err(Setback::Changed(_)) if is_of_another(line, product, &image.path) => {
            // What was written there since is for intake to record, as that product's.
            line.store.retry_later(image.id, &written_again(), later(RETRY)).await?;
        }
        Err(Setback::Changed(version)) => {
            if line.store.touch(image.id, version.size, version.mtime_ns, later(line.config.intake.give_up_after)).await? {
                line.store.retry_later(image.id, &written_again(), later(RETRY)).await?;
            } else {
                // It is back at a version that was recorded before, and the row says so.
                tell_duplicate(line, product, &image);
            }
        }
        Err(Setback::NoBank) => {
            line.store.set_waiting_for_bank(&product.name).await?;
            line.store.put_down(image.id).await?;
        }
        Err(Setback::History(error)) => return Err(error),
        Err(Setback::Stopping) => line.store.put_down(image.id).await?,
    }
    Ok(())
}

fn tell_duplicate(line: &Line, product: &ProductConfig, image: &PendingImage) {
    let code = ReasonCode::Duplicate;
    tracing::warn!(product = %product.name, image = %image.path.display(), reason_code = code.as_str(), "failed");
    line.meters.failed(&product.name, code);
}

/// One attempt at one image.
struct Work<'a> {
    line: &'a Line,
    product: &'a ProductConfig,
    image: &'a PendingImage,
    hand: &'a mut Hand,
}

impl Work<'_> {
    async fn attempt(mut self) -> Result<(Finished, Option<Exposure>), Setback> {
        let Self { line, product, image, .. } = self;
        // From here on the image belongs to this bank, whatever is published meanwhile.
        let Some(bank) = line.banks.get(&product.name) else { return Err(Setback::NoBank) };
        let reference = line.reference(&product.name);
        let mut paths = OutputPaths::beside(&image.path, &product.outputs);
        // Without one, it is not written, and the row must not name it.
        paths.side_by_side = paths.side_by_side.filter(|_| reference.is_some());
        if let Some(reason) = paths.too_long() {
            return Err(Setback::Failed(reason));
        }
        let drop_folder = drop_folder(product, &image.path);
        let output_place = product.outputs.dir.as_deref().unwrap_or(drop_folder);
        if image.attempts > 0
            && let Some(folder) = paths.folder().map(Path::to_owned)
        {
            let litter = Arc::clone(&line.litter);
            self.file_work(output_place, move || litter.clear(&folder)).await?;
        }
        if !line.engine.has_loaded(&bank) {
            // The engine serves every product and must not hang with the folder of one bank: it finds the files read.
            let dir = bank.dir.clone();
            // What is wrong with them, the engine says.
            self.file_work(&product.bank, move || read_ahead(&dir)).await?;
        }
        let (source, resized, seen) = self.read(drop_folder, bank.shorter).await?;
        let Source { picture, content_hash, decode_time, changed_at, .. } = source;
        let scored = match line.engine.score(resized, bank.clone()).await {
            Ok(scored) => scored,
            // A version that was superseded meanwhile may be gone from the disk; the new one is there.
            Err(EngineFailure::Bank(reason)) if line.banks.get(&product.name).as_ref() != Some(&bank) => {
                return Err(Setback::Later(Reason::new(ReasonCode::BankUnusable, reason), Duration::ZERO));
            }
            Err(EngineFailure::Bank(reason)) => {
                bank_troubles::tell(line, product, BankTrouble::Unusable, &reason).await;
                return Err(Setback::Later(Reason::new(ReasonCode::BankUnusable, format!("bank: {reason}")), RETRY_OBSTACLE));
            }
            Err(EngineFailure::Image(reason)) => return Err(Setback::Failed(Reason::new(ReasonCode::Engine, reason))),
            Err(EngineFailure::Stopped) => return Err(Setback::Stopping),
        };
        bank_troubles::over(line, product, BankTrouble::Unusable).await;

        let begin = Instant::now();
        let (cleanup, decide_by) = (product.mask.clone(), product.decide_by);
        let judged = Hand::compute(line, move || {
            let verdict = judge(&scored.grid, &picture, scored.tau, &cleanup, decide_by);
            (verdict, picture)
        });
        let (verdict, picture) = unless_panicked(judged.await)?;
        let (to_write, path, writing) = (paths.clone(), image.path.clone(), Arc::clone(&line.writing));
        let work = move || {
            let _taken = writing.to_write(&path);
            to_write.write(&picture, &verdict, reference.as_deref()).map(|()| (verdict, to_write.newest_ns()))
        };
        let (verdict, outputs_newest_ns) = match self.file_work(output_place, work).await? {
            Ok(written) => written,
            Err(error) if not_written(line, product, output_place, &paths, &error).await => {
                return Err(Setback::Later(reason(&error), RETRY_OBSTACLE));
            }
            Err(error) => return Err(Setback::Failed(reason(&error))),
        };
        written(line, output_place, &paths).await;
        let times = [decode_time, scored.engine_time, begin.elapsed()];
        let changed_at = by_our_clock(changed_at, outputs_newest_ns.filter(|_| product.outputs.dir.is_none()));
        let finished = Finished {
            // An image that lay there before the daemon looked, or that its writer was long about, has been there since.
            follow_up: follow_up(&line.config, product, image.seen_at.min(changed_at)),
            outputs_newest_ns,
            ..finished(image, &bank, &verdict, paths, content_hash, times)
        };
        Ok((finished, seen))
    }

    /// True when `give_up_after` has passed since the last change of the file, and not only on a clock that was set meanwhile.
    fn is_overdue(&self) -> bool {
        let give_up_after = self.line.config.intake.give_up_after;
        has_passed(self.image.give_up_at, Timestamp::now(), self.line.clock.steady_for(), give_up_after)
    }

    async fn read(&mut self, drop_folder: &Path, shorter: u32) -> Result<(Source, ResizedImage, Option<Exposure>), Setback> {
        let Self { line, product, image, .. } = *self;
        let said_whole = image.said_whole;
        let expect = Expectation { max_megapixels: line.config.intake.max_megapixels, input: product.input.clone(), said_whole };
        let measure = product.health.is_on();
        let (path, folder) = (image.path.clone(), drop_folder.to_owned());
        let readiness = readiness(line, product, &path);
        let writers = Arc::clone(&line.writers);
        // Unchanged for so long, or vouched for, a file in doubt counts as closed.
        let settled = said_whole == SaidWhole::Person || self.is_overdue();
        let work = move || {
            // Asked before the file is read: who opens it later changes its time.
            let finished = match readiness.needs_close().then(|| writers.of(&path)) {
                Some(Writing::Open) => Err(ImageError::NotClosed { path: path.clone() }),
                Some(Writing::InDoubt) if !settled => Err(ImageError::NotClosed { path: path.clone() }),
                _ if has_stale_marker(&path, &readiness) => Err(ImageError::NotMarked { path: path.clone() }),
                _ => Ok(()),
            };
            let outcome = finished.and_then(|()| source::read_for_engine(&path, &expect, shorter)).map(|(source, resized)| {
                let seen = measure.then(|| exposure(&source.picture));
                (source, resized, seen)
            });
            // A file that changed since it was recorded is the same arrival, still on its way.
            (outcome, file_version(&path).ok().flatten(), is_mount(&folder))
        };
        let (outcome, now, folder) = self.file_work(drop_folder, work).await?;
        let recorded = FileVersion { size: image.size, mtime_ns: image.mtime_ns };
        let error = match (outcome, now) {
            (Ok(read), _) if read.0.version == recorded => {
                line.places.read_in(drop_folder, folder.unwrap_or(false));
                return Ok(read);
            }
            (Ok((source, ..)), _) => return Err(Setback::Changed(source.version)),
            (Err(_), Some(now)) if now != recorded => return Err(Setback::Changed(now)),
            (Err(error), _) => error,
        };
        if let Some(reason) = share_trouble(&error, drop_folder, folder, line.places.was_mount(drop_folder)) {
            return Err(Setback::Later(Reason::new(ReasonCode::ShareTrouble, reason), RETRY_OBSTACLE));
        }
        Err(if !error.may_heal() {
            Setback::Failed(reason(&error))
        } else if self.is_overdue() {
            let Reason { code, text } = reason(&error);
            Setback::GaveUp(Reason::new(code, format!("{text}; given up after {:?}", line.config.intake.give_up_after)))
        } else {
            let doubled = RETRY.saturating_mul(1 << image.attempts.clamp(0, 8));
            Setback::Later(reason(&error), doubled.min(RETRY_LONGEST))
        })
    }

    async fn file_work<T: Send + 'static>(&mut self, place: &Path, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Setback> {
        unless_panicked(self.hand.file_work(self.line, self.image.id, place, work).await.map_err(Setback::History)?)
    }
}

/// True when the clock shows `until`, the end of a wait of `wait`, and was not set in as long as that.
fn has_passed(until: Timestamp, now: Timestamp, steady_for: Duration, wait: Duration) -> bool {
    now >= until && steady_for >= wait
}

/// A time that the file system of an image told, by our clock: a file server may have another one. An output beside the image was written
/// just now, at `written_ns` by the clock of that file system.
fn by_our_clock(time: Timestamp, written_ns: Option<i64>) -> Timestamp {
    let written = written_ns.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok());
    written.and_then(|written| time.checked_add(Timestamp::now().duration_since(written)).ok()).unwrap_or(time)
}

/// True when another file system than that of its parent is mounted on the folder.
fn is_mount(folder: &Path) -> io::Result<bool> {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev());
    Ok(device(folder)? != device(folder.parent().unwrap_or(folder))?)
}

/// Why the image cannot be read, when it is not the image's fault: its drop folder is gone, or the share or disk below it fails.
/// Such an image waits, however long.
fn share_trouble(error: &ImageError, folder: &Path, is_mount: io::Result<bool>, was_mount: bool) -> Option<String> {
    use rustix::io::Errno;
    let ImageError::Read { source, .. } = error else { return None };
    match is_mount {
        Err(error) => return Some(format!("its drop folder {} cannot be read: {error}", folder.display())),
        Ok(false) if was_mount && source.kind() == io::ErrorKind::NotFound => {
            return Some(format!("nothing is mounted on its drop folder {} any more; mount the share again", folder.display()));
        }
        Ok(_) => {}
    }
    let code = Errno::from_io_error(source)?;
    let share = [Errno::IO, Errno::STALE, Errno::NOTCONN, Errno::HOSTDOWN, Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::NXIO, Errno::NODEV];
    share.contains(&code).then(|| format!("cannot be read: {source}; check the share or the disk"))
}

fn written_again() -> Reason {
    Reason::new(ReasonCode::Changing, "it was written to again")
}

/// The row names the file already.
fn reason(error: &ImageError) -> Reason {
    let text = match error {
        ImageError::Incomplete { reason, .. } => format!("incomplete: {reason}"),
        ImageError::NotClosed { .. } => format!("incomplete: {NOT_CLOSED}"),
        ImageError::NotMarked { .. } => format!("incomplete: {NOT_MARKED}"),
        ImageError::Rejected { reason, .. } => reason.clone(),
        ImageError::Read { source, .. } => format!("cannot be read: {source}"),
        ImageError::Write { .. } | ImageError::Engine(_) => error.to_string(),
    };
    Reason::new(error.reason_code(), text)
}

fn finished(
    image: &PendingImage,
    bank: &ActiveBank,
    verdict: &Verdict,
    paths: OutputPaths,
    content_hash: String,
    times: [Duration; 3],
) -> Finished {
    let [decode_ms, engine_ms, write_ms] = times.map(|time| time.as_secs_f64() * 1e3);
    Finished {
        id: image.id,
        content_hash,
        bank_id: bank.bank_id,
        image_score: f64::from(verdict.image_score),
        image_tau: verdict.tau.image,
        pixel_tau: verdict.tau.pixel,
        mask_pixels: verdict.mask.area,
        mask_regions: u64::from(verdict.mask.regions),
        decision: verdict.decision,
        mask_path: paths.mask,
        overlay_path: paths.overlay,
        heat_path: paths.heat,
        side_by_side_path: paths.side_by_side,
        scores_path: paths.scores,
        outputs_newest_ns: None,
        decode_ms,
        engine_ms,
        write_ms,
        decided_at: Timestamp::now(),
        follow_up: FollowUp::default(),
    }
}

/// A panic in work off the runtime fails this image alone.
fn unless_panicked<T>(ended: Result<T, JoinError>) -> Result<T, Setback> {
    ended.map_err(|error| {
        let panicked = || Reason::new(ReasonCode::Engine, "a library panicked on this image; see the log");
        if error.is_panic() { Setback::Failed(panicked()) } else { Setback::Stopping }
    })
}

pub(super) fn later(wait: Duration) -> Timestamp {
    Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Reads a golden image for the side-by-side; without one there is none, and the log says why.
pub(super) fn read_reference(path: &Path, expect: &Expectation) -> Option<Arc<Picture>> {
    match source::read(path, expect) {
        Ok(source) => Some(Arc::new(source.picture)),
        Err(error) => {
            tracing::warn!(%error, "reference not read; no side-by-side is written");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_one_image() {
        let ended = tokio::task::spawn_blocking(|| panic!("as a library may")).await;
        assert!(matches!(unless_panicked::<()>(ended), Err(Setback::Failed(reason)) if reason.text.contains("panicked on this image")));
    }

    #[test]
    fn a_wait_ends_by_the_clock_only_when_that_was_not_set_meanwhile() {
        let (until, wait) = (Timestamp::from_second(1_795_000_000).unwrap(), Duration::from_secs(10));
        let later = |seconds| until + Duration::from_secs(seconds);
        assert!(has_passed(until, later(0), wait, wait) && has_passed(until, later(60), wait * 9, wait));
        assert!(!has_passed(until, until - Duration::from_secs(1), wait * 9, wait));
        // It was set forward just now.
        assert!(!has_passed(until, later(3600), Duration::from_secs(2), wait));
    }

    #[test]
    fn a_time_of_another_clock_is_told_by_ours() {
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(by_our_clock(at, None), at);
        // That clock is an hour behind ours.
        let written = Timestamp::now() - Duration::from_secs(3600);
        let ours = by_our_clock(at, i64::try_from(written.as_nanosecond()).ok());
        assert!((3600..3700).contains(&ours.duration_since(at).as_secs()), "{ours}");
    }
}
