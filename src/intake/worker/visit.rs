//! A walk through a drop folder: watches its folders and collects its files.

use super::arriving::{ArrivingFiles, Ended};
use crate::domain::Readiness;
use crate::intake::marker::is_marked;
use crate::intake::scan::{FolderId, Visitor};
use crate::intake::settle::{FileVersion, Sighting};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Files that a scan visits before it looks for new hints: some milliseconds.
const SCAN_SLICE: usize = 256;

/// One walk through the drop folder or a part of it.
pub(super) struct Scan<'a> {
    pub(super) files: &'a mut ArrivingFiles,
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
    pub(super) fn new(files: &'a mut ArrivingFiles) -> Self {
        Self { files, found: Vec::new(), looked_at: 0, served: Ok(()), folders: 0, unwatched: 0, reason: String::new() }
    }

    /// Gives the found files to settling. Returns whether all folders are watched, or why not.
    pub(super) fn end(self) -> Result<Result<(), String>, Ended> {
        self.served?;
        // One time for all files, so that one scan's files are handed on in the order of their writing.
        let now = Instant::now();
        for (path, version, readiness) in self.found {
            self.files.pulse.work();
            let marked = is_marked(&path, &readiness);
            self.files.settle.observe(&path, version, Sighting::Seen, readiness, marked, now);
        }
        Ok(match self.unwatched {
            0 => Ok(()),
            unwatched => Err(format!("{unwatched} of {} folders not watched: {}", self.folders, self.reason)),
        })
    }
}

impl Visitor for Scan<'_> {
    fn enters(&self, folder: &Path) -> bool {
        (self.files.spec.enters)(folder)
    }

    fn folder(&mut self, folder: &Path, id: FolderId) {
        self.files.pulse.work();
        self.folders += 1;
        let watched = match &mut self.files.watches {
            Ok(watches) => self.files.pulse.asking_for_watch(|| watches.add(folder, id)),
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
        self.files.pulse.work();
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(SCAN_SLICE) && self.served.is_ok() {
            self.served = self.files.serve_hints();
        }
        if !self.files.settle.is_handed_on(&path, version)
            && let Some(readiness) = (self.files.spec.classify)(&path)
        {
            self.found.push((path, version, readiness));
        }
    }

    fn unread(&mut self, folder: &Path, error: io::Error) {
        tracing::warn!(folder = %folder.display(), %error, "sub-folder not read; it is tried again at the next scan");
    }
}
