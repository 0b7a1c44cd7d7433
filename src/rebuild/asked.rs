//! The requests of people for one product: which request is next.

use super::context::RebuildContext;
use crate::banks::folder_answers;
use crate::config::ProductConfig;
use crate::history::{BankRequest, BankRequestKind, Banks};
use tokio::sync::watch;

/// The pending requests for one product.
pub(super) struct Asked {
    pending: watch::Receiver<Vec<BankRequest>>,
    product: String,
    /// The last request that was served; `pending` may still list it.
    pub(super) served: i64,
}

impl Asked {
    pub(super) fn of(context: &RebuildContext, product: &str) -> Self {
        Self { pending: context.asked.subscribe(), product: product.to_owned(), served: 0 }
    }

    fn is_open(&self, request: &BankRequest) -> bool {
        request.product == self.product && request.id > self.served
    }

    /// The oldest pending request.
    pub(super) fn next(&self) -> Option<BankRequest> {
        self.pending.borrow().iter().find(|request| self.is_open(request)).cloned()
    }

    /// Resolves when there is a request.
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
        // The line sends the requests, and lives as long as its rebuilders.
        if pending.wait_for(there).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// False as long as history or bank folder do not answer: the request waits until the share is back, and does not fail by being late.
pub(super) async fn can_be_served(rows: &Banks, product: &ProductConfig, request: &BankRequest) -> bool {
    if request.kind == (BankRequestKind::Rebuild { anew: true }) {
        return true;
    }
    let answers = folder_answers(rows, product).await;
    if let Err(error) = &answers {
        tracing::debug!(product = %product.name, request = request.id, %error, "the request waits");
    }
    answers.is_ok()
}
