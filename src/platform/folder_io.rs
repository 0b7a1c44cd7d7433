//! Work in a folder that may not answer: the only way in which the program waits for a share or a disk.
//!
//! The work runs on its own thread. The caller waits as long as it likes and can continue without the answer; the thread stays until the
//! folder answers. A folder that does not answer looks the same as a long computation, with one difference: the kernel keeps the thread
//! in a system call.

use super::kernel::{is_in_system_call, this_thread};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinHandle};

/// A folder counts as not answering after this long. If it is only a slow share, nothing but a moment is lost.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The program does not ask the kernel about a shorter computation.
const MOMENT: Duration = Duration::from_secs(1);

/// The folder gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Not in time.
    #[error("{}: does not answer; check the share or the disk", .0.display())]
    InTime(PathBuf),
    /// The work panicked, or the program ends.
    #[error("the work in a folder ended early: {0}")]
    Ended(#[from] JoinError),
}

/// Work that has begun.
#[derive(Debug)]
pub struct FolderWork<T> {
    task: JoinHandle<T>,
    thread: Arc<WorkThread>,
}

/// The thread of one task.
#[derive(Debug)]
pub struct WorkThread {
    /// Its number; 0 before it begins.
    number: AtomicU32,
    /// Since when it has computed, as far as anybody has looked.
    computes_since: Mutex<Instant>,
}

impl<T: Send + 'static> FolderWork<T> {
    /// Starts the work on its own thread.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let thread = Arc::new(WorkThread { number: AtomicU32::new(0), computes_since: Mutex::new(Instant::now()) });
        let own = Arc::clone(&thread);
        let task = tokio::task::spawn_blocking(move || {
            own.number.store(this_thread(), Ordering::Release);
            work()
        });
        Self { task, thread }
    }

    /// The thread that does the work.
    pub fn thread(&self) -> Arc<WorkThread> {
        Arc::clone(&self.thread)
    }

    /// True when the work has ended.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end of the work, however long that takes.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn end(&mut self) -> Result<T, JoinError> {
        (&mut self.task).await
    }

    /// Waits for the end of the work for [`PATIENCE`]; `None` when it has not ended by then.
    pub async fn end_in_time(&mut self) -> Option<Result<T, JoinError>> {
        tokio::time::timeout(PATIENCE, &mut self.task).await.ok()
    }

    /// Waits for the end of the work as long as its thread computes; `None` when it has not ended after [`PATIENCE`] and the kernel keeps
    /// the thread: if a large picture takes long to decode, the folder is not at fault.
    pub async fn end_unless_kept(&mut self) -> Option<Result<T, JoinError>> {
        loop {
            if let Some(ended) = self.end_in_time().await {
                return Some(ended);
            }
            if self.thread.is_kept() {
                return None;
            }
        }
    }
}

impl WorkThread {
    /// True when the kernel keeps the thread in a system call now.
    pub fn is_kept(&self) -> bool {
        match self.number.load(Ordering::Acquire) {
            0 => false,
            number => is_in_system_call(number),
        }
    }

    /// How long the thread has computed without a system call that kept it.
    pub fn computes_for(&self) -> Duration {
        let mut since = self.computes_since.lock();
        if since.elapsed() >= MOMENT && self.is_kept() {
            *since = Instant::now();
        }
        since.elapsed()
    }
}

/// Does the work, however long it takes.
///
/// # Errors
/// When the work panicked.
pub async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    FolderWork::begin(work).end().await
}

/// Does the work in `folder`, which has [`PATIENCE`] to answer.
///
/// # Errors
/// [`NoAnswer`] when the folder does not answer in time, or the work panicked.
pub async fn work_in_time<T: Send + 'static>(folder: &Path, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoAnswer> {
    match FolderWork::begin(work).end_in_time().await {
        Some(ended) => Ok(ended?),
        None => Err(NoAnswer::InTime(folder.to_owned())),
    }
}
