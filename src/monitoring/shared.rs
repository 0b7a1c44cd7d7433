//! What the pages are made from.

use super::snapshot::{Disks, LinePhase, SnapshotTaker};
use crate::codes::EventKind;
use crate::snapshot::LineSnapshot;
use crate::telemetry::Counters;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What the pages are made from.
pub struct Shared {
    pub counters: Arc<Counters>,
    pub phase: watch::Sender<LinePhase>,
    pub snapshots: SnapshotTaker,
    pub news: mpsc::Sender<MonitoringNews>,
}

/// Something to be recorded as an event.
pub struct MonitoringNews {
    pub kind: EventKind,
    pub detail: String,
}

impl Shared {
    pub async fn look(&self) -> (LineSnapshot, Disks) {
        let phase = self.phase.borrow().clone();
        self.snapshots.look(phase).await
    }

    pub fn tell(&self, news: MonitoringNews) {
        if let Err(error) = self.news.try_send(news) {
            let MonitoringNews { kind, detail, .. } = error.into_inner();
            tracing::warn!(kind = kind.as_str(), detail, "event not recorded");
        }
    }
}
