//! The context of every rebuilder.

use crate::banks::BanksInUse;
use crate::config::Config;
use crate::domain::BankWork;
use crate::history::{BankRequest, BankRequests};
use crate::telemetry::Events;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The context of every rebuilder.
#[derive(Clone)]
pub struct RebuildContext {
    /// The banks in use.
    pub banks: BanksInUse,
    /// The configuration, of which the build process gets its part.
    pub config: Arc<Config>,
    /// One build at a time leaves the line its cores.
    pub build_turn: Arc<Semaphore>,
    /// One self-test at a time. It does not take the turn of a build, which somebody may wait for.
    pub test_turn: Arc<Semaphore>,
    /// The requests of people that are still pending.
    pub asked: watch::Sender<Vec<BankRequest>>,
    /// Where their end is recorded.
    pub requests: BankRequests,
}

impl RebuildContext {
    pub(super) fn events(&self) -> &Events {
        &self.banks.telemetry.events
    }

    /// Records what is done about the bank of a product, for people who ask. Nothing depends on it.
    pub(super) async fn note_work(&self, product: &str, work: Option<BankWork>) {
        if let Err(error) = self.banks.rows.note_work(product, work).await {
            tracing::debug!(product, %error, "not recorded what is done about the bank");
        }
    }
}
