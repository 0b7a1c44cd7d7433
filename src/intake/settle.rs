//! Decides whether a file is complete. Pure: the caller passes the clock and the file's state.
//!
//! A file that inotify reported as closed or renamed is ready at once. A file that was only seen (by a scan, or as a new hard link, which
//! never closes) is ready when its size and times have not changed for [`UNSEEN_QUIET`].
//!
//! A drop folder may hold hundreds of thousands of files. So only the end of a scan visits all of them, and for files that were handed on
//! only a digest of the path is kept.

use crate::domain::Readiness;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a file must stay unchanged if nobody saw its writer finish.
pub const UNSEEN_QUIET: Duration = Duration::from_secs(2);

/// Identifies one writing of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion {
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// How the daemon noticed the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// By a scan, or by an event that does not say whether it is complete.
    Seen,
    /// Its writer closed it.
    Closed,
    /// It was renamed to this name.
    Renamed,
}

/// The files of one drop folder that are not complete yet, and those already handed on.
#[derive(Debug, Default)]
pub struct Settle {
    waiting: HashMap<Arc<Path>, Waiting>,
    /// The files of `waiting` that have a time, in the order of handing on: by that time, then by their writing.
    queue: BTreeSet<(Instant, i64, Arc<Path>)>,
    handed_on: HashMap<PathDigest, HandedOn>,
    /// The number of the present or last scan.
    scan: u32,
}

#[derive(Debug)]
struct Waiting {
    version: FileVersion,
    readiness: Readiness,
    /// `None`: the file waits for its marker.
    due: Option<Instant>,
    /// Whether the daemon saw the writer finish it.
    said_whole: bool,
    /// The scan in which, or after which, it was last seen.
    scan: u32,
}

#[derive(Debug)]
struct HandedOn {
    version: FileVersion,
    scan: u32,
}

/// Two paths never have the same digest.
type PathDigest = [u8; 16];

fn digest(path: &Path) -> PathDigest {
    let mut digest = PathDigest::default();
    blake3::Hasher::new().update(path.as_os_str().as_bytes()).finalize_xof().fill(&mut digest);
    digest
}

impl Settle {
    /// Notes a sighting. `marked` says whether the marker file is beside it (used only with `Readiness::Marker`).
    pub fn observe(&mut self, path: &Path, version: FileVersion, sighting: Sighting, readiness: Readiness, marked: bool, now: Instant) {
        // A close is news even for a file that was handed on: the daemon may have waited for its writer and given up.
        if sighting == Sighting::Closed && readiness.needs_close() {
            self.handed_on.remove(&digest(path));
        } else if self.is_handed_on(path, version) {
            return;
        }
        let said_whole = match (&readiness, sighting) {
            (Readiness::Marker(_), _) => marked,
            (_, Sighting::Renamed) => true,
            (Readiness::CloseWrite | Readiness::Quiet(_), Sighting::Closed) => true,
            _ => false,
        };
        let complete = said_whole && !matches!(readiness, Readiness::Quiet(_));
        let quiet = match &readiness {
            Readiness::Quiet(quiet) => Some(*quiet),
            Readiness::Marker(_) => None,
            Readiness::CloseWrite | Readiness::Rename => Some(UNSEEN_QUIET),
        };
        let due = if complete { Some(now) } else { quiet.map(|q| now + q) };
        match self.waiting.get_mut(path) {
            // Unchanged and not yet known to be complete: its clock continues.
            Some(entry) if entry.version == version && !complete => {
                entry.scan = self.scan;
                entry.said_whole |= said_whole;
            }
            _ => self.wait(path, Waiting { version, readiness, due, said_whole, scan: self.scan }),
        }
    }

    /// True when this writing of the file was handed on. Counts as a sighting of it.
    pub fn is_handed_on(&mut self, path: &Path, version: FileVersion) -> bool {
        match self.handed_on.get_mut(&digest(path)) {
            Some(entry) if entry.version == version => entry.scan = self.scan,
            _ => return false,
        }
        self.stop_waiting(path);
        true
    }

    /// Forgets a path that is gone: a later file of this name is a new one.
    pub fn forget(&mut self, path: &Path) {
        self.stop_waiting(path);
        self.handed_on.remove(&digest(path));
    }

    /// A full scan begins. It gives every file to [`Settle::observe`] or [`Settle::is_handed_on`].
    pub fn begin_scan(&mut self) {
        self.scan = self.scan.wrapping_add(1);
    }

    /// A full scan is over: forgets every path that nobody saw since it began.
    pub fn end_scan(&mut self) {
        let scan = self.scan;
        let Self { waiting, queue, handed_on, .. } = self;
        waiting.retain(|path, entry| {
            let seen = entry.scan == scan;
            if !seen && let Some(due) = entry.due {
                queue.remove(&(due, entry.version.mtime_ns, Arc::clone(path)));
            }
            seen
        });
        handed_on.retain(|_, entry| entry.scan == scan);
    }

    /// Up to `most` paths whose waiting is over, the longest first. The caller looks at each again and gives it to [`Settle::settle`] or
    /// [`Settle::forget`].
    pub fn due(&self, now: Instant, most: usize) -> Vec<Arc<Path>> {
        self.queue.iter().take_while(|(due, ..)| *due <= now).take(most).map(|(.., path)| Arc::clone(path)).collect()
    }

    /// When the next file becomes due.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.first().map(|(due, ..)| *due)
    }

    /// The version of a waiting file, and whether the daemon saw its writer finish it.
    pub fn waiting(&self, path: &Path) -> Option<(FileVersion, bool)> {
        self.waiting.get(path).map(|entry| (entry.version, entry.said_whole))
    }

    /// Hands on a due file if it has not changed since its clock started. Otherwise its clock starts again. True = hand on.
    pub fn settle(&mut self, path: &Path, version: FileVersion, now: Instant) -> bool {
        let Some(entry) = self.stop_waiting(path) else { return false };
        if entry.version == version {
            self.handed_on.insert(digest(path), HandedOn { version, scan: self.scan });
            return true;
        }
        let due = Some(now + if let Readiness::Quiet(quiet) = entry.readiness { quiet } else { UNSEEN_QUIET });
        self.wait(path, Waiting { version, due, said_whole: false, ..entry });
        false
    }

    fn wait(&mut self, path: &Path, entry: Waiting) {
        self.stop_waiting(path);
        let path: Arc<Path> = path.into();
        if let Some(due) = entry.due {
            self.queue.insert((due, entry.version.mtime_ns, Arc::clone(&path)));
        }
        self.waiting.insert(path, entry);
    }

    fn stop_waiting(&mut self, path: &Path) -> Option<Waiting> {
        let (path, entry) = self.waiting.remove_entry(path)?;
        if let Some(due) = entry.due {
            self.queue.remove(&(due, entry.version.mtime_ns, path));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const V1: FileVersion = FileVersion { size: 10, mtime_ns: 1 };
    const V2: FileVersion = FileVersion { size: 20, mtime_ns: 2 };

    fn path() -> &'static Path {
        Path::new("/d/x.jpg")
    }

    fn see(settle: &mut Settle, version: FileVersion, sighting: Sighting, readiness: Readiness, now: Instant) -> bool {
        settle.observe(path(), version, sighting, readiness, false, now);
        !settle.due(now, 9).is_empty()
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
        assert!(settle.due(now + UNSEEN_QUIET, 9).is_empty());
        let due = later + UNSEEN_QUIET;
        assert_eq!(settle.due(due, 9), [path().into()]);
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
        assert_eq!(settle.due(now + Duration::from_millis(500), 9).len(), 1);
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
        assert_eq!(settle.due(now, 9).len(), 1);
    }

    #[test]
    fn a_writer_says_that_its_file_is_whole_in_the_way_of_the_folder() {
        let now = Instant::now();
        let said = |readiness: Readiness, sightings: &[Sighting]| {
            let mut settle = Settle::default();
            for sighting in sightings {
                settle.observe(path(), V1, *sighting, readiness.clone(), false, now);
            }
            settle.waiting(path()).unwrap().1
        };
        let quiet = || Readiness::Quiet(Duration::from_secs(1));
        assert!(!said(Readiness::CloseWrite, &[Sighting::Seen]) && said(Readiness::CloseWrite, &[Sighting::Seen, Sighting::Closed]));
        assert!(!said(quiet(), &[Sighting::Seen]) && said(quiet(), &[Sighting::Seen, Sighting::Closed, Sighting::Seen]));
        assert!(!said(Readiness::Rename, &[Sighting::Closed]) && said(Readiness::Rename, &[Sighting::Renamed]));
        assert!(!said(Readiness::Marker(".done".into()), &[Sighting::Closed]));
    }

    #[test]
    fn a_removed_file_is_forgotten() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        see(&mut settle, V1, Sighting::Closed, Readiness::CloseWrite, now);
        assert!(settle.settle(path(), V1, now));
        settle.begin_scan();
        settle.end_scan();
        assert!(see(&mut settle, V1, Sighting::Closed, Readiness::CloseWrite, now));
    }

    #[test]
    fn a_scan_forgets_what_it_did_not_see_and_nothing_else() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        let file = |name: &str| Path::new("/d").join(name);
        let see = |settle: &mut Settle, name: &str| {
            settle.observe(&file(name), V1, Sighting::Seen, Readiness::CloseWrite, false, now);
        };
        for name in ["waits", "waits-gone", "done", "done-gone"] {
            see(&mut settle, name);
        }
        for name in ["done", "done-gone"] {
            assert!(settle.settle(&file(name), V1, now));
        }
        settle.begin_scan();
        see(&mut settle, "waits");
        assert!(settle.is_handed_on(&file("done"), V1));
        // An event during the scan reports a file that the scan has already passed.
        see(&mut settle, "new");
        settle.end_scan();
        assert_eq!(settle.due(now + UNSEEN_QUIET, 9), [file("new").into(), file("waits").into()]);
        assert!(settle.is_handed_on(&file("done"), V1));
        assert!(!settle.is_handed_on(&file("done-gone"), V1));
    }

    #[test]
    fn files_are_due_in_the_order_of_their_writing_and_a_few_at_a_time() {
        let (mut settle, now) = (Settle::default(), Instant::now());
        for mtime_ns in [3, 1, 2] {
            let path = PathBuf::from(format!("/d/{}.jpg", 9 - mtime_ns));
            settle.observe(&path, FileVersion { size: 1, mtime_ns }, Sighting::Seen, Readiness::CloseWrite, false, now);
        }
        let due = now + UNSEEN_QUIET;
        assert_eq!(settle.due(due, 2), [Path::new("/d/8.jpg").into(), Path::new("/d/7.jpg").into()]);
        settle.forget(Path::new("/d/8.jpg"));
        assert!(settle.settle(Path::new("/d/7.jpg"), FileVersion { size: 1, mtime_ns: 2 }, due));
        assert_eq!(settle.due(due, 2), [Path::new("/d/6.jpg").into()]);
        assert_eq!(settle.next_due(), Some(due));
    }
}
