//! One task per product: watches its ok folder and has a new bank version built when it has changed, or when somebody asks for it.

mod asked;
mod build;
mod in_use;
mod ok_listing;

pub use build::folder_answers;
pub(super) use in_use::{active, adopt, bank_row, take_edit};
pub(super) use ok_listing::list_for;

use super::Line;
use super::active::BankState;
use crate::banks::{Debounce, DebounceTimes, OkFolder};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use asked::{Asked, can_be_served};
use build::{Ended, Order, build};
use in_use::{Origin, origin};
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
    let asked = Asked::of(&line, &product.name);
    let origin = tokio::select! {
        origin = known_origin(&line, &product, &asked) => origin,
        () = stop.cancelled() => return,
    };
    // Not watched here: the folder, which is reported when it does not answer, and the build, which is watched for itself.
    let (pulse, _watch) = line.progress.worker(format!("rebuilder of {}", product.name));
    let mut rebuilder = Rebuilder {
        line: &line,
        product: &product,
        // A bank that does not say what it was built from (made by hand) stays until the ok folder changes.
        origin_unknown: matches!(origin, Origin::Of(None)),
        debounce: Debounce::new(
            times,
            match origin {
                Origin::NoBank => None,
                Origin::Of(fingerprint) => fingerprint,
            },
        ),
        folder_was_lost: false,
        asked,
        stop: &stop,
    };
    while !stop.is_cancelled() {
        if let Some(request) = rebuilder.asked.next() {
            rebuilder.serve(request).await;
            continue;
        }
        rebuilder.look_at_ok().await;
        // Its pause may be long.
        let _work = pulse.begin();
        pulse.long_step();
        // Images that arrived while the bank was being published may have been set aside too late to be released then.
        if line.banks.get(&product.name).is_some()
            && let Err(error) = line.store.release_waiting(&product.name).await
        {
            tracing::error!(%error, "history not written; waiting images are released later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = rebuilder.asked.anything() => {}
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// Waits until it is known which bank the product uses. Whoever asks for another one need not wait for that.
async fn known_origin(line: &Line, product: &ProductConfig, asked: &Asked) -> Origin {
    loop {
        if let Some(origin) = origin(line, product).await {
            return origin;
        }
        if let Some(request) = asked.next()
            && can_be_served(line, product, &request).await
        {
            return Origin::Of(None);
        }
        tokio::time::sleep(LOOK_SHORTEST).await;
    }
}

struct Rebuilder<'a> {
    line: &'a Line,
    product: &'a ProductConfig,
    debounce: Debounce,
    /// What the ok folder looked like when the bank in use was built or put back is not known: the first listing counts as that.
    origin_unknown: bool,
    folder_was_lost: bool,
    asked: Asked,
    stop: &'a CancellationToken,
}

impl Rebuilder<'_> {
    /// Lists the ok folder, and builds when it is time to. Gives up as soon as somebody asks for something: that goes first.
    async fn look_at_ok(&mut self) {
        let trigger = match self.line.banks.state(&self.product.name) {
            // Nothing is built as long as there may be a bank.
            BankState::Unknown => return,
            BankState::None => "first",
            BankState::InUse(_) => "ok_changed",
        };
        let listing = tokio::select! {
            listing = list_however_long(self.line, self.product) => listing,
            () = self.asked.anything() => return,
            () = self.stop.cancelled() => return,
        };
        match listing {
            Ok(listing) => {
                self.folder_was_lost = false;
                let fingerprint = listing.fingerprint(&self.product.build);
                if std::mem::take(&mut self.origin_unknown) {
                    self.debounce.settle(&fingerprint);
                }
                if self.debounce.observe(&fingerprint, Instant::now()) {
                    self.build(&listing, Order { trigger, anew: false }).await;
                }
            }
            Err(error) if !self.folder_was_lost => {
                self.folder_was_lost = true;
                let detail = format!("{}: {error}; the bank in use stays", self.product.ok.display());
                self.line.event(EventKind::OkFolderLost, Some(&self.product.name), &detail).await;
            }
            Err(_) => {}
        }
    }

    /// Builds, unless a rollback is asked for meanwhile: its bank would be replaced at once.
    async fn build(&mut self, listing: &OkFolder, order: Order) -> Ended {
        let cut = self.stop.child_token();
        let mut building = std::pin::pin!(build(self.line, self.product, listing, order, &cut));
        let ended = tokio::select! {
            ended = &mut building => ended,
            () = self.asked.rollback() => {
                tracing::info!(product = %self.product.name, "the build is ended for a rollback");
                cut.cancel();
                building.await
            }
        };
        match &ended {
            // The folder may have changed since the listing, and the bank says what it was really built from.
            Ended::WithBank { fingerprint: Some(built), .. } => self.debounce.settle(built),
            Ended::WithBank { fingerprint: None, .. } | Ended::Without(_) | Ended::Cut => self.debounce.ended(),
            Ended::ForNow(_) => self.debounce.try_again(Instant::now()),
        }
        ended
    }
}

/// File work: it may hang with the share, and must not hang the runtime.
pub(super) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}
