//! The way of one image: read and resize → engine → verdict → outputs → one transaction.
//!
//! The row is `pending` before anything happens and `done` only after the outputs are on disk. So a crash at any point leaves a row that
//! the daemon inspects again. The names of the outputs follow from the image, so the second outputs replace the first.

use super::attempt::Attempt;
use super::context::InspectorContext;
use super::in_hand::ImageInHand;
use super::products::drop_folder;
use super::retry::{RETRY, later};
use super::setback::{Setback, written_again};
use crate::codes::{EventKind, ReasonCode};
use crate::config::ProductConfig;
use crate::history::{HistoryError, PendingImage};
use crate::platform::crash_point;
use crate::telemetry::{Event, Telemetry};
use jiff::Timestamp;
use tracing::Instrument;

/// Inspects one image and records the outcome.
///
/// # Errors
/// Only when the history cannot be written; the row is then still pending.
pub(super) async fn inspect(
    context: &InspectorContext,
    product: &ProductConfig,
    image: PendingImage,
    hand: ImageInHand,
) -> Result<(), HistoryError> {
    let span = tracing::info_span!("image", product = %product.name, image = %image.path.display());
    inspect_in_span(context, product, image, hand).instrument(span).await
}

async fn inspect_in_span(
    context: &InspectorContext,
    product: &ProductConfig,
    image: PendingImage,
    mut hand: ImageInHand,
) -> Result<(), HistoryError> {
    let InspectorContext { products, queue, telemetry, .. } = context;
    let began = if hand.is_alone() { queue.start_attempt_alone(image.id).await? } else { queue.start_attempt(image.id).await? };
    if !began {
        return Ok(());
    }
    crash_point::reach("attempt_started");
    let attempt = Attempt { context, product, image: &image, hand: &mut hand };
    match attempt.make().await {
        Ok((finished, seen)) => {
            let path = image.path.display();
            crash_point::reach("outputs_written");
            if queue.finish(&finished).await? {
                crash_point::reach("decision_recorded");
                context.signals.decided.send_replace(());
                telemetry.status.decided(&product.name, finished.decision);
                let stages_ms = [finished.decode_ms, finished.engine_ms, finished.write_ms];
                telemetry.counters.decided(&product.name, finished.decision, context.clock.age(image.seen_at), stages_ms);
                tracing::info!(
                    decision = finished.decision.as_str(),
                    score = finished.image_score,
                    image_tau = finished.image_tau,
                    mask_pixels = finished.mask_pixels,
                    decode_ms = finished.decode_ms,
                    engine_ms = finished.engine_ms,
                    write_ms = finished.write_ms,
                    "inspected"
                );
                if let Some(seen) = seen {
                    let folder = drop_folder(product, &image.path);
                    for (kind, detail) in context.files.cameras.observe(&product.name, folder, &product.health, &seen) {
                        telemetry.events.tell(Event::new(kind, format!("{path}: {detail}")).of_product(&product.name)).await;
                    }
                }
            } else if queue.is_duplicate(image.id).await? {
                tell_duplicate(telemetry, product);
            } else {
                queue.put_down(image.id).await?;
            }
        }
        Err(Setback::Failed(reason)) => {
            tracing::warn!(reason_code = reason.code.as_str(), reason = %reason.text, "failed");
            if queue.fail(image.id, &reason, Timestamp::now()).await? {
                telemetry.status.failed();
                telemetry.counters.failed(&product.name, reason.code);
            }
        }
        Err(Setback::GaveUp(reason)) => {
            tracing::warn!(reason_code = reason.code.as_str(), reason = %reason.text, "failed");
            if queue.fail(image.id, &reason, Timestamp::now()).await? {
                telemetry.status.failed();
                telemetry.counters.failed(&product.name, reason.code);
                let detail = format!("{}: {}", image.path.display(), reason.text);
                telemetry.events.tell(Event::new(EventKind::GaveUp, detail).of_product(&product.name)).await;
            }
        }
        Err(Setback::Later(reason, wait)) => {
            if image.attempts == 0 && !reason.code.ends_by_itself() {
                tracing::warn!(reason_code = reason.code.as_str(), reason = %reason.text, "waits");
            }
            tracing::debug!(reason_code = reason.code.as_str(), reason = %reason.text, "tried again later");
            queue.retry_later(image.id, &reason, later(wait)).await?;
        }
        Err(Setback::Changed(..)) if products.is_of_another(product, &image.path) => {
            // Intake records the newer file, as an image of the other product.
            queue.retry_later(image.id, &written_again(), later(RETRY)).await?;
        }
        Err(Setback::Changed(version, file_id)) => {
            if queue.touch(image.id, (version.size, version.mtime_ns), file_id, later(products.config.intake.give_up_after)).await? {
                queue.retry_later(image.id, &written_again(), later(RETRY)).await?;
            } else {
                // The file is back at a version that was recorded before, and the row says so.
                tell_duplicate(telemetry, product);
            }
        }
        Err(Setback::NoBank) => {
            queue.wait_for_bank(image.id, &product.name).await?;
        }
        Err(Setback::History(error)) => return Err(error),
        Err(Setback::Stopping) => queue.put_down(image.id).await?,
    }
    Ok(())
}

fn tell_duplicate(telemetry: &Telemetry, product: &ProductConfig) {
    let code = ReasonCode::Duplicate;
    tracing::warn!(reason_code = code.as_str(), "failed");
    telemetry.counters.failed(&product.name, code);
}
