//! The work of a drop folder's thread: hints and scans in, complete files out.

mod visit;

use super::inotify::{Hint, Watches};
use super::marker::is_marked;
use super::mounts::MountTable;
use super::pulse::IntakePulse;
use super::root::{FoundFile, IntakeReport, RootSpec};
use super::scan::{self, FileId, RootState};
use super::settle::{FileVersion, Settle, Sighting};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use visit::Scan;

/// Hints kept while the thread scans. If more come, a full scan replaces them, so the limit costs time, never an image.
const HINTS: usize = 4096;
/// Files per report; each report is one database transaction. A backlog on its way takes this times the channel's limit in memory.
const BATCH: usize = 500;
/// Files that a scan visits before it looks for new hints: some milliseconds.
const SCAN_SLICE: usize = 256;
/// How often the thread looks at the folder itself: it notices an unmount or a replacement within this time.
const ROOT_CHECK: Duration = Duration::from_secs(2);

/// The receiver of the reports is gone: the daemon stops.
pub(super) struct Ended;

pub(super) struct RootThread {
    spec: RootSpec,
    reports: Sender<IntakeReport>,
    pulse: Arc<IntakePulse>,
    stop: Arc<AtomicBool>,
    settle: Settle,
    hint_sender: SyncSender<Hint>,
    hints: Receiver<Hint>,
    lost: Arc<AtomicBool>,
    /// The watches, or why there are none. The next full scan tries again.
    watches: Result<Watches, String>,
    /// True when the watches may be wrong; the next full scan sets them again.
    watches_are_stale: bool,
    /// True when the present scan set them.
    watches_are_new: bool,
    /// True when it was reported that some folders are not watched.
    not_watched: bool,
    /// Sub-folders that hints reported. They may hold files that were written before the watch was set.
    new_folders: BTreeSet<PathBuf>,
    mounts: MountTable,
    /// The folder as last seen; `None` when the thread could not look at it.
    root: Option<RootState>,
    /// True when a file system was mounted on it when it was last in order.
    was_mount: bool,
    root_is_lost: bool,
    next_scan: Instant,
    next_root_check: Instant,
}

impl RootThread {
    pub(super) fn new(spec: RootSpec, reports: Sender<IntakeReport>, pulse: Arc<IntakePulse>, stop: Arc<AtomicBool>) -> Self {
        let (hint_sender, hints) = sync_channel(HINTS);
        let now = Instant::now();
        Self {
            spec,
            reports,
            pulse,
            stop,
            settle: Settle::default(),
            hint_sender,
            hints,
            lost: Arc::new(AtomicBool::new(false)),
            watches: Err(String::new()),
            watches_are_stale: true,
            watches_are_new: false,
            not_watched: false,
            new_folders: BTreeSet::new(),
            mounts: MountTable::open(),
            root: None,
            was_mount: false,
            root_is_lost: false,
            next_scan: now,
            next_root_check: now,
        }
    }

    pub(super) fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.turn().is_err() {
                break;
            }
        }
        self.pulse.rest();
    }

    /// In this order:
    /// 1. looks at the folder itself, and sets new watches if it is another folder;
    /// 2. scans if it is time, or if hints were lost; otherwise lists the new sub-folders;
    /// 3. hands on the files that have settled;
    /// 4. waits for a hint or the next of these times.
    fn turn(&mut self) -> Result<(), Ended> {
        self.pulse.work();
        let now = Instant::now();
        if now >= self.next_root_check {
            self.check_root()?;
            self.next_root_check = now + ROOT_CHECK;
        }
        if self.lost.swap(false, Ordering::AcqRel) {
            // Folders may have been made or moved without a hint.
            self.watches_are_stale = true;
            self.next_scan = now;
            self.report(IntakeReport::Overflow { root: self.spec.path.clone() })?;
        }
        if now >= self.next_scan {
            self.next_scan = now + self.spec.rescan;
            self.scan()?;
        } else {
            self.list_new_folders()?;
        }
        self.hand_on()?;
        self.wait();
        Ok(())
    }

    fn check_root(&mut self) -> Result<(), Ended> {
        // Asked first, so that the next check sees a change that comes later.
        let mounts_changed = self.mounts.concerns(&self.spec.path);
        let seen = match scan::root_state(&self.spec.path) {
            Ok(seen) => seen,
            Err(error) => {
                self.root = None;
                return self.root_lost(error.to_string());
            }
        };
        if mounts_changed {
            // A sub-folder may be another one now.
            self.next_scan = Instant::now();
        }
        self.watches_are_stale |= mounts_changed || self.root != Some(seen);
        if self.root == Some(seen) {
            return Ok(());
        }
        if self.was_mount && !seen.is_mount {
            // The folder under the mount point still has the drop folder's name; the daemon finds files there as always.
            self.root_lost("the file system that was mounted on it is gone; mount it again".to_owned())?;
        } else {
            if self.root.is_some() {
                self.root_lost("another folder stands in its place".to_owned())?;
            }
            if std::mem::take(&mut self.root_is_lost) {
                self.report(IntakeReport::RootBack { root: self.spec.path.clone() })?;
            }
            self.was_mount = seen.is_mount;
        }
        self.root = Some(seen);
        self.next_scan = Instant::now();
        Ok(())
    }

    fn root_lost(&mut self, reason: String) -> Result<(), Ended> {
        if std::mem::replace(&mut self.root_is_lost, true) {
            return Ok(());
        }
        self.report(IntakeReport::RootLost { root: self.spec.path.clone(), reason })
    }

    /// Scans the whole folder. Hints are served meanwhile, so a new file does not wait for the end of a long scan.
    fn scan(&mut self) -> Result<(), Ended> {
        let Some(RootState { id, .. }) = self.root else { return Ok(()) };
        let root = self.spec.path.clone();
        if std::mem::take(&mut self.watches_are_stale) || self.watches.is_err() {
            // Remove the old watches first, because they count against the limits. Until the new ones are set, a close is missed.
            self.watches = Err(String::new());
            self.spec.writers.doubt(&root);
            self.mounts.look_at(&root);
            self.watches_are_new = true;
            self.watches = Watches::open(root.clone(), self.hint_sender.clone(), Arc::clone(&self.lost), Arc::clone(&self.spec.writers));
        }
        self.new_folders.clear();
        self.settle.begin_scan();
        let mut scan = Scan::new(self);
        let outcome = scan::walk(&root, id, scan.worker.spec.recursive, &mut scan);
        let watched = scan.end()?;
        if let Err(error) = outcome {
            // The next look at the folder shows whether it is gone.
            tracing::warn!(folder = %root.display(), %error, "drop folder not read");
            return Ok(());
        }
        self.settle.end_scan();
        self.pulse.scanned();
        if std::mem::take(&mut self.watches_are_new) {
            self.mounts.set_alarm(&root);
        }
        match watched {
            Err(reason) => self.tell_not_watched(reason),
            Ok(()) if std::mem::take(&mut self.not_watched) => self.report(IntakeReport::Watched { root }),
            Ok(()) => Ok(()),
        }
    }

    fn list_new_folders(&mut self) -> Result<(), Ended> {
        for folder in std::mem::take(&mut self.new_folders) {
            let Some(id) = scan::folder_id(&folder) else { continue };
            let mut scan = Scan::new(self);
            let outcome = scan::walk(&folder, id, true, &mut scan);
            if let Err(reason) = scan.end()? {
                self.tell_not_watched(reason)?;
            }
            if let Err(error) = outcome {
                tracing::warn!(folder = %folder.display(), %error, "new sub-folder not read; it is tried again at the next scan");
            }
        }
        Ok(())
    }

    fn tell_not_watched(&mut self, reason: String) -> Result<(), Ended> {
        if std::mem::replace(&mut self.not_watched, true) {
            return Ok(());
        }
        self.report(IntakeReport::NotWatched { root: self.spec.path.clone(), reason })
    }

    /// Takes the waiting hints and hands on the files that have settled.
    fn serve_hints(&mut self) -> Result<(), Ended> {
        let mut any = false;
        while let Ok(hint) = self.hints.try_recv() {
            self.take(hint);
            any = true;
        }
        if any { self.hand_on() } else { Ok(()) }
    }

    /// Hands on one report of settled files. The rest comes after the hints that arrived meanwhile.
    fn hand_on(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let mut batch = Vec::new();
        for path in self.settle.due(now, BATCH) {
            let said_whole = self.settle.waiting(&path).is_some_and(|(_, said_whole)| said_whole);
            let Some((version, id)) = self.look(&path) else { continue };
            if self.settle.settle(&path, version, now) {
                let FileVersion { size, mtime_ns } = version;
                batch.push(FoundFile { path: path.to_path_buf(), size, mtime_ns, id, said_whole });
            }
        }
        if batch.is_empty() { Ok(()) } else { self.report(IntakeReport::Found(batch)) }
    }

    fn wait(&mut self) {
        let mut until = self.next_scan.min(self.next_root_check);
        if let Some(due) = self.settle.next_due() {
            until = until.min(due);
        }
        // Short, so the thread soon notices a stop, or a loss that the handler flagged.
        let patience = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
        let hint = self.hints.recv_timeout(patience);
        self.pulse.work();
        match hint {
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
        self.pulse.work();
        match hint {
            Hint::Gone(path) => {
                self.settle.forget(&path);
                if let Ok(watches) = &mut self.watches {
                    watches.forget(&path);
                }
            }
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
            && let Some((version, _)) = self.look(path)
        {
            let marked = is_marked(path, &readiness);
            self.settle.observe(path, version, sighting, readiness, marked, now);
            return;
        }
        if self.spec.recursive && sighting != Sighting::Closed && (self.spec.enters)(path) && scan::folder_id(path).is_some() {
            self.new_folders.insert(path.to_owned());
        }
    }

    fn look(&mut self, path: &Path) -> Option<(FileVersion, Option<FileId>)> {
        match scan::file_state(path) {
            Ok(Some(state)) => Some(state),
            Ok(None) => {
                self.settle.forget(path);
                None
            }
            // The folder could be listed, but nobody can open this name. The file is handed on as it was listed, and recorded as failed.
            Err(error) if error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error()) => {
                self.settle.waiting(path).map(|(version, _)| (version, None))
            }
            // The next scan sees the file again if it still exists.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "file not examined; it is tried again at the next scan");
                self.settle.forget(path);
                None
            }
        }
    }

    fn report(&self, report: IntakeReport) -> Result<(), Ended> {
        self.pulse.rest();
        let taken = self.reports.blocking_send(report).map_err(|_| Ended);
        self.pulse.work();
        taken
    }
}
