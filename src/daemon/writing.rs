//! Who may touch the outputs of an image: one writes them, or one deletes those of before, and never both.
//!
//! A camera uses its names again, so that outputs of a fresh decision replace those of an old one, perhaps in the moment in which these
//! are to be deleted.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was written longer ago is in every answer of the history that anybody still acts on.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Writings after which those that need not be remembered are forgotten.
const CLEAR_EVERY: usize = 1000;

/// The images, by their paths, whose outputs are being written or deleted, or were written of late.
#[derive(Debug, Default)]
pub struct Writing {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: HashSet<PathBuf>,
    written: HashMap<PathBuf, Instant>,
}

/// The outputs of one image belong to its holder until it is dropped.
#[derive(Debug)]
pub struct Taken<'a> {
    writing: &'a Writing,
    image: &'a Path,
    writes: bool,
}

impl Writing {
    /// To write the outputs of this image. Waits, off the runtime, while those of before are deleted.
    pub fn to_write<'a>(&'a self, image: &'a Path) -> Taken<'a> {
        let mut state = self.lock();
        while state.taken.contains(image) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.taken.insert(image.to_owned());
        Taken { writing: self, image, writes: true }
    }

    /// To delete the outputs that the history knew at `asked`; `None` when they are being written, or were since.
    pub fn to_delete<'a>(&'a self, image: &'a Path, asked: Instant) -> Option<Taken<'a>> {
        let mut state = self.lock();
        let fresh = state.taken.contains(image) || state.written.get(image).is_some_and(|at| *at >= asked);
        (!fresh).then(|| {
            state.taken.insert(image.to_owned());
            Taken { writing: self, image, writes: false }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.writing.lock();
        state.taken.remove(self.image);
        if self.writes {
            if state.written.len() >= CLEAR_EVERY {
                state.written.retain(|_, at| at.elapsed() < REMEMBERED);
            }
            state.written.insert(self.image.to_owned(), Instant::now());
        }
        self.writing.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_not_deleted_while_they_are_written_nor_on_the_word_of_before() {
        let (writing, image, other) = (Writing::default(), Path::new("/a"), Path::new("/b"));
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
