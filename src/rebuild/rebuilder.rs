//! Watches the ok folder of a product and starts a build when the folder has changed.

use super::asked::Asked;
use super::build::{Ended, Order, build};
use super::context::RebuildContext;
use crate::banks::{BankState, Debounce, OkFolder, OkListing};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::domain::BankTrigger;
use crate::telemetry::Event;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The rebuilder of one product.
pub(super) struct Rebuilder<'a> {
    pub(super) context: &'a RebuildContext,
    pub(super) product: &'a ProductConfig,
    pub(super) debounce: Debounce,
    /// The state of the ok folder when the bank was built or put back is unknown: the first listing counts as that.
    pub(super) origin_unknown: bool,
    pub(super) folder_was_lost: bool,
    /// The bank in use was built just now and has had no self-test yet.
    pub(super) untested: bool,
    pub(super) asked: Asked,
    pub(super) stop: &'a CancellationToken,
}

impl Rebuilder<'_> {
    pub(super) fn listing(&self) -> OkListing<'_> {
        OkListing { product: self.product, events: self.context.events() }
    }

    /// Lists the ok folder, and builds when it is time. Gives up as soon as a person makes a request, which goes first.
    pub(super) async fn look_at_ok(&mut self) {
        let trigger = match self.context.banks.active.state(&self.product.name) {
            // Nothing is built as long as there may be a bank.
            BankState::Unknown => return,
            BankState::None => BankTrigger::First,
            BankState::InUse(_) => BankTrigger::OkChanged,
        };
        let listing = tokio::select! {
            listing = self.listing().list() => listing,
            () = self.asked.anything() => return,
            () = self.stop.cancelled() => return,
        };
        match listing {
            Ok(listing) => {
                self.folder_was_lost = false;
                let fingerprint = listing.fingerprint(&self.product.build);
                if std::mem::take(&mut self.origin_unknown) {
                    self.debounce.settle(&fingerprint.to_string());
                }
                if self.debounce.observe(&fingerprint, Instant::now()) {
                    self.build(&listing, Order { trigger, anew: false }).await;
                }
            }
            Err(error) if !self.folder_was_lost => {
                self.folder_was_lost = true;
                let detail = format!("{}: {error}; the bank in use stays", self.product.ok.display());
                let event = Event::new(EventKind::OkFolderLost, detail).of_product(&self.product.name).at(self.product.ok.as_path());
                self.context.events().tell(event).await;
            }
            Err(_) => {}
        }
    }

    /// Builds, unless a person asks for a rollback meanwhile, which would replace the new bank at once.
    pub(super) async fn build(&mut self, listing: &OkFolder, order: Order) -> Ended {
        let cut = self.stop.child_token();
        let mut building = std::pin::pin!(build(self.context, self.product, listing, order, &cut));
        let ended = tokio::select! {
            ended = &mut building => ended,
            () = self.asked.rollback() => {
                tracing::info!(product = %self.product.name, "the build is ended for a rollback");
                cut.cancel();
                building.await
            }
        };
        self.untested |= matches!(ended, Ended::WithBank { .. });
        match &ended {
            // The folder may have changed since the listing; the bank says what it was really built from.
            Ended::WithBank { fingerprint: Some(built), .. } => self.debounce.settle(built),
            Ended::WithBank { fingerprint: None, .. } | Ended::Without(_) | Ended::Cut => self.debounce.ended(),
            Ended::ForNow(_) => self.debounce.try_again(Instant::now()),
        }
        ended
    }
}
