//! Which files are being written.
//!
//! Some writers reserve the space of a file first and pause before the last bytes. Then the size is right, there is no hole, and an
//! uncompressed image decodes, with black rows. Only the close shows that it is whole. inotify reports every write and close in a watched
//! folder, whoever the writer is: a file that was written and not closed since is open.
//!
//! inotify does not know about files that were opened before the folder was watched or while events were lost, nor about writers on the far
//! side of a share. File leases would show them, but the kernel answers only the owner of a file.
//!
//! After a gap in the events (the kernel's queue overflowed, or the watches had to be set again), a file that was open before is in doubt:
//! its close may have been in the gap. The daemon waits for it like for an open file. When the file has not changed for
//! `intake.give_up_after`, which is longer than any pause of its writer, it counts as closed. So a whole file never fails because an event
//! is missing.

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Far more files than are ever written at once. Above this limit everything is forgotten, and a file counts as closed, as if it had been
/// opened before the folder was watched.
const MOST: usize = 10_000;

/// Whether somebody has a file open for writing, as far as the events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterState {
    /// Nobody, as far as the daemon knows.
    Closed,
    /// Somebody has it open.
    Open,
    /// Somebody had it open before events were lost.
    InDoubt,
}

/// The files in all drop folders that were written and not closed since.
#[derive(Debug, Default)]
pub struct Writers {
    open: Mutex<HashMap<PathBuf, WriterState>>,
}

impl Writers {
    /// The state of this file.
    pub fn of(&self, path: &Path) -> WriterState {
        self.lock().get(path).copied().unwrap_or(WriterState::Closed)
    }

    /// Events of files below `root` were lost, or may be lost from now on.
    pub(super) fn doubt(&self, root: &Path) {
        self.lock().iter_mut().filter(|(path, _)| path.starts_with(root)).for_each(|(_, writing)| *writing = WriterState::InDoubt);
    }

    pub(super) fn note(&self, event: &Event) {
        let mut open = self.lock();
        match (event.kind, event.paths.as_slice()) {
            (EventKind::Modify(ModifyKind::Data(_)), [path]) if open.get(path) != Some(&WriterState::Open) => {
                if open.len() >= MOST {
                    open.clear();
                }
                open.insert(path.clone(), WriterState::Open);
            }
            // The file is complete or gone, or another file has taken its name.
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Remove(_)
                | EventKind::Create(_)
                | EventKind::Modify(ModifyKind::Name(RenameMode::To)),
                [path],
            ) => {
                open.remove(path);
            }
            // This event follows the two halves of a rename. The writer continues under the new name.
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) => {
                if let Some(writing) = open.remove(from) {
                    open.insert(to.clone(), writing);
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, WriterState>> {
        self.open.lock()
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
        let open = |name: &str| writers.of(Path::new(name)) == WriterState::Open;
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
            // Renamed while it was not open.
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
        assert_eq!([of("/none/a"), of("/none/new"), of("/other/a")], [WriterState::InDoubt, WriterState::Closed, WriterState::Open]);
        note(&writers, WRITTEN, &["/none/a"]);
        note(&writers, EventKind::Access(AccessKind::Close(AccessMode::Write)), &["/none/b"]);
        note(&writers, BOTH, &["/none/c", "/none/d"]);
        assert_eq!([of("/none/a"), of("/none/b"), of("/none/d")], [WriterState::Open, WriterState::Closed, WriterState::InDoubt]);
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
