//! Looks for the requests of `patchcored rebuild` and `patchcored rollback`, and passes them to the rebuilders.

use crate::config::Config;
use crate::history::{BankRequest, BankRequests, RequestEnd};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often this task asks the history: one look into an index that is nearly always empty.
pub const LOOK: Duration = Duration::from_millis(500);

/// Looks for requests.
#[derive(Clone)]
pub struct Requests {
    /// Their rows.
    pub rows: BankRequests,
    /// The configuration with the products.
    pub config: Arc<Config>,
    /// Where the rebuilders get the requests.
    pub asked: watch::Sender<Vec<BankRequest>>,
}

impl Requests {
    /// Runs until it is aborted.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    /// Passes the pending requests to the rebuilders. Ends requests for a product that no longer exists, as no rebuilder would.
    pub async fn look(&self) {
        let pending = match self.rows.pending_requests().await {
            Ok(pending) => pending,
            Err(error) => return tracing::debug!(%error, "requests not read; looked for again"),
        };
        for request in pending.iter().filter(|request| self.config.product(&request.product).is_none()) {
            let end = RequestEnd { done: false, outcome: format!("the configuration has no product `{}` any more", request.product) };
            if let Err(error) = self.rows.end_request(request.id, &end).await {
                tracing::error!(%error, request = request.id, "request not ended");
            }
        }
        self.asked.send_if_modified(|known| {
            let news = *known != pending;
            *known = pending;
            news
        });
    }
}
