//! Watches for a full disk under the database: says so when it begins, and has it recorded when it is over.

use super::Line;
use crate::history::EventLevel;
use std::sync::Arc;
use std::time::Duration;

/// How often the history is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until it is aborted.
pub(super) async fn run(line: Arc<Line>) {
    let mut announced = false;
    loop {
        tokio::time::sleep(LOOK).await;
        if line.store.full_since().is_none() {
            continue;
        }
        if !std::mem::replace(&mut announced, true) {
            let file = line.store.file().display();
            tracing::error!(database = %file, "the disk of the database is full; intake and inspecting pause until there is space");
        }
        match line.store.record_full_disk().await {
            Ok(false) => {}
            Ok(true) => {
                line.meters.event(EventLevel::Error, "disk_full");
                line.meters.event(EventLevel::Info, "disk_full_over");
                announced = false;
                tracing::info!("the disk of the database has space again");
                line.wake.notify_one();
            }
            Err(error) => tracing::debug!(%error, "end of the full disk not recorded yet"),
        }
    }
}
