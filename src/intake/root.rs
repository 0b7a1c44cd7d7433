//! A drop folder to watch, the thread that watches it, and the reports of that thread.

use super::pulse::IntakePulse;
use super::scan::FileId;
use super::worker::RootThread;
use super::writers::Writers;
use crate::domain::Readiness;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Says how a file of this name becomes ready; `None` = not an image of this folder.
pub type Classify = Arc<dyn Fn(&Path) -> Option<Readiness> + Send + Sync>;

/// Says whether the daemon scans and watches a folder below a drop folder.
pub type Enters = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

/// A drop folder to watch.
#[derive(Clone)]
pub struct RootSpec {
    /// The folder.
    pub path: PathBuf,
    /// Whether sub-folders count.
    pub recursive: bool,
    /// Time between two full scans.
    pub rescan: Duration,
    /// Suffixes of marker files in use.
    pub markers: Vec<String>,
    /// Which names matter.
    pub classify: Classify,
    /// Which folders matter.
    pub enters: Enters,
    /// Records the files that are being written.
    pub writers: Arc<Writers>,
}

/// A complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Device and inode, the same under every name.
    pub id: Option<FileId>,
    /// Whether the daemon saw the writer finish it.
    pub said_whole: bool,
}

/// A report of a worker.
#[derive(Debug)]
pub enum IntakeReport {
    /// Files that became ready. An earlier run of the daemon may have reported some of them.
    Found(Vec<FoundFile>),
    /// The folder cannot be listed, or it was replaced. The daemon tries again all the time.
    RootLost {
        /// The folder.
        root: PathBuf,
        /// The reason.
        reason: String,
    },
    /// After `RootLost`: there is a folder again, and it is in use.
    RootBack {
        /// The folder.
        root: PathBuf,
    },
    /// Hints were lost. New watches and a full scan find what they would have reported.
    Overflow {
        /// The folder.
        root: PathBuf,
    },
    /// The folder or some of its sub-folders cannot be watched. Only scans find the files there, up to `rescan` later.
    NotWatched {
        /// The folder.
        root: PathBuf,
        /// How much of it, why, and what to do.
        reason: String,
    },
    /// After `NotWatched`: the whole folder is watched now.
    Watched {
        /// The folder.
        root: PathBuf,
    },
}

/// The handle of a running worker; dropping it ends the thread.
pub struct RootWorker {
    root: PathBuf,
    pulse: Arc<IntakePulse>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RootWorker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(spec: RootSpec, reports: Sender<IntakeReport>) -> io::Result<Self> {
        let (root, pulse, stop) = (spec.path.clone(), Arc::<IntakePulse>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn({
            let (pulse, stop) = (Arc::clone(&pulse), Arc::clone(&stop));
            move || {
                pulse.begin_thread();
                let _ended = TellsEnd(Arc::clone(&pulse));
                RootThread::new(spec, reports, pulse, stop).run();
            }
        })?;
        Ok(Self { root, pulse, stop, thread: Some(thread) })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Shows whether the thread is stuck.
    pub fn pulse(&self) -> Arc<IntakePulse> {
        Arc::clone(&self.pulse)
    }

    /// Asks the thread to end, and does not wait for it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// True once the thread has ended; on a hung share that may never happen.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Reports that the thread has ended, even after a panic.
struct TellsEnd(Arc<IntakePulse>);

impl Drop for TellsEnd {
    fn drop(&mut self) {
        self.0.end_thread();
    }
}

impl Drop for RootWorker {
    fn drop(&mut self) {
        self.stop();
        // The daemon does not wait for a thread in a hung system call.
        if let Some(thread) = self.thread.take_if(|t| t.is_finished()) {
            let _ = thread.join();
        }
    }
}
