//! One thread per drop folder: hints and scans in, complete files out.

use super::inotify::{self, Hint};
use super::scan;
use super::settle::{FileVersion, Settle, Sighting};
use crate::inspection::Readiness;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Hints kept while the thread is scanning. Past that a full scan takes their place, so the bound costs time, never an image.
const HINTS: usize = 4096;
/// Files per report: one database transaction each. What a backlog holds in memory on its way is this times the channel's bound.
const BATCH: usize = 500;
/// Files that a scan goes through before it looks whether hints have come: some milliseconds.
const SCAN_SLICE: usize = 256;
/// How often the folder itself is looked at: an unmount or replacement is noticed within this time.
const ROOT_CHECK: Duration = Duration::from_secs(2);
/// New folders come in bursts; one scan serves all that came within this time.
const FOLDER_DELAY: Duration = Duration::from_millis(100);

/// Tells how a file of this name becomes ready; `None` = not an image of this folder.
pub type Classify = Arc<dyn Fn(&Path) -> Option<Readiness> + Send + Sync>;

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
}

/// What a worker has to say.
#[derive(Debug)]
pub enum IntakeReport {
    /// Files that became ready; some may have been reported by an earlier run of the daemon.
    Found(Vec<FoundFile>),
    /// The folder cannot be listed; it is tried again all the time.
    RootLost {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The folder is back, or another folder stands in its place.
    RootBack {
        /// The folder.
        root: PathBuf,
    },
    /// Hints were lost; a full scan made up for it.
    Overflow {
        /// The folder.
        root: PathBuf,
    },
    /// The folder cannot be watched; scans alone find its files, up to `rescan` later.
    NotWatched {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// The handle of a running worker; dropping it ends the thread.
pub struct RootWorker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RootWorker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(spec: RootSpec, reports: Sender<IntakeReport>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || Worker::new(spec, reports, stop).run()
        })?;
        Ok(Self { stop, thread: Some(thread) })
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

/// The reports' receiver is gone: the daemon stops.
struct Ended;

struct Worker {
    spec: RootSpec,
    reports: Sender<IntakeReport>,
    stop: Arc<AtomicBool>,
    settle: Settle,
    hint_sender: SyncSender<Hint>,
    hints: Receiver<Hint>,
    lost: Arc<AtomicBool>,
    watcher: Option<notify::RecommendedWatcher>,
    identity: Option<(u64, u64)>,
    root_is_lost: bool,
    next_scan: Instant,
    next_root_check: Instant,
}

impl Worker {
    fn new(spec: RootSpec, reports: Sender<IntakeReport>, stop: Arc<AtomicBool>) -> Self {
        let (hint_sender, hints) = sync_channel(HINTS);
        let now = Instant::now();
        Self {
            spec,
            reports,
            stop,
            settle: Settle::default(),
            hint_sender,
            hints,
            lost: Arc::new(AtomicBool::new(false)),
            watcher: None,
            identity: None,
            root_is_lost: false,
            next_scan: now,
            next_root_check: now,
        }
    }

    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.turn().is_err() {
                return;
            }
        }
    }

    /// In this order:
    /// 1. looks at the folder itself and watches it anew if it is another one;
    /// 2. scans if it is time, or if hints were lost;
    /// 3. hands on what has settled;
    /// 4. waits for a hint or the next of these times.
    fn turn(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if now >= self.next_root_check {
            self.check_root()?;
            self.next_root_check = now + ROOT_CHECK;
        }
        if self.lost.swap(false, Ordering::AcqRel) {
            self.next_scan = now;
            self.report(IntakeReport::Overflow { root: self.spec.path.clone() })?;
        }
        if now >= self.next_scan {
            self.next_scan = now + self.spec.rescan;
            if !self.root_is_lost {
                self.scan()?;
            }
        }
        self.hand_on()?;
        self.wait();
        Ok(())
    }

    fn check_root(&mut self) -> Result<(), Ended> {
        let root = self.spec.path.clone();
        match scan::folder_identity(&root) {
            Ok(identity) if self.identity == Some(identity) => Ok(()),
            Ok(identity) => {
                if self.identity.replace(identity).is_some() || self.root_is_lost {
                    self.root_is_lost = false;
                    self.report(IntakeReport::RootBack { root: root.clone() })?;
                }
                // The watch comes before the scan, so that nothing falls between the two.
                self.watcher = None;
                match inotify::watch(&root, self.spec.recursive, self.hint_sender.clone(), Arc::clone(&self.lost)) {
                    Ok(watcher) => self.watcher = Some(watcher),
                    Err(error) => self.report(IntakeReport::NotWatched { root, reason: error.to_string() })?,
                }
                self.next_scan = Instant::now();
                Ok(())
            }
            Err(_) if self.root_is_lost => Ok(()),
            Err(error) => {
                self.root_is_lost = true;
                self.identity = None;
                self.watcher = None;
                self.report(IntakeReport::RootLost { root, reason: error.to_string() })
            }
        }
    }

    /// Goes through the whole folder. Hints are served meanwhile, so that a new file does not wait for the end of a long scan.
    fn scan(&mut self) -> Result<(), Ended> {
        let (root, recursive) = (self.spec.path.clone(), self.spec.recursive);
        // Only what was not handed on yet is kept: mostly nothing, whatever the folder holds.
        let mut found = Vec::new();
        let mut looked_at: usize = 0;
        let mut served = Ok(());
        self.settle.begin_scan();
        let outcome = scan::walk(
            &root,
            recursive,
            |path, version| {
                looked_at += 1;
                if looked_at.is_multiple_of(SCAN_SLICE) && served.is_ok() {
                    served = self.serve_hints();
                }
                if !self.settle.is_handed_on(&path, version)
                    && let Some(readiness) = (self.spec.classify)(&path)
                {
                    found.push((path, version, readiness));
                }
            },
            |folder, error| tracing::warn!(folder = %folder.display(), %error, "sub-folder not read; it is tried again at the next scan"),
        );
        served?;
        if let Err(error) = outcome {
            // The next look at the folder says whether it is gone.
            tracing::warn!(folder = %root.display(), %error, "drop folder not read");
            return Ok(());
        }
        // One time for all, so that what one scan found is handed on in the order of its writing.
        let now = Instant::now();
        for (path, version, readiness) in found {
            let marked = is_marked(&path, &readiness);
            self.settle.observe(&path, version, Sighting::Seen, readiness, marked, now);
        }
        self.settle.end_scan();
        Ok(())
    }

    /// Takes the hints that are there and hands on what has settled.
    fn serve_hints(&mut self) -> Result<(), Ended> {
        let mut any = false;
        while let Ok(hint) = self.hints.try_recv() {
            self.take(hint);
            any = true;
        }
        if any { self.hand_on() } else { Ok(()) }
    }

    /// Hands on one report of what has settled; what is left has its turn after the hints that came meanwhile.
    fn hand_on(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let mut batch = Vec::new();
        for path in self.settle.due(now, BATCH) {
            let Some(version) = self.look(&path) else { continue };
            if self.settle.settle(&path, version, now) {
                batch.push(FoundFile { path: path.to_path_buf(), size: version.size, mtime_ns: version.mtime_ns });
            }
        }
        if batch.is_empty() { Ok(()) } else { self.report(IntakeReport::Found(batch)) }
    }

    fn wait(&mut self) {
        let mut until = self.next_scan.min(self.next_root_check);
        if let Some(due) = self.settle.next_due() {
            until = until.min(due);
        }
        // Short enough that a stop, or a loss flagged by the handler, is soon noticed.
        let patience = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
        match self.hints.recv_timeout(patience) {
            Ok(hint) => {
                self.take(hint);
                while let Ok(hint) = self.hints.try_recv() {
                    self.take(hint);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn take(&mut self, hint: Hint) {
        match hint {
            Hint::Gone(path) => self.settle.forget(&path),
            Hint::Sighted(path, sighting) => {
                for marker in &self.spec.markers {
                    if let Some(marked) = path.as_os_str().as_bytes().strip_suffix(marker.as_bytes()) {
                        let marked = PathBuf::from(OsStr::from_bytes(marked));
                        self.sighted(&marked, Sighting::Seen);
                        return;
                    }
                }
                self.sighted(&path, sighting);
            }
        }
    }

    fn sighted(&mut self, path: &Path, sighting: Sighting) {
        let now = Instant::now();
        if let Some(readiness) = (self.spec.classify)(path)
            && let Some(version) = self.look(path)
        {
            let marked = is_marked(path, &readiness);
            self.settle.observe(path, version, sighting, readiness, marked, now);
            return;
        }
        // A new folder may already hold files that were written before it was watched.
        if self.spec.recursive && sighting != Sighting::Closed && path.is_dir() {
            self.next_scan = self.next_scan.min(now + FOLDER_DELAY);
        }
    }

    fn look(&mut self, path: &Path) -> Option<FileVersion> {
        match scan::file_version(path) {
            Ok(Some(version)) => Some(version),
            Ok(None) => {
                self.settle.forget(path);
                None
            }
            // The next scan sees it again if it is still there.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "file not examined; it is tried again at the next scan");
                self.settle.forget(path);
                None
            }
        }
    }

    fn report(&self, report: IntakeReport) -> Result<(), Ended> {
        self.reports.blocking_send(report).map_err(|_| Ended)
    }
}

/// Whether the marker that this file needs stands beside it.
fn is_marked(path: &Path, readiness: &Readiness) -> bool {
    let Readiness::Marker(suffix) = readiness else { return false };
    let mut marker = path.as_os_str().to_owned();
    marker.push(suffix);
    matches!(scan::file_version(Path::new(&marker)), Ok(Some(_)))
}
