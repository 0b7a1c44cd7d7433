//! One task per product: watches its ok folder and has a new bank version built when it has changed.

mod build;
mod in_use;
mod ok_listing;

pub(super) use in_use::adopt;

use super::Line;
use crate::banks::{Debounce, DebounceTimes};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use build::{Ended, build};
use in_use::origin;
use ok_listing::list_however_long;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The ok folder is looked at this often at most and at least; in between a third of `quiet_period` decides.
const LOOK_SHORTEST: Duration = Duration::from_millis(300);
const LOOK_LONGEST: Duration = Duration::from_secs(10);

/// Runs until `stop`.
pub(super) async fn run(line: Arc<Line>, product: ProductConfig, stop: CancellationToken) {
    let times = DebounceTimes { quiet_period: product.rebuild.quiet_period, max_wait: product.rebuild.max_wait };
    let look = (times.quiet_period / 3).clamp(LOOK_SHORTEST, LOOK_LONGEST);
    let origin = tokio::select! {
        origin = origin(&line, &product) => origin,
        () = stop.cancelled() => return,
    };
    // A bank that does not say what it was built from (made by hand) stays until the ok folder changes.
    let mut unknown_origin = matches!(origin, Some(None));
    let mut debounce = Debounce::new(times, origin.flatten());
    let mut folder_was_lost = false;
    while !stop.is_cancelled() {
        let listing = tokio::select! {
            listing = list_however_long(&line, &product) => listing,
            () = stop.cancelled() => return,
        };
        match listing {
            Ok(listing) => {
                folder_was_lost = false;
                let fingerprint = listing.fingerprint(&product.build);
                if std::mem::take(&mut unknown_origin) {
                    debounce.settle(&fingerprint);
                }
                if debounce.observe(&fingerprint, Instant::now()) {
                    match build(&line, &product, &listing, &stop).await {
                        // The folder may have changed since the listing, and the bank says what it was really built from.
                        Ended::WithBank(Some(built)) => debounce.settle(&built),
                        Ended::WithBank(None) | Ended::Without => debounce.ended(),
                        Ended::Killed => debounce.killed(Instant::now()),
                    }
                }
            }
            Err(error) if !folder_was_lost => {
                folder_was_lost = true;
                let detail = format!("{}: {error}; the bank in use stays", product.ok.display());
                line.event(EventKind::OkFolderLost, Some(&product.name), &detail).await;
            }
            Err(_) => {}
        }
        // Images that arrived while the bank was being published may have been set aside too late to be released then.
        if line.banks.get(&product.name).is_some()
            && let Err(error) = line.store.release_waiting(&product.name).await
        {
            tracing::error!(%error, "history not written; waiting images are released later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// File work: it may hang with the share, and must not hang the runtime.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}
