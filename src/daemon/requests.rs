//! Looks for what people ask of the line with `patchcored rebuild` and `patchcored rollback`, and tells the rebuilders.

use super::Line;
use crate::history::RequestEnd;
use std::sync::Arc;
use std::time::Duration;

/// How often the history is asked: one look into an index that is nearly always empty.
const LOOK: Duration = Duration::from_millis(500);

/// Runs until it is aborted.
pub(super) async fn run(line: Arc<Line>) {
    loop {
        tokio::time::sleep(LOOK).await;
        look(&line).await;
    }
}

/// Tells the rebuilders what is pending now. What is asked of a product that is not there any more, nobody would do.
pub(super) async fn look(line: &Line) {
    let pending = match line.store.pending_requests().await {
        Ok(pending) => pending,
        Err(error) => return tracing::debug!(%error, "requests not read; looked for again"),
    };
    for request in pending.iter().filter(|request| line.product(&request.product).is_none()) {
        let end = RequestEnd { done: false, outcome: format!("the configuration has no product `{}` any more", request.product) };
        if let Err(error) = line.store.end_request(request.id, &end).await {
            tracing::error!(%error, request = request.id, "request not ended");
        }
    }
    line.asked.send_if_modified(|known| {
        let news = *known != pending;
        *known = pending;
        news
    });
}
