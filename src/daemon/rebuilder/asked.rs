//! What people ask of one product: which request is next, and doing it.

use super::super::Line;
use super::super::rollback::{RollbackError, roll_back};
use super::build::{Order, folder_answers};
use super::ok_listing::list_however_long;
use super::{Ended, Rebuilder};
use crate::banks::OkFolder;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{BankRequest, BankRequestKind, RequestEnd};
use std::time::Duration;
use tokio::sync::watch;

/// Pause after a request could not be done because the history cannot be written; it is pending still.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// The pending requests for one product.
pub(super) struct Asked {
    pending: watch::Receiver<Vec<BankRequest>>,
    product: String,
    /// The last one that was served: what is told of it from then on is old.
    served: i64,
}

impl Asked {
    pub(super) fn of(line: &Line, product: &str) -> Self {
        Self { pending: line.asked.subscribe(), product: product.to_owned(), served: 0 }
    }

    fn is_open(&self, request: &BankRequest) -> bool {
        request.product == self.product && request.id > self.served
    }

    /// The oldest of them.
    pub(super) fn next(&self) -> Option<BankRequest> {
        self.pending.borrow().iter().find(|request| self.is_open(request)).cloned()
    }

    /// Resolves when there is one.
    pub(super) async fn anything(&self) {
        self.wait(|_| true).await;
    }

    /// Resolves when there is a rollback.
    pub(super) async fn rollback(&self) {
        self.wait(|request| matches!(request.kind, BankRequestKind::Rollback { .. })).await;
    }

    async fn wait(&self, wanted: impl Fn(&BankRequest) -> bool) {
        let mut pending = self.pending.clone();
        let there = |requests: &Vec<BankRequest>| requests.iter().any(|request| self.is_open(request) && wanted(request));
        // The line, which tells of them, lives as long as its rebuilders.
        if pending.wait_for(there).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// False as long as history or bank folder do not answer: what was asked for is done when the share is up, and does not fail because it
/// is late.
pub(super) async fn can_be_served(line: &Line, product: &ProductConfig, request: &BankRequest) -> bool {
    if request.kind == (BankRequestKind::Rebuild { anew: true }) {
        return true;
    }
    let answers = folder_answers(&line.store, product).await;
    if let Err(error) = &answers {
        tracing::debug!(product = %product.name, request = request.id, %error, "the request waits");
    }
    answers.is_ok()
}

/// What became of a request.
type Outcome = Result<String, String>;

impl Rebuilder<'_> {
    /// Does what is asked for and says what became of it. When the line stops first, the request stays for the next start.
    pub(super) async fn serve(&mut self, request: BankRequest) {
        crash_point::reach("request_taken");
        let served = self.asked.served;
        self.asked.served = request.id;
        if !can_be_served(self.line, self.product, &request).await {
            return self.again(served).await;
        }
        match request.kind {
            BankRequestKind::Rebuild { anew } => {
                let Some(outcome) = self.rebuild(&request, anew).await else { return };
                let end = RequestEnd { done: outcome.is_ok(), outcome: outcome.unwrap_or_else(|reason| reason) };
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
                    self.line.event(EventKind::RollbackFailed, Some(&self.product.name), &detail).await;
                    self.end(&request, &end, served).await;
                }
            },
        }
    }

    async fn end(&mut self, request: &BankRequest, end: &RequestEnd, served: i64) {
        if let Err(error) = self.line.store.end_request(request.id, end).await {
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
        let Self { line, product, .. } = *self;
        let back = roll_back(&line.store, product, request, version).await?;
        line.banks.set(&product.name, back.bank);
        line.wake.notify_one();
        line.log_event(EventKind::Rollback, Some(&product.name), &format!("request {}: {}", request.id, back.outcome));
        self.origin_unknown = back.held.is_none();
        if let Some(held) = back.held {
            self.debounce.settle(&held);
        }
        Ok(())
    }

    /// `None` when the line stops first.
    async fn rebuild(&mut self, request: &BankRequest, anew: bool) -> Option<Outcome> {
        let given_way = || Some(Err("a rollback was asked for before the bank was built".to_owned()));
        let listing = tokio::select! {
            listing = list_however_long(self.line, self.product) => listing,
            () = self.asked.rollback() => return given_way(),
            () = self.stop.cancelled() => return None,
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => return Some(Err(format!("{}: the ok folder cannot be listed: {error}", self.product.ok.display()))),
        };
        if let Some(version) = self.built_since(request, &listing).await {
            return Some(Ok(format!("bank version {version} is in use; it was built from these OK images after the request")));
        }
        // However this ends, these files were tried.
        self.origin_unknown = false;
        self.debounce.tried(&listing.fingerprint(&self.product.build));
        match self.build(&listing, Order { trigger: "requested", anew }).await {
            Ended::WithBank { version, .. } => {
                Some(Ok(format!("bank version {version} is in use, built from {} OK images", listing.len())))
            }
            Ended::Without(reason) | Ended::ForNow(reason) => {
                let stays = if self.line.banks.get(&self.product.name).is_some() { "; the bank in use stays" } else { "" };
                Some(Err(reason + stays))
            }
            Ended::Cut if self.stop.is_cancelled() => None,
            Ended::Cut => given_way(),
        }
    }

    /// The version in use, when it was built from the listed files after the request: by a build that was running already, or by one
    /// that a crash kept from ending the request.
    async fn built_since(&self, request: &BankRequest, listing: &OkFolder) -> Option<u64> {
        let bank = self.line.store.active_bank(&self.product.name).await.ok()??;
        let same_files = bank.ok_fingerprint? == listing.fingerprint(&self.product.build);
        (same_files && bank.created_at.parse::<jiff::Timestamp>().ok()? >= request.at).then_some(bank.version as u64)
    }
}
