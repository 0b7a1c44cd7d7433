//! Events: one call writes a line of the log and a row of the history, and counts the event.

use super::Counters;
use crate::codes::{EventKind, Level};
use crate::domain::Place;
use futures::future::BoxFuture;
use std::error::Error;
use std::sync::Arc;

/// Something that happened to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The kind of event.
    pub kind: EventKind,
    /// The product that the event is about, if any.
    pub product: Option<String>,
    /// The folder or broker that the event is about, if any.
    pub place: Option<Place>,
    /// What happened, for people.
    pub detail: String,
}

impl Event {
    /// An event about the daemon as a whole.
    pub fn new(kind: EventKind, detail: impl Into<String>) -> Self {
        Self { kind, product: None, place: None, detail: detail.into() }
    }

    /// The same about a product.
    #[must_use]
    pub fn of_product(self, product: impl Into<String>) -> Self {
        Self { product: Some(product.into()), ..self }
    }

    /// The same about a folder or a broker.
    #[must_use]
    pub fn at(self, place: impl Into<Place>) -> Self {
        Self { place: Some(place.into()), ..self }
    }
}

/// Why an event has no row.
pub type NotRecorded = Box<dyn Error + Send + Sync>;

/// Where events are kept.
pub trait EventRows: Send + Sync {
    /// Writes the row of an event, now.
    fn record<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<(), NotRecorded>>;
}

/// Reports events.
#[derive(Clone)]
pub struct Events {
    rows: Arc<dyn EventRows>,
    counters: Arc<Counters>,
}

impl Events {
    /// Events with their rows in `rows`.
    pub fn new(rows: Arc<dyn EventRows>, counters: Arc<Counters>) -> Self {
        Self { rows, counters }
    }

    /// Reports an event. When its row cannot be written, the log still has it.
    pub async fn tell(&self, event: Event) {
        self.log(&event);
        self.tell_row(&event).await;
    }

    /// Writes the row of an event that the log has; when that fails, the log says so.
    pub async fn tell_row(&self, event: &Event) {
        if let Err(error) = self.record(event).await {
            tracing::error!(%error, "event not recorded");
        }
    }

    /// Writes an event only to the log, at its level.
    pub fn log(&self, event: &Event) {
        let (kind, product, detail) = (event.kind.as_str(), event.product.as_deref(), event.detail.as_str());
        match event.kind.level() {
            Level::Error => tracing::error!(kind, product, detail, "event"),
            Level::Warn => tracing::warn!(kind, product, detail, "event"),
            Level::Info => tracing::info!(kind, product, detail, "event"),
        }
    }

    /// Writes the row of an event that the log has, and counts it.
    ///
    /// # Errors
    /// When the row cannot be written; the event is not counted then.
    pub async fn record(&self, event: &Event) -> Result<(), NotRecorded> {
        self.rows.record(event).await?;
        self.counters.event(event.kind);
        Ok(())
    }

    /// Counts an event whose row was written in a transaction with something else.
    pub fn count(&self, kind: EventKind) {
        self.counters.event(kind);
    }
}
