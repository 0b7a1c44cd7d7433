//! A place for one image in hand, and file work that frees the place when a folder does not answer.

use crate::codes::{EventKind, Reason, ReasonCode};
use crate::history::{HistoryError, InspectionQueue};
use crate::platform::folder_io::FolderWork;
use crate::telemetry::{Event, Progress, Telemetry};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

/// The watchdog's name for work on one image.
const WORKER: &str = "image in hand";

/// One of the few images in hand. Dropping it makes room for another image.
pub struct ImageInHand {
    hands: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    alone: bool,
}

impl ImageInHand {
    /// Waits for a free hand; `None` when the hands are closed.
    pub async fn take(hands: &Arc<Semaphore>) -> Option<Self> {
        let held = Arc::clone(hands).acquire_owned().await.ok()?;
        Some(Self { hands: Arc::clone(hands), held: Some(held), alone: false })
    }

    /// Waits for the `others` hands, so that nothing else is in hand; `None` when the hands are closed.
    pub async fn alone(mut self, others: u32) -> Option<Self> {
        let rest = Arc::clone(&self.hands).acquire_many_owned(others).await.ok()?;
        match &mut self.held {
            Some(held) => held.merge(rest),
            None => self.held = Some(rest),
        }
        self.alone = true;
        Some(self)
    }

    /// True when nothing else is in hand.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Runs work that needs no file, outside the async runtime.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn compute<T: Send + 'static>(progress: &Arc<Progress>, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let mut work = FolderWork::begin(work);
        let _watch = progress.watch_thread(WORKER, work.thread());
        work.end().await
    }

    /// Runs file work in `folder` for inspection `id`, outside the async runtime. While the folder does not answer, the image takes no
    /// hand, its row says why, and [`FolderHealth`](crate::telemetry::FolderHealth) keeps other images from starting work in that folder.
    ///
    /// # Errors
    /// When the work panicked, or the history cannot be written.
    pub async fn file_work<T: Send + 'static>(
        &mut self,
        context: &InHandContext,
        id: i64,
        folder: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, JoinError>, HistoryError> {
        let InHandContext { queue, telemetry, wake } = context;
        let mut work = FolderWork::begin(work);
        let _watch = telemetry.progress.watch_thread(WORKER, work.thread());
        if let Some(ended) = work.end_unless_kept().await {
            return Ok(ended);
        }
        // Other images can start; one that waits for a folder is no suspect.
        self.held = None;
        let shown = folder.display();
        if telemetry.folders.stuck(folder) {
            let detail = format!("{shown}: does not answer; its images wait, others go on; check the share or the disk");
            telemetry.events.tell(Event::new(EventKind::FolderStuck, detail).at(folder)).await;
        }
        let waits = Reason::new(ReasonCode::FolderStuck, format!("waits for {shown}, which does not answer"));
        let noted = queue.retry_later(id, &waits, Timestamp::now()).await;
        let ended = work.end().await;
        if telemetry.folders.answered(folder) {
            telemetry.events.tell(Event::new(EventKind::FolderStuckOver, format!("{shown}: answers again")).at(folder)).await;
            wake.notify_one();
        }
        self.held = Arc::clone(&self.hands).acquire_owned().await.ok();
        noted.map(|_| ended)
    }
}

/// The context that file work for an image needs.
#[derive(Clone)]
pub struct InHandContext {
    /// Has the row of the image.
    pub queue: InspectionQueue,
    /// Where events go.
    pub telemetry: Telemetry,
    /// Rung when images may continue.
    pub wake: Arc<Notify>,
}
