//! The way of one image: read and resize → engine → verdict → outputs → one transaction.
//!
//! The row is `pending` before anything happens and `done` only after the outputs are on disk, so a crash at any point leaves a
//! row that is simply done again; the names of the outputs follow from the image, so the second time replaces the first.

use super::Line;
use super::active::ActiveBank;
use super::engine::EngineFailure;
use super::outputs::OutputPaths;
use super::source::{self, Expectation, Source};
use super::verdict::{Verdict, judge};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::error::ImageError;
use crate::history::{Finished, HistoryError, PendingImage};
use crate::imaging::resize::resize_for_engine;
use crate::inspection::{Picture, ResizedImage};
use crate::intake::{FileVersion, file_version};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wait before an incomplete file is tried again; doubled with each attempt up to [`RETRY_LONGEST`].
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// Wait before an image is tried again when its bank or its output folder is at fault: somebody has to do something.
const RETRY_OBSTACLE: Duration = Duration::from_secs(10);

/// How an attempt ended, when not with a verdict.
enum Setback {
    /// Its row says so for good.
    Failed(String),
    /// Its row stays pending for this reason, until then.
    Later(String, Duration),
    /// Another writing of the file has taken the place of the one recorded.
    Changed(FileVersion),
    /// The product has no bank.
    NoBank,
    /// The daemon is stopping.
    Stopping,
}

/// Inspects one image and records the outcome.
///
/// # Errors
/// Only when the history cannot be written; the row is then still pending.
pub(super) async fn inspect(line: &Line, product: &ProductConfig, image: PendingImage) -> Result<(), HistoryError> {
    line.store.start_attempt(image.id).await?;
    crash_point::reach("attempt_started");
    match attempt(line, product, &image).await {
        Ok(finished) => {
            let path = image.path.display();
            crash_point::reach("outputs_written");
            if line.store.finish(&finished).await? {
                crash_point::reach("decision_recorded");
                line.status.decided(&product.name, finished.decision);
                tracing::info!(
                    product = %product.name, image = %path, decision = finished.decision.as_str(), score = finished.image_score,
                    image_tau = finished.image_tau, mask_pixels = finished.mask_pixels, decode_ms = finished.decode_ms,
                    engine_ms = finished.engine_ms, write_ms = finished.write_ms, "inspected"
                );
            }
        }
        Err(Setback::Failed(reason)) => {
            tracing::warn!(product = %product.name, image = %image.path.display(), %reason, "failed");
            if line.store.fail(image.id, &reason, Timestamp::now()).await? {
                line.status.failed();
            }
        }
        Err(Setback::Later(reason, wait)) => {
            tracing::debug!(product = %product.name, image = %image.path.display(), %reason, "tried again later");
            line.store.retry_later(image.id, &reason, later(wait)).await?;
        }
        Err(Setback::Changed(version)) => {
            line.store.touch(image.id, version.size, version.mtime_ns, later(line.config.intake.give_up_after)).await?;
            line.store.retry_later(image.id, "it was written to again", later(RETRY)).await?;
        }
        Err(Setback::NoBank) => {
            line.store.set_waiting_for_bank(&product.name).await?;
        }
        Err(Setback::Stopping) => {}
    }
    Ok(())
}

async fn attempt(line: &Line, product: &ProductConfig, image: &PendingImage) -> Result<Finished, Setback> {
    let Some(bank) = line.banks.get(&product.name) else { return Err(Setback::NoBank) };
    let paths = OutputPaths::beside(&image.path, &product.outputs);
    if image.attempts > 0
        && let Some(folder) = paths.folder().map(Path::to_owned)
    {
        let litter = Arc::clone(&line.litter);
        blocking(move || litter.clear(&folder)).await?;
    }
    let (source, resized) = read(line, product, image, bank.shorter).await?;
    let picture = source.picture;
    let scored = line.engine.score(resized, bank.dir.clone()).await.map_err(|failure| match failure {
        EngineFailure::Bank(reason) => Setback::Later(format!("bank: {reason}"), RETRY_OBSTACLE),
        EngineFailure::Image(reason) => Setback::Failed(reason),
        EngineFailure::Stopped => Setback::Stopping,
    })?;

    let begin = Instant::now();
    let written = {
        let (paths, cleanup, decide_by) = (paths.clone(), product.mask.clone(), product.decide_by);
        let reference = line.reference(&product.name);
        blocking(move || {
            let verdict = judge(&scored.grid, &picture, scored.tau, &cleanup, decide_by);
            write(&paths, &picture, &verdict, reference.as_deref()).map(|()| verdict)
        })
        .await?
    };
    let verdict = written.map_err(|error| Setback::Later(error.to_string(), RETRY_OBSTACLE))?;
    Ok(finished(image, &bank, &verdict, paths, source.content_hash, [source.decode_time, scored.engine_time, begin.elapsed()]))
}

async fn read(line: &Line, product: &ProductConfig, image: &PendingImage, shorter: u32) -> Result<(Source, ResizedImage), Setback> {
    let expect = Expectation { max_megapixels: line.config.intake.max_megapixels, input: product.input.clone() };
    let path = image.path.clone();
    let outcome = blocking(move || {
        let outcome = source::read(&path, &expect).map(|mut source| {
            let begin = Instant::now();
            let resized = resize_for_engine(&source.picture, shorter);
            source.decode_time += begin.elapsed();
            (source, resized)
        });
        // A file that changed since it was recorded is the same arrival, still on its way.
        (outcome, file_version(&path).ok().flatten())
    })
    .await?;
    let recorded = FileVersion { size: image.size, mtime_ns: image.mtime_ns };
    match outcome {
        (Ok((source, resized)), _) if source.version == recorded => Ok((source, resized)),
        (Ok((source, _)), _) => Err(Setback::Changed(source.version)),
        (Err(_), Some(now)) if now != recorded => Err(Setback::Changed(now)),
        (Err(error), _) if !error.may_heal() => Err(Setback::Failed(reason(&error))),
        (Err(error), _) if Timestamp::now() >= image.give_up_at => {
            Err(Setback::Failed(format!("{}; given up after {:?}", reason(&error), line.config.intake.give_up_after)))
        }
        (Err(error), _) => {
            let doubled = RETRY.saturating_mul(1 << image.attempts.clamp(0, 8));
            Err(Setback::Later(reason(&error), doubled.min(RETRY_LONGEST)))
        }
    }
}

/// The row names the file already.
fn reason(error: &ImageError) -> String {
    match error {
        ImageError::Incomplete { reason, .. } => format!("incomplete: {reason}"),
        ImageError::Rejected { reason, .. } => reason.clone(),
        ImageError::Read { source, .. } => format!("cannot be read: {source}"),
        ImageError::Write { .. } | ImageError::Engine(_) => error.to_string(),
    }
}

fn write(paths: &OutputPaths, picture: &Picture, verdict: &Verdict, reference: Option<&Picture>) -> Result<(), ImageError> {
    paths.write(picture, verdict, reference)
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
        decode_ms,
        engine_ms,
        write_ms,
        decided_at: Timestamp::now(),
    }
}

/// Runs file-system and pixel work off the runtime. A panic in it fails this image alone.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Setback> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        if error.is_panic() { Setback::Failed("a library panicked on this image; see the log".to_owned()) } else { Setback::Stopping }
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
