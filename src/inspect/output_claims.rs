//! Who may touch the outputs of an image: one task writes them, or one task deletes the old ones, but never both.
//!
//! A camera uses its names again, so new outputs may replace old ones at the moment when these are to be deleted.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every answer of the history that a task still acts on includes older writes.
const REMEMBERED: Duration = Duration::from_secs(60);
/// At this many writes, the old ones are forgotten.
const CLEAR_EVERY: usize = 1000;

/// The images, by their paths, whose outputs are being written or deleted, or were written recently.
#[derive(Debug, Default)]
pub struct OutputClaims {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: HashSet<PathBuf>,
    written: HashMap<PathBuf, Instant>,
}

/// The holder owns the outputs of one image until it drops this claim.
#[derive(Debug)]
pub struct OutputClaim<'a> {
    claims: &'a OutputClaims,
    image: &'a Path,
    writes: bool,
}

impl OutputClaims {
    /// To write the outputs of this image. Waits, outside the runtime, while the old ones are deleted.
    pub fn to_write<'a>(&'a self, image: &'a Path) -> OutputClaim<'a> {
        let mut state = self.lock();
        while state.taken.contains(image) {
            self.freed.wait(&mut state);
        }
        state.taken.insert(image.to_owned());
        OutputClaim { claims: self, image, writes: true }
    }

    /// To delete the outputs that the history knew at `asked`; `None` when they are being written, or were since.
    pub fn to_delete<'a>(&'a self, image: &'a Path, asked: Instant) -> Option<OutputClaim<'a>> {
        let mut state = self.lock();
        let fresh = state.taken.contains(image) || state.written.get(image).is_some_and(|at| *at >= asked);
        (!fresh).then(|| {
            state.taken.insert(image.to_owned());
            OutputClaim { claims: self, image, writes: false }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for OutputClaim<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.lock();
        state.taken.remove(self.image);
        if self.writes {
            if state.written.len() >= CLEAR_EVERY {
                state.written.retain(|_, at| at.elapsed() < REMEMBERED);
            }
            state.written.insert(self.image.to_owned(), Instant::now());
        }
        self.claims.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_not_deleted_while_they_are_written_nor_on_the_word_of_before() {
        let (writing, image, other) = (OutputClaims::default(), Path::new("/a"), Path::new("/b"));
        let before = Instant::now();
        let taken = writing.to_write(image);
        assert!(writing.to_delete(image, Instant::now()).is_none());
        assert!(writing.to_delete(other, before).is_some());
        drop(taken);
        assert!(writing.to_delete(image, before).is_none());
        let deleting = writing.to_delete(image, Instant::now()).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| drop(writing.to_write(image)));
            assert!(!writer.is_finished());
            drop(deleting);
        });
        assert!(writing.to_delete(image, before).is_none());
    }
}
