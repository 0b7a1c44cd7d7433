//! The thread of a drop folder, for those who start and stop it.

use super::pulse::IntakePulse;
use super::report::IntakeReport;
use super::spec::RootSpec;
use super::worker::RootThread;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc::Sender;

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
