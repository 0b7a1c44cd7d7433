//! The files of a drop folder on their way: sightings in, reports of complete files out.

use crate::intake::inotify::{Hint, Watches};
use crate::intake::marker::is_marked;
use crate::intake::pulse::IntakePulse;
use crate::intake::report::{FoundFile, IntakeReport};
use crate::intake::scan::{self, FileId};
use crate::intake::settle::{FileVersion, Settle, Sighting};
use crate::intake::spec::RootSpec;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Files per report; each report is one database transaction. A backlog on its way takes this times the channel's limit in memory.
const BATCH: usize = 500;

/// The receiver of the reports is gone: the daemon stops.
pub(super) struct Ended;

/// What hints and scans share: the files that are not handed on yet, and the watches.
pub(super) struct ArrivingFiles {
    pub(super) spec: RootSpec,
    pub(super) reports: Sender<IntakeReport>,
    pub(super) pulse: Arc<IntakePulse>,
    pub(super) settle: Settle,
    pub(super) hints: Receiver<Hint>,
    /// The watches, or why there are none. The next full scan tries again.
    pub(super) watches: Result<Watches, String>,
    /// Sub-folders that hints reported. They may hold files that were written before the watch was set.
    pub(super) new_folders: BTreeSet<PathBuf>,
}

impl ArrivingFiles {
    /// Takes the waiting hints and hands on the files that have settled.
    pub(super) fn serve_hints(&mut self) -> Result<(), Ended> {
        let mut any = false;
        while let Ok(hint) = self.hints.try_recv() {
            self.take(hint);
            any = true;
        }
        if any { self.hand_on() } else { Ok(()) }
    }

    /// Hands on one report of settled files. The rest comes after the hints that arrived meanwhile.
    pub(super) fn hand_on(&mut self) -> Result<(), Ended> {
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

    /// Waits for a hint, or until a file is due, but not longer than `until`.
    pub(super) fn wait(&mut self, until: Instant) {
        let until = self.settle.next_due().map_or(until, |due| until.min(due));
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

    pub(super) fn report(&self, report: IntakeReport) -> Result<(), Ended> {
        self.pulse.rest();
        let taken = self.reports.blocking_send(report).map_err(|_| Ended);
        self.pulse.work();
        taken
    }
}
