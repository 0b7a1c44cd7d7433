//! Which files are being written.
//!
//! A writer that allots the space of its file first and pauses before the last bytes leaves nothing to see: the size is right, there is
//! no hole, and an uncompressed picture decodes, with black rows. Only the close tells that it is whole. inotify tells of every write and
//! close in a watched folder, whoever the writer is: a file that was written to and not closed since is open.
//!
//! Not known is what was opened before the folder was watched or while events were lost, and who writes on the far side of a share.
//! The kernel could be asked through file leases, but it answers only the owner of a file.

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Far more files than are ever written at once. Past this bound all is forgotten, and a file in hand is taken for closed as if it had
/// been opened before the folder was watched.
const MOST: usize = 10_000;

/// The files in all drop folders that were seen written to and not closed since.
#[derive(Debug, Default)]
pub struct Writers {
    open: Mutex<HashSet<PathBuf>>,
}

impl Writers {
    /// True when somebody has the file open for writing, as far as events told.
    pub fn has_open(&self, path: &Path) -> bool {
        self.lock().contains(path)
    }

    /// Nothing is known any more of files below `root`: events were lost, or another folder stands there.
    pub(super) fn forget(&self, root: &Path) {
        self.lock().retain(|path| !path.starts_with(root));
    }

    pub(super) fn note(&self, event: &Event) {
        let mut open = self.lock();
        match (event.kind, event.paths.as_slice()) {
            (EventKind::Modify(ModifyKind::Data(_)), [path]) if !open.contains(path) => {
                if open.len() >= MOST {
                    open.clear();
                }
                open.insert(path.clone());
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
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) if open.remove(from) => {
                open.insert(to.clone());
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
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
        let open = |name: &str| writers.has_open(Path::new(name));
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
        note(&writers, WRITTEN, &["/other/a"]);
        writers.forget(Path::new("/none"));
        assert!(open("/other/a") && !open("/none/b"));
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
