//! Takes pending images from the history and has them inspected, a few at a time, product by product.
//!
//! The database is the queue: nothing is held in memory but the images in hand, however long the backlog is.

use super::Line;
use super::inspector::inspect;
use crate::config::ProductConfig;
use crate::history::{HistoryError, PendingImage, ProductBacklog};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Images in hand at once: one decoding, one in the engine, one being written, one spare. Bounds the memory.
const IN_HAND: usize = 4;
/// Images of one product before another gets its turn: enough that alternating products do not thrash the bank cache, few enough
/// that none starves.
const TURN: u32 = 16;
/// Pending images whose time has come are looked for at least this often, besides at every arrival.
const LOOK: Duration = Duration::from_millis(250);
/// Pause when the history cannot be written, e.g. on a full disk.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`; the images in hand are finished first.
///
/// # Errors
/// When the history is lost for good.
pub(super) async fn run(line: Arc<Line>, stop: CancellationToken) -> Result<(), HistoryError> {
    while !stop.is_cancelled() {
        match turn(&line, &stop).await {
            Ok(true) => {}
            Ok(false) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = line.wake.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(error) if error.kind.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "history not written; inspecting pauses");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(HISTORY_PAUSE) => {}
                }
            }
        }
    }
    Ok(())
}

/// One turn: 1. picks the product whose due image is oldest; 2. takes up to [`TURN`] of its images; 3. inspects them, at most
/// [`IN_HAND`] at once. False when there was nothing to do.
async fn turn(line: &Arc<Line>, stop: &CancellationToken) -> Result<bool, HistoryError> {
    let now = Timestamp::now();
    let backlog = line.store.backlog(now).await?;
    let Some(product) = pick(&backlog, |name| line.product(name)) else { return Ok(false) };
    let images = line.store.next_pending(&product.name, now, TURN, &[]).await?;
    let mut in_hand = JoinSet::new();
    let mut outcome = Ok(true);
    for image in images {
        if stop.is_cancelled() || outcome.is_err() {
            break;
        }
        if in_hand.len() >= IN_HAND
            && let Some(ended) = in_hand.join_next().await
        {
            outcome = outcome.and(flatten(ended));
        }
        in_hand.spawn(one(Arc::clone(line), product.clone(), image));
    }
    while let Some(ended) = in_hand.join_next().await {
        outcome = outcome.and(flatten(ended));
    }
    outcome
}

async fn one(line: Arc<Line>, product: ProductConfig, image: PendingImage) -> Result<(), HistoryError> {
    inspect(&line, &product, image).await
}

fn flatten(ended: Result<Result<(), HistoryError>, tokio::task::JoinError>) -> Result<bool, HistoryError> {
    match ended {
        Ok(result) => result.map(|()| true),
        Err(error) => {
            // The row is still pending and is tried again.
            tracing::error!(%error, "inspection task ended early");
            Ok(true)
        }
    }
}

/// The configured product whose due image has waited longest.
fn pick<'a>(backlog: &[ProductBacklog], known: impl Fn(&str) -> Option<&'a ProductConfig>) -> Option<&'a ProductConfig> {
    let mut due: Vec<&ProductBacklog> = backlog.iter().filter(|b| b.due > 0).collect();
    due.sort_by_key(|b| b.oldest_seen_at);
    due.into_iter().find_map(|b| known(&b.product))
}
