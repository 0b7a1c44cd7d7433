//! One attempt at one image: read and resize → engine → verdict → outputs.

use super::context::InspectorContext;
use super::in_hand::ImageInHand;
use super::not_written::{not_written, written};
use super::products::drop_folder;
use super::retry::{RETRY, RETRY_LONGEST, RETRY_OBSTACLE};
use super::setback::{Setback, reason, unless_panicked};
use super::share::{is_mount, share_trouble};
use crate::banks::{ActiveBank, read_ahead};
use crate::codes::{Reason, ReasonCode};
use crate::config::{Config, ProductConfig};
use crate::domain::{BankTrouble, Decision, OutputsFor, SaidWhole};
use crate::engine::EngineFailure;
use crate::history::{Finished, FollowUp, PendingImage};
use crate::imaging::ImageError;
use crate::imaging::exposure::{Exposure, exposure};
use crate::inspect::{Expectation, InspectionPlan, OutputPaths, OverlayLook, Prepared, Source, Verdict, VerdictRules};
use crate::intake::{FileVersion, WriterState, file_state, has_stale_marker};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One attempt at one image.
pub(super) struct Attempt<'a> {
    pub context: &'a InspectorContext,
    pub product: &'a ProductConfig,
    pub image: &'a PendingImage,
    pub hand: &'a mut ImageInHand,
}

impl Attempt<'_> {
    pub(super) async fn make(mut self) -> Result<(Finished, Option<Exposure>), Setback> {
        let Self { context, product, image, .. } = self;
        // From here on the image belongs to this bank, even if a newer bank is published meanwhile.
        let Some(bank) = context.banks.get(&product.name) else { return Err(Setback::NoBank) };
        let reference = context.files.references.get(&product.name).cloned();
        let mut paths = OutputPaths::beside(&image.path, &product.outputs);
        // Without a reference there is no side-by-side to name in the row.
        paths.side_by_side = paths.side_by_side.filter(|_| reference.is_some());
        if let Some(reason) = paths.too_long() {
            return Err(Setback::Failed(reason));
        }
        let drop_folder = drop_folder(product, &image.path);
        let output_place = product.outputs.dir.as_deref().unwrap_or(drop_folder);
        if image.attempts > 0
            && let Some(folder) = paths.folder().map(Path::to_owned)
        {
            let leftovers = Arc::clone(&context.files.leftovers);
            self.file_work(output_place, move || leftovers.clear(&folder)).await?;
        }
        if !context.engine.has_loaded(&bank) {
            // The engine serves every product and must not hang with one bank folder. So the files are read here first.
            let dir = bank.dir.clone();
            // The engine reports the errors of these files.
            self.file_work(&product.bank, move || read_ahead(&dir)).await?;
        }
        let plan = InspectionPlan {
            expect: Expectation {
                max_megapixels: context.products.config.intake.max_megapixels,
                input: product.input.clone(),
                said_whole: image.said_whole,
            },
            size: bank.size,
            rules: VerdictRules { mask: product.mask.clone(), decide_by: product.decide_by, sensitivity: product.sensitivity },
        };
        let (Prepared { source, resized }, seen) = self.read(drop_folder, plan.clone()).await?;
        let Source { picture, content_hash, decode_time, changed_at, .. } = source;
        let scored = match context.engine.score(resized, bank.clone()).await {
            Ok(scored) => scored,
            // This version may have been replaced and deleted meanwhile; the new one is there.
            Err(EngineFailure::Bank(reason)) if context.banks.get(&product.name).as_ref() != Some(&bank) => {
                return Err(Setback::Later(Reason::new(ReasonCode::BankUnusable, reason), Duration::ZERO));
            }
            Err(EngineFailure::Bank(reason)) => {
                context.telemetry.banks.begins(&product.name, &product.bank, BankTrouble::Unusable, &reason).await;
                return Err(Setback::Later(Reason::new(ReasonCode::BankUnusable, format!("bank: {reason}")), RETRY_OBSTACLE));
            }
            Err(EngineFailure::Image(reason)) => return Err(Setback::Failed(Reason::new(ReasonCode::Engine, reason))),
            Err(EngineFailure::Stopped) => return Err(Setback::Stopping),
        };
        context.telemetry.banks.ends(&product.name, &product.bank, BankTrouble::Unusable).await;

        let begin = Instant::now();
        let judged = ImageInHand::compute(&context.telemetry.progress, move || {
            let verdict = plan.judge(&scored.scores, &picture, scored.tau);
            (verdict, picture)
        });
        let (verdict, picture) = unless_panicked(judged.await)?;
        let look = OverlayLook { style: scored.overlay_style, text: product.outputs.overlay_text };
        let (to_write, path, claims) = (paths.clone(), image.path.clone(), Arc::clone(&context.files.claims));
        let wanted = product.outputs.of == OutputsFor::All || verdict.decision == Decision::Ng;
        let work = move || {
            let _claim = claims.to_write(&path);
            let written = if wanted { to_write.write(&picture, &verdict, reference.as_deref(), look) } else { to_write.remove() };
            written.map(|()| (verdict, if wanted { to_write.newest_ns() } else { None }))
        };
        let (verdict, outputs_newest_ns) = match self.file_work(output_place, work).await? {
            Ok(written) => written,
            Err(error) if not_written(&context.telemetry, product, output_place, &paths, &error).await => {
                return Err(Setback::Later(reason(&error), RETRY_OBSTACLE));
            }
            Err(error) => return Err(Setback::Failed(reason(&error))),
        };
        written(&context.telemetry, output_place, &paths).await;
        let times = [decode_time, scored.engine_time, begin.elapsed()];
        let changed_at = by_our_clock(changed_at, outputs_newest_ns.filter(|_| product.outputs.dir.is_none()));
        let finished = Finished {
            // The image may have lain there before the daemon looked, or its writer took long: the earlier time counts.
            follow_up: follow_up(&context.products.config, product, image.seen_at.min(changed_at)),
            outputs_newest_ns,
            ..finished(image, &bank, &verdict, if wanted { paths } else { OutputPaths::default() }, content_hash, times)
        };
        Ok((finished, seen))
    }

    /// True when `give_up_after` has passed since the last change of the file, and the clock was not set in that time.
    fn is_overdue(&self) -> bool {
        let give_up_after = self.context.products.config.intake.give_up_after;
        has_passed(self.image.give_up_at, Timestamp::now(), self.context.clock.steady_for(), give_up_after)
    }

    async fn read(&mut self, drop_folder: &Path, plan: InspectionPlan) -> Result<(Prepared, Option<Exposure>), Setback> {
        let Self { context, product, image, .. } = *self;
        let measure = product.health.is_on();
        let (path, folder) = (image.path.clone(), drop_folder.to_owned());
        let readiness = context.products.readiness(product, &path);
        let writers = Arc::clone(&context.files.writers);
        // Unchanged for so long, or vouched for by a person: such a file counts as closed.
        let settled = image.said_whole == SaidWhole::Person || self.is_overdue();
        let work = move || {
            // Asked before the file is read: a writer that opens it later changes its time.
            let finished = match readiness.needs_close().then(|| writers.of(&path)) {
                Some(WriterState::Open) => Err(ImageError::NotClosed { path: path.clone() }),
                Some(WriterState::InDoubt) if !settled => Err(ImageError::NotClosed { path: path.clone() }),
                _ if has_stale_marker(&path, &readiness) => Err(ImageError::NotMarked { path: path.clone() }),
                _ => Ok(()),
            };
            let outcome = finished.and_then(|()| plan.prepare(&path)).map(|prepared| {
                let seen = measure.then(|| exposure(&prepared.source.picture));
                (prepared, seen)
            });
            // A file that changed after it was recorded is the same arrival; its writer is not yet done.
            (outcome, file_state(&path).ok().flatten(), is_mount(&folder))
        };
        let (outcome, now, folder) = self.file_work(drop_folder, work).await?;
        let recorded = FileVersion { size: image.size, mtime_ns: image.mtime_ns };
        let error = match (outcome, now) {
            (Ok(read), _) if read.0.source.version == recorded => {
                context.telemetry.folders.read_in(drop_folder, folder.unwrap_or(false));
                return Ok(read);
            }
            (Ok((prepared, _)), _) => return Err(Setback::Changed(prepared.source.version, prepared.source.file_id)),
            (Err(_), Some((now, id))) if now != recorded => return Err(Setback::Changed(now, id)),
            (Err(error), _) => error,
        };
        if let Some(reason) = share_trouble(&error, drop_folder, folder, context.telemetry.folders.was_mount(drop_folder)) {
            return Err(Setback::Later(Reason::new(ReasonCode::ShareTrouble, reason), RETRY_OBSTACLE));
        }
        Err(if !error.may_heal() {
            Setback::Failed(reason(&error))
        } else if self.is_overdue() {
            let Reason { code, text } = reason(&error);
            Setback::GaveUp(Reason::new(code, format!("{text}; given up after {:?}", context.products.config.intake.give_up_after)))
        } else {
            let doubled = RETRY.saturating_mul(1 << image.attempts.clamp(0, 8));
            Setback::Later(reason(&error), doubled.min(RETRY_LONGEST))
        })
    }

    async fn file_work<T: Send + 'static>(&mut self, place: &Path, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Setback> {
        unless_panicked(self.hand.file_work(&self.context.in_hand(), self.image.id, place, work).await.map_err(Setback::History)?)
    }
}

/// True when the clock shows `until`, the end of a wait of `wait`, and nobody set the clock for that long.
fn has_passed(until: Timestamp, now: Timestamp, steady_for: Duration, wait: Duration) -> bool {
    now >= until && steady_for >= wait
}

/// Converts a time from the file system of an image to our clock: a file server may have another clock. An output beside the image was
/// written just now, at `written_ns` by the clock of that file system.
fn by_our_clock(time: Timestamp, written_ns: Option<i64>) -> Timestamp {
    let written = written_ns.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok());
    written.and_then(|written| time.checked_add(Timestamp::now().duration_since(written)).ok()).unwrap_or(time)
}

/// What must follow a decision on an image of this product that arrived at `arrived_at`.
fn follow_up(config: &Config, product: &ProductConfig, arrived_at: Timestamp) -> FollowUp {
    FollowUp { act_since: product.on_ng.as_ref().map(|_| arrived_at), publish: config.mqtt.as_ref().map(|mqtt| mqtt.publish) }
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
        sensitivity: verdict.sensitivity,
        mask_pixels: verdict.mask.area,
        mask_regions: u64::from(verdict.mask.regions),
        decision: verdict.decision,
        decided_by: verdict.decided_by,
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
        // The clock was set forward just now.
        assert!(!has_passed(until, later(3600), Duration::from_secs(2), wait));
    }

    #[test]
    fn a_time_of_another_clock_is_told_by_ours() {
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(by_our_clock(at, None), at);
        // The server's clock is an hour behind ours.
        let written = Timestamp::now() - Duration::from_secs(3600);
        let ours = by_our_clock(at, i64::try_from(written.as_nanosecond()).ok());
        assert!((3600..3700).contains(&ours.duration_since(at).as_secs()), "{ours}");
    }
}
