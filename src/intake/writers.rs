//! Which files are being written.
//!
//! A writer that allots the space of its file first and pauses before the last bytes leaves nothing to see: the size is right, there is
//! no hole, and an uncompressed picture decodes, with black rows. Only the close tells that it is whole. inotify tells of every write and
//! close in a watched folder, whoever the writer is: a file that was written to and not closed since is open.
//!
//! Not known is what was opened before the folder was watched or while events were lost, and who writes on the far side of a share.
//! The kernel could be asked through file leases, but it answers only the owner of a file.
//!
//! After a gap in which events were lost (the kernel's queue overflowed, or the watches had to be set anew) a file that was open before is
//! in doubt: its close may have been in the gap. Such a file is waited for like an open one, and when it has not changed for
//! `intake.give_up_after`, longer than any pause of its writer, it counts as closed. So a whole file never fails for want of an event.

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Far more files than are ever written at once. Past this bound all is forgotten, and a file in hand is taken for closed as if it had
/// been opened before the folder was watched.
const MOST: usize = 10_000;

/// Whether somebody has a file open for writing, as far as events told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Nobody, as far as is known.
    Closed,
    /// Somebody has.
    Open,
    /// Somebody had before events were lost.
    InDoubt,
}

/// The files in all drop folders that were seen written to and not closed since.
#[derive(Debug, Default)]
pub struct Writers {
    open: Mutex<HashMap<PathBuf, Writing>>,
}

impl Writers {
    /// What is known of the file.
    pub fn of(&self, path: &Path) -> Writing {
        self.lock().get(path).copied().unwrap_or(Writing::Closed)
    }

    /// Events of files below `root` were lost, or may be from now on.
    pub(super) fn doubt(&self, root: &Path) {
        self.lock().iter_mut().filter(|(path, _)| path.starts_with(root)).for_each(|(_, writing)| *writing = Writing::InDoubt);
    }

    pub(super) fn note(&self, event: &Event) {
        let mut open = self.lock();
        match (event.kind, event.paths.as_slice()) {
            (EventKind::Modify(ModifyKind::Data(_)), [path]) if open.get(path) != Some(&Writing::Open) => {
                if open.len() >= MOST {
                    open.clear();
                }
                open.insert(path.clone(), Writing::Open);
            }
            // It is complete or gone, or another file has taken the name.
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Remove(_)
                | EventKind::Create(_)
                | EventKind::Modify(ModifyKind::Name(RenameMode::To)),
                [path],
            ) => {
                open.remove(path);
            }
            // Follows the two halves of a rename. The writer goes on under the new name.
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) => {
                if let Some(writing) = open.remove(from) {
                    open.insert(to.clone(), writing);
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Writing>> {
        // Every change is whole by itself, whoever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RemoveKind};

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const BOTH: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::Both));

    fn note(writers: &Writers, kind: EventKind, names: &[&str]) {
        writers.note(&names.iter().fold(Event::new(kind), |event, name| event.add_path(name.into())));
    }

    #[test]
    fn a_file_is_open_from_its_first_write_to_its_close_under_whatever_name() {
        let writers = Writers::default();
        let open = |name: &str| writers.of(Path::new(name)) == Writing::Open;
        for end in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Remove(RemoveKind::File),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
        ] {
            note(&writers, WRITTEN, &["/none/a"]);
            assert!(open("/none/a") && !open("/none/b"));
            note(&writers, end, &["/none/a"]);
            assert!(!open("/none/a"), "{end:?}");
            // Renamed without having been open.
            note(&writers, BOTH, &["/none/a", "/none/b"]);
            assert!(!open("/none/b"));
        }
        note(&writers, WRITTEN, &["/none/a"]);
        note(&writers, BOTH, &["/none/a", "/none/b"]);
        assert!(open("/none/b") && !open("/none/a"));
    }

    #[test]
    fn after_a_gap_an_open_file_is_in_doubt_until_something_is_told_of_it() {
        let writers = Writers::default();
        let of = |name: &str| writers.of(Path::new(name));
        for name in ["/none/a", "/none/b", "/none/c", "/other/a"] {
            note(&writers, WRITTEN, &[name]);
        }
        writers.doubt(Path::new("/none"));
        assert_eq!([of("/none/a"), of("/none/new"), of("/other/a")], [Writing::InDoubt, Writing::Closed, Writing::Open]);
        note(&writers, WRITTEN, &["/none/a"]);
        note(&writers, EventKind::Access(AccessKind::Close(AccessMode::Write)), &["/none/b"]);
        note(&writers, BOTH, &["/none/c", "/none/d"]);
        assert_eq!([of("/none/a"), of("/none/b"), of("/none/d")], [Writing::Open, Writing::Closed, Writing::InDoubt]);
    }

    #[test]
    fn what_is_never_closed_does_not_take_up_more_and_more_memory() {
        let writers = Writers::default();
        for number in 0..=MOST {
            note(&writers, WRITTEN, &[&format!("/none/{number}")]);
        }
        assert_eq!(writers.lock().len(), 1);
    }
}
