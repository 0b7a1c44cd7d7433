//! Reports images, defects and messages that wait too long for help. One worker asks the history for the oldest of each product and
//! reason, so that no cause can be forgotten.

use crate::codes::EventKind;
use crate::domain::HeldUp;
use crate::history::LineRecords;
use crate::telemetry::{Event, Telemetry, wait_in_words};
use std::time::{Duration, Instant};

/// How often the worker asks the history: one look-up in small indices.
pub const LOOK: Duration = Duration::from_secs(5);

/// Runs until it is aborted.
pub async fn watch_waits(records: LineRecords, telemetry: Telemetry) {
    loop {
        tokio::time::sleep(LOOK).await;
        let found = match records.held_up().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "not known what waits; asked again");
                continue;
            }
        };
        let (late, over) = telemetry.waits.find(found, Instant::now());
        for held_up in late {
            tell(&telemetry, EventKind::Waiting, &held_up, wait_in_words(&held_up)).await;
        }
        for held_up in over {
            let detail = format!("{}: what had waited longest goes on", held_up.reason);
            tell(&telemetry, EventKind::WaitingOver, &held_up, detail).await;
        }
    }
}

async fn tell(telemetry: &Telemetry, kind: EventKind, held_up: &HeldUp, detail: String) {
    telemetry.events.tell(Event { product: held_up.product.clone(), ..Event::new(kind, detail) }).await;
}
