//! A drop folder to keep an eye on, the thread that does it, and what that thread has to say.

use super::pulse::Pulse;
use super::scan::FileId;
use super::worker::Worker;
use super::writers::Writers;
use crate::inspection::Readiness;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Tells how a file of this name becomes ready; `None` = not an image of this folder.
pub type Classify = Arc<dyn Fn(&Path) -> Option<Readiness> + Send + Sync>;

/// Tells whether a folder below a drop folder is gone through and watched.
pub type Enters = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

/// A drop folder to keep an eye on.
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
    /// Takes note of the files that are being written.
    pub writers: Arc<Writers>,
}

/// A complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Which file it is, under whatever name.
    pub id: Option<FileId>,
    /// Whether its writer was seen to finish it.
    pub said_whole: bool,
}

/// What a worker has to say.
#[derive(Debug)]
pub enum IntakeReport {
    /// Files that became ready; some may have been reported by an earlier run of the daemon.
    Found(Vec<FoundFile>),
    /// The folder cannot be listed, or it is not the one it was; it is looked at again all the time.
    RootLost {
        /// The folder.
        root: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// After `RootLost`: a folder stands there again, and is in use.
    RootBack {
        /// The folder.
        root: PathBuf,
    },
    /// Hints were lost; new watches and a full scan make up for it.
    Overflow {
        /// The folder.
        root: PathBuf,
    },
    /// The folder or some of its sub-folders cannot be watched; scans alone find the files there, up to `rescan` later.
    NotWatched {
        /// The folder.
        root: PathBuf,
        /// How much of it, why, and what to do.
        reason: String,
    },
    /// After `NotWatched`: all of it is watched now.
    Watched {
        /// The folder.
        root: PathBuf,
    },
}

/// The handle of a running worker; dropping it ends the thread.
pub struct RootWorker {
    root: PathBuf,
    pulse: Arc<Pulse>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RootWorker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(spec: RootSpec, reports: Sender<IntakeReport>) -> io::Result<Self> {
        let (root, pulse, stop) = (spec.path.clone(), Arc::<Pulse>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn({
            let (pulse, stop) = (Arc::clone(&pulse), Arc::clone(&stop));
            move || {
                pulse.begin_thread();
                Worker::new(spec, reports, pulse, stop).run();
            }
        })?;
        Ok(Self { root, pulse, stop, thread: Some(thread) })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells whether the thread is stuck.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Asks the thread to end; does not wait.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// True once the thread has ended; it may never do on a hung share.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for RootWorker {
    fn drop(&mut self) {
        self.stop();
        // A thread in a hung system call is left behind rather than waited for.
        if let Some(thread) = self.thread.take_if(|t| t.is_finished()) {
            let _ = thread.join();
        }
    }
}
