//! A walk through a drop folder: watches its folders and collects its files.

use super::{Ended, RootThread, SCAN_SLICE};
use crate::domain::Readiness;
use crate::intake::marker::is_marked;
use crate::intake::scan::{FolderId, Visitor};
use crate::intake::settle::{FileVersion, Sighting};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One walk through the drop folder or a part of it.
pub(super) struct Scan<'a> {
    pub(super) worker: &'a mut RootThread,
    /// Only files that were not handed on yet: mostly none, however full the folder is.
    found: Vec<(PathBuf, FileVersion, Readiness)>,
    looked_at: usize,
    served: Result<(), Ended>,
    folders: usize,
    unwatched: usize,
    /// Why the first unwatched folder is not watched.
    reason: String,
}

impl<'a> Scan<'a> {
    pub(super) fn new(worker: &'a mut RootThread) -> Self {
        Self { worker, found: Vec::new(), looked_at: 0, served: Ok(()), folders: 0, unwatched: 0, reason: String::new() }
    }

    /// Gives the found files to settling. Returns whether all folders are watched, or why not.
    pub(super) fn end(self) -> Result<Result<(), String>, Ended> {
        self.served?;
        // One time for all files, so that one scan's files are handed on in the order of their writing.
        let now = Instant::now();
        for (path, version, readiness) in self.found {
            self.worker.pulse.work();
            let marked = is_marked(&path, &readiness);
            self.worker.settle.observe(&path, version, Sighting::Seen, readiness, marked, now);
        }
        Ok(match self.unwatched {
            0 => Ok(()),
            unwatched => Err(format!("{unwatched} of {} folders not watched: {}", self.folders, self.reason)),
        })
    }
}

impl Visitor for Scan<'_> {
    fn enters(&self, folder: &Path) -> bool {
        (self.worker.spec.enters)(folder)
    }

    fn folder(&mut self, folder: &Path, id: FolderId) {
        self.worker.pulse.work();
        self.folders += 1;
        let watched = match &mut self.worker.watches {
            Ok(watches) => self.worker.pulse.asking_for_watch(|| watches.add(folder, id)),
            Err(reason) => Err(reason.clone()),
        };
        if let Err(reason) = watched {
            if self.unwatched == 0 {
                self.reason = reason;
            }
            self.unwatched += 1;
        }
    }

    fn file(&mut self, path: PathBuf, version: FileVersion) {
        self.worker.pulse.work();
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(SCAN_SLICE) && self.served.is_ok() {
            self.served = self.worker.serve_hints();
        }
        if !self.worker.settle.is_handed_on(&path, version)
            && let Some(readiness) = (self.worker.spec.classify)(&path)
        {
            self.found.push((path, version, readiness));
        }
    }

    fn unread(&mut self, folder: &Path, error: io::Error) {
        tracing::warn!(folder = %folder.display(), %error, "sub-folder not read; it is tried again at the next scan");
    }
}
