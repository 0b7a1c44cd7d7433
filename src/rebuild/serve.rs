//! Serves the requests of people for one product.

use super::asked::can_be_served;
use super::build::{Ended, Order};
use super::rebuilder::Rebuilder;
use crate::banks::{OkFolder, RollbackError, roll_back};
use crate::codes::EventKind;
use crate::domain::BankTrigger;
use crate::history::{BankRequest, BankRequestKind, RequestEnd};
use crate::platform::crash_point;
use crate::telemetry::Event;
use std::time::Duration;

/// Pause when a request failed because the history cannot be written; it stays pending.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// A request that was not done, and why.
struct NotDone(String);

/// The outcome of a request, in words.
type Outcome = Result<String, NotDone>;

impl Rebuilder<'_> {
    /// Serves a request and records its outcome. When the line stops first, the request stays for the next start.
    pub(super) async fn serve(&mut self, request: BankRequest) {
        crash_point::reach("request_taken");
        let served = self.asked.served;
        self.asked.served = request.id;
        if !can_be_served(&self.context.banks.rows, self.product, &request).await {
            return self.again(served).await;
        }
        match request.kind {
            BankRequestKind::Rebuild { anew } => {
                let Some(outcome) = self.rebuild(&request, anew).await else { return };
                let end = RequestEnd { done: outcome.is_ok(), outcome: outcome.unwrap_or_else(|NotDone(reason)| reason) };
                self.end(&request, &end, served).await;
            }
            BankRequestKind::Rollback { version } => match self.roll_back(&request, version as u64).await {
                Ok(()) => {}
                Err(RollbackError::History(error)) => {
                    tracing::error!(%error, request = request.id, "history not written; the rollback is tried again");
                    self.again(served).await;
                }
                Err(error) => {
                    let end = RequestEnd { done: false, outcome: error.to_string() };
                    let detail = format!("request {}: {error}", request.id);
                    self.context.events().tell(Event::new(EventKind::RollbackFailed, detail).of_product(&self.product.name)).await;
                    self.end(&request, &end, served).await;
                }
            },
        }
    }

    async fn end(&mut self, request: &BankRequest, end: &RequestEnd, served: i64) {
        if let Err(error) = self.context.requests.end_request(request.id, end).await {
            tracing::error!(%error, request = request.id, "request not ended; it is looked at again");
            self.again(served).await;
        }
    }

    async fn again(&mut self, served: i64) {
        self.asked.served = served;
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }

    async fn roll_back(&mut self, request: &BankRequest, version: u64) -> Result<(), RollbackError> {
        let (banks, product) = (&self.context.banks, self.product);
        let back = roll_back(&banks.rows, product, request, version).await?;
        banks.active.set(&product.name, back.bank);
        banks.wake.notify_one();
        let event = Event::new(EventKind::Rollback, format!("request {}: {}", request.id, back.outcome));
        self.context.events().log(&event.of_product(&product.name));
        self.origin_unknown = back.held.is_none();
        if let Some(held) = back.held {
            self.debounce.settle(&held);
        }
        Ok(())
    }

    /// `None` when the line stops first.
    async fn rebuild(&mut self, request: &BankRequest, anew: bool) -> Option<Outcome> {
        let given_way = || Some(Err(NotDone("a rollback was asked for before the bank was built".to_owned())));
        let listing = tokio::select! {
            listing = self.listing().list() => listing,
            () = self.asked.rollback() => return given_way(),
            () = self.stop.cancelled() => return None,
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => return Some(Err(NotDone(format!("{}: the ok folder cannot be listed: {error}", self.product.ok.display())))),
        };
        if let Some(version) = self.built_since(request, &listing).await {
            return Some(Ok(format!("bank version {version} is in use; it was built from these OK images after the request")));
        }
        // However this ends, these files count as tried.
        self.origin_unknown = false;
        self.debounce.tried(&listing.fingerprint(&self.product.build).to_string());
        match self.build(&listing, Order { trigger: BankTrigger::Requested, anew }).await {
            Ended::WithBank { version, .. } => {
                Some(Ok(format!("bank version {version} is in use, built from {} OK images", listing.len())))
            }
            Ended::Without(reason) | Ended::ForNow(reason) => {
                let stays = if self.context.banks.active.get(&self.product.name).is_some() { "; the bank in use stays" } else { "" };
                Some(Err(NotDone(reason + stays)))
            }
            Ended::Cut if self.stop.is_cancelled() => None,
            Ended::Cut => given_way(),
        }
    }

    /// The version in use, when it was built from the listed files after the request: by a build that was already running, or before a
    /// crash that left the request open.
    async fn built_since(&self, request: &BankRequest, listing: &OkFolder) -> Option<u64> {
        let bank = self.context.banks.rows.active_bank(&self.product.name).await.ok()??;
        let same_files = listing.fingerprint(&self.product.build).matches(&bank.ok_fingerprint?);
        (same_files && bank.created_at.parse::<jiff::Timestamp>().ok()? >= request.at).then_some(bank.version as u64)
    }
}
