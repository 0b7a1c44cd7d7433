//! Watches for a full disk under the database: reports it when it begins, and records it when it is over.

use crate::codes::EventKind;
use crate::database::Database;
use crate::history::RecordedEvents;
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often this task asks the history.
pub const LOOK: Duration = Duration::from_secs(1);

/// Runs until it is aborted; rings `wake` when images may continue.
pub async fn watch_full_disk(database: Database, events: RecordedEvents, telemetry: Telemetry, wake: Arc<Notify>) {
    let mut announced = false;
    loop {
        tokio::time::sleep(LOOK).await;
        if database.full_since().is_none() {
            continue;
        }
        if !std::mem::replace(&mut announced, true) {
            let file = database.file().display();
            tracing::error!(database = %file, "the disk of the database is full; intake and inspecting pause until there is space");
        }
        match events.record_full_disk().await {
            Ok(false) => {}
            Ok(true) => {
                telemetry.events.count(EventKind::DiskFull);
                telemetry.events.count(EventKind::DiskFullOver);
                announced = false;
                tracing::info!("the disk of the database has space again");
                wake.notify_one();
            }
            Err(error) => tracing::debug!(%error, "end of the full disk not recorded yet"),
        }
    }
}
