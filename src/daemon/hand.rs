//! A place for one image in hand, and file work that does not keep it when a folder hangs.

use super::{Line, off_runtime};
use crate::codes::{EventKind, Reason, ReasonCode};
use crate::history::HistoryError;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

/// What the watchdog calls the work on one.
const WORKER: &str = "image in hand";

/// A call to the file system for one image that is not back after this long hangs. A slow share that is taken for a hung one loses
/// nothing but a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of the few images in hand. Dropping it makes room for another.
pub struct Hand {
    hands: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    alone: bool,
}

impl Hand {
    /// Waits for a free hand; `None` when there will be no more.
    pub async fn take(hands: &Arc<Semaphore>) -> Option<Self> {
        let held = Arc::clone(hands).acquire_owned().await.ok()?;
        Some(Self { hands: Arc::clone(hands), held: Some(held), alone: false })
    }

    /// Waits for the `others` hands, so that nothing else is in hand; `None` when there will be no more.
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

    /// Runs work off the runtime that needs no file.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn compute<T: Send + 'static>(line: &Line, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let (task, _, _watch) = off_runtime::begin(&line.progress, WORKER, work);
        task.await
    }

    /// Runs file work in `folder` for inspection `id` off the runtime. While it hangs, the image is in nobody's hand, its row says
    /// why, and [`super::places::Places`] keeps others from beginning work in that folder.
    ///
    /// # Errors
    /// When the work panicked, or the history cannot be written.
    pub async fn file_work<T: Send + 'static>(
        &mut self,
        line: &Line,
        id: i64,
        folder: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, JoinError>, HistoryError> {
        let (mut task, thread, _watch) = off_runtime::begin(&line.progress, WORKER, work);
        loop {
            if let Ok(ended) = tokio::time::timeout(PATIENCE, &mut task).await {
                return Ok(ended);
            }
            // Decoding or encoding a large picture is not the folder's fault.
            if thread.is_kept() {
                break;
            }
        }
        // Others begin; and whoever waits for a folder is no suspect.
        self.held = None;
        let shown = folder.display();
        if line.places.stuck(folder) {
            let detail = format!("{shown}: does not answer; its images wait, others go on; check the share or the disk");
            line.event(EventKind::FolderStuck, None, &detail).await;
        }
        let waits = Reason::new(ReasonCode::FolderStuck, format!("waits for {shown}, which does not answer"));
        let noted = line.store.retry_later(id, &waits, Timestamp::now()).await;
        let ended = task.await;
        if line.places.answered(folder) {
            line.event(EventKind::FolderStuckOver, None, &format!("{shown}: answers again")).await;
            line.wake.notify_one();
        }
        self.held = Arc::clone(&self.hands).acquire_owned().await.ok();
        noted.map(|_| ended)
    }
}
