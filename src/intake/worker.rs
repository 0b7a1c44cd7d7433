//! The work of a drop folder's thread: hints and scans in, complete files out.

mod arriving;
mod visit;

use super::inotify::{Hint, Watches};
use super::mounts::MountTable;
use super::pulse::IntakePulse;
use super::report::IntakeReport;
use super::scan::{self, RootState};
use super::settle::Settle;
use super::spec::RootSpec;
use arriving::{ArrivingFiles, Ended};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use visit::Scan;

/// Hints kept while the thread scans. If more come, a full scan replaces them, so the limit costs time, never an image.
const HINTS: usize = 4096;
/// How often the thread looks at the folder itself: it notices an unmount or a replacement within this time.
const ROOT_CHECK: Duration = Duration::from_secs(2);

pub(super) struct RootThread {
    files: ArrivingFiles,
    stop: Arc<AtomicBool>,
    hint_sender: SyncSender<Hint>,
    lost: Arc<AtomicBool>,
    /// True when the watches may be wrong; the next full scan sets them again.
    watches_are_stale: bool,
    /// True when the present scan set them.
    watches_are_new: bool,
    /// True when it was reported that some folders are not watched.
    not_watched: bool,
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
        let watches = Err(String::new());
        let files = ArrivingFiles { spec, reports, pulse, settle: Settle::default(), hints, watches, new_folders: BTreeSet::new() };
        Self {
            files,
            stop,
            hint_sender,
            lost: Arc::new(AtomicBool::new(false)),
            watches_are_stale: true,
            watches_are_new: false,
            not_watched: false,
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
        self.files.pulse.rest();
    }

    /// In this order:
    /// 1. looks at the folder itself, and sets new watches if it is another folder;
    /// 2. scans if it is time, or if hints were lost; otherwise lists the new sub-folders;
    /// 3. hands on the files that have settled;
    /// 4. waits for a hint or the next of these times.
    fn turn(&mut self) -> Result<(), Ended> {
        self.files.pulse.work();
        let now = Instant::now();
        if now >= self.next_root_check {
            self.check_root()?;
            self.next_root_check = now + ROOT_CHECK;
        }
        if self.lost.swap(false, Ordering::AcqRel) {
            // Folders may have been made or moved without a hint.
            self.watches_are_stale = true;
            self.next_scan = now;
            self.files.report(IntakeReport::Overflow { root: self.files.spec.path.clone() })?;
        }
        if now >= self.next_scan {
            self.next_scan = now + self.files.spec.rescan;
            self.scan()?;
        } else {
            self.list_new_folders()?;
        }
        self.files.hand_on()?;
        self.files.wait(self.next_scan.min(self.next_root_check));
        Ok(())
    }

    fn check_root(&mut self) -> Result<(), Ended> {
        // Asked first, so that the next check sees a change that comes later.
        let mounts_changed = self.mounts.concerns(&self.files.spec.path);
        let seen = match scan::root_state(&self.files.spec.path) {
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
                self.files.report(IntakeReport::RootBack { root: self.files.spec.path.clone() })?;
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
        self.files.report(IntakeReport::RootLost { root: self.files.spec.path.clone(), reason })
    }

    /// Scans the whole folder. Hints are served meanwhile, so a new file does not wait for the end of a long scan.
    fn scan(&mut self) -> Result<(), Ended> {
        let Some(RootState { id, .. }) = self.root else { return Ok(()) };
        let root = self.files.spec.path.clone();
        if std::mem::take(&mut self.watches_are_stale) || self.files.watches.is_err() {
            // Remove the old watches first, because they count against the limits. Until the new ones are set, a close is missed.
            self.files.watches = Err(String::new());
            self.files.spec.writers.doubt(&root);
            self.mounts.look_at(&root);
            self.watches_are_new = true;
            self.files.watches =
                Watches::open(root.clone(), self.hint_sender.clone(), Arc::clone(&self.lost), Arc::clone(&self.files.spec.writers));
        }
        self.files.new_folders.clear();
        self.files.settle.begin_scan();
        let mut scan = Scan::new(&mut self.files);
        let outcome = scan::walk(&root, id, scan.files.spec.recursive, &mut scan);
        let watched = scan.end()?;
        if let Err(error) = outcome {
            // The next look at the folder shows whether it is gone.
            tracing::warn!(folder = %root.display(), %error, "drop folder not read");
            return Ok(());
        }
        self.files.settle.end_scan();
        self.files.pulse.scanned();
        if std::mem::take(&mut self.watches_are_new) {
            self.mounts.set_alarm(&root);
        }
        match watched {
            Err(reason) => self.tell_not_watched(reason),
            Ok(()) if std::mem::take(&mut self.not_watched) => self.files.report(IntakeReport::Watched { root }),
            Ok(()) => Ok(()),
        }
    }

    fn list_new_folders(&mut self) -> Result<(), Ended> {
        for folder in std::mem::take(&mut self.files.new_folders) {
            let Some(id) = scan::folder_id(&folder) else { continue };
            let mut scan = Scan::new(&mut self.files);
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
        self.files.report(IntakeReport::NotWatched { root: self.files.spec.path.clone(), reason })
    }
}
