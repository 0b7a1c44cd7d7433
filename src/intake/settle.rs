//! Is the file complete? Pure: the clock and the file's state are passed in.
//!
//! A file that inotify reported closed or renamed is ready at once. A file that was only seen (by a scan, or created as a hard
//! link, which never closes) is ready when its size and times have not changed for [`UNSEEN_QUIET`].

use crate::inspection::Readiness;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file whose writer was not seen to finish must stay unchanged.
pub const UNSEEN_QUIET: Duration = Duration::from_secs(2);

/// What identifies one writing of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// How the file came to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// By a scan, or an event that says nothing of completeness.
    Seen,
    /// Its writer closed it.
    Closed,
    /// It was renamed to this name.
    Renamed,
}

/// The files of one drop folder that are on their way, and those already handed on.
#[derive(Debug, Default)]
pub struct Settle {
    waiting: HashMap<PathBuf, Waiting>,
    handed_on: HashMap<PathBuf, FileVersion>,
}

#[derive(Debug)]
struct Waiting {
    version: FileVersion,
    readiness: Readiness,
    /// `None`: waits for its marker.
    due: Option<Instant>,
}

impl Settle {
    /// Notes a sighting. `marked` tells whether the marker file stands beside it (only asked for with `Readiness::Marker`).
    pub fn observe(&mut self, path: &Path, version: FileVersion, sighting: Sighting, readiness: Readiness, marked: bool, now: Instant) {
        if self.handed_on.get(path) == Some(&version) {
            self.waiting.remove(path);
            return;
        }
        let complete = match (&readiness, sighting) {
            (Readiness::CloseWrite, Sighting::Closed | Sighting::Renamed) | (Readiness::Rename, Sighting::Renamed) => true,
            (Readiness::Marker(_), _) => marked,
            _ => false,
        };
        let quiet = match &readiness {
            Readiness::Quiet(quiet) => Some(*quiet),
            Readiness::Marker(_) => None,
            Readiness::CloseWrite | Readiness::Rename => Some(UNSEEN_QUIET),
        };
        let fresh_due = if complete { Some(now) } else { quiet.map(|q| now + q) };
        match self.waiting.get_mut(path) {
            // Unchanged and not yet known complete: the clock that was started goes on.
            Some(entry) if entry.version == version && !complete => {}
            Some(entry) => (entry.version, entry.readiness, entry.due) = (version, readiness, fresh_due),
            None => drop(self.waiting.insert(path.to_owned(), Waiting { version, readiness, due: fresh_due })),
        }
    }

    /// Forgets a path that is gone: a later file of the same name is a new one.
    pub fn forget(&mut self, path: &Path) {
        self.waiting.remove(path);
        self.handed_on.remove(path);
    }

    /// Forgets every path for which `exists` is false, after a full scan.
    pub fn retain(&mut self, exists: impl Fn(&Path) -> bool) {
        self.waiting.retain(|path, _| exists(path));
        self.handed_on.retain(|path, _| exists(path));
    }

    /// The paths whose waiting is over; each must be looked at again and given to [`Settle::settle`].
    pub fn due(&self, now: Instant) -> Vec<PathBuf> {
        self.waiting.iter().filter(|(_, w)| w.due.is_some_and(|due| due <= now)).map(|(path, _)| path.clone()).collect()
    }

    /// When the next file becomes due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|w| w.due).min()
    }

    /// Hands a due file on if it is still as it was when its clock started; else its clock starts anew. True = hand on.
    pub fn settle(&mut self, path: &Path, version: FileVersion, now: Instant) -> bool {
        let Some(entry) = self.waiting.get_mut(path) else { return false };
        if entry.version != version {
            entry.version = version;
            entry.due = Some(now + if let Readiness::Quiet(quiet) = entry.readiness { quiet } else { UNSEEN_QUIET });
            return false;
        }
        self.waiting.remove(path);
        self.handed_on.insert(path.to_owned(), version);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: FileVersion = FileVersion { size: 10, mtime_ns: 1 };
    const V2: FileVersion = FileVersion { size: 20, mtime_ns: 2 };

    fn path() -> &'static Path {
        Path::new("/d/x.jpg")
    }

    fn see(settle: &mut Settle, version: FileVersion, sighting: Sighting, readiness: Readiness, now: Instant) -> bool {
        settle.observe(path(), version, sighting, readiness, false, now);
        !settle.due(now).is_empty()
    }

    #[test]
    fn a_closed_file_is_due_at_once_and_only_once() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        assert!(see(&mut settle, V1, Sighting::Closed, Readiness::CloseWrite, now));
        assert!(settle.settle(path(), V1, now));
        assert!(!see(&mut settle, V1, Sighting::Seen, Readiness::CloseWrite, now));
        assert_eq!(settle.next_due(), None);
        assert!(see(&mut settle, V2, Sighting::Closed, Readiness::CloseWrite, now), "written again is new");
    }

    #[test]
    fn a_file_only_seen_must_stay_unchanged() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        assert!(!see(&mut settle, V1, Sighting::Seen, Readiness::CloseWrite, now));
        let later = now + UNSEEN_QUIET / 2;
        assert!(!see(&mut settle, V2, Sighting::Seen, Readiness::CloseWrite, later), "a change starts the clock anew");
        assert!(settle.due(now + UNSEEN_QUIET).is_empty());
        let due = later + UNSEEN_QUIET;
        assert_eq!(settle.due(due), [path()]);
        assert!(!settle.settle(path(), V1, due), "changed between");
        assert!(settle.settle(path(), V1, due + UNSEEN_QUIET));
    }

    #[test]
    fn seen_again_unchanged_keeps_the_clock_running() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        let quiet = Readiness::Quiet(Duration::from_millis(500));
        for ms in [0, 200, 400] {
            see(&mut settle, V1, Sighting::Seen, quiet.clone(), now + Duration::from_millis(ms));
        }
        assert_eq!(settle.due(now + Duration::from_millis(500)).len(), 1);
    }

    #[test]
    fn close_is_not_enough_for_rename_and_nothing_but_the_marker_for_marker() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        assert!(!see(&mut settle, V1, Sighting::Closed, Readiness::Rename, now));
        assert!(see(&mut settle, V1, Sighting::Renamed, Readiness::Rename, now));
        let mut settle = Settle::default();
        let marker = Readiness::Marker(".done".into());
        assert!(!see(&mut settle, V1, Sighting::Renamed, marker.clone(), now));
        assert_eq!(settle.next_due(), None);
        settle.observe(path(), V1, Sighting::Seen, marker, true, now);
        assert_eq!(settle.due(now).len(), 1);
    }

    #[test]
    fn a_removed_file_is_forgotten() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        see(&mut settle, V1, Sighting::Closed, Readiness::CloseWrite, now);
        assert!(settle.settle(path(), V1, now));
        settle.retain(|_| false);
        assert!(see(&mut settle, V1, Sighting::Closed, Readiness::CloseWrite, now));
    }
}
