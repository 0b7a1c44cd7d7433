//! The context of an inspection.

use super::camera_health::CameraHealth;
use super::in_hand::InHandContext;
use super::products::Products;
use crate::banks::ActiveBanks;
use crate::domain::Picture;
use crate::engine::EngineHandle;
use crate::history::InspectionQueue;
use crate::inspect::OutputClaims;
use crate::intake::Writers;
use crate::platform::clock::LineClock;
use crate::platform::leftovers::Leftovers;
use crate::telemetry::Telemetry;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// The context of an inspection.
#[derive(Clone)]
pub struct InspectorContext {
    /// The products, and which product an image belongs to.
    pub products: Arc<Products>,
    /// The pending images.
    pub queue: InspectionQueue,
    /// Tells how long something has waited.
    pub clock: Arc<LineClock>,
    /// The banks in use.
    pub banks: Arc<ActiveBanks>,
    /// Scores images.
    pub engine: EngineHandle,
    /// Where events go.
    pub telemetry: Telemetry,
    /// The state around the files of images.
    pub files: Arc<ImageFiles>,
    /// The signals to other tasks.
    pub signals: Signals,
}

/// The state around the files of images.
pub struct ImageFiles {
    /// Which processes are writing images.
    pub writers: Arc<Writers>,
    /// Where the leftovers of a dead daemon have been removed.
    pub leftovers: Arc<Leftovers>,
    /// Which outputs are being written or deleted.
    pub claims: Arc<OutputClaims>,
    /// The golden images, by product.
    pub references: HashMap<String, Arc<Picture>>,
    /// The recent images of the cameras.
    pub cameras: Arc<CameraHealth>,
}

/// The signals to other tasks.
#[derive(Clone)]
pub struct Signals {
    /// Rung when there may be images to inspect.
    pub wake: Arc<Notify>,
    /// Marked when an image has been decided.
    pub decided: watch::Sender<()>,
}

impl InspectorContext {
    /// The part that file work needs.
    pub(super) fn in_hand(&self) -> InHandContext {
        InHandContext { queue: self.queue.clone(), telemetry: self.telemetry.clone(), wake: Arc::clone(&self.signals.wake) }
    }
}
