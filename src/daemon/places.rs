//! Folders that file work has trouble with, so that one that hangs or takes nothing holds up only its own images.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After a refused write the folder is left alone for this long: somebody has to make room or change a mount.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// The troubled folders: drop folders, `outputs.dir`s and bank folders. A folder without an entry is well.
#[derive(Debug, Default)]
pub struct Places {
    troubled: Mutex<HashMap<PathBuf, Trouble>>,
    /// Drop folders that were mount points when an image was last read there.
    mounts: Mutex<HashSet<PathBuf>>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Images whose file work there has not come back.
    waiting: usize,
    /// The kind of event with which its refusal to be written began, and when a write is tried again.
    refused: Option<(&'static str, Instant)>,
}

impl Places {
    /// Work in `folder` does not come back. True for the first.
    pub fn stuck(&self, folder: &Path) -> bool {
        let mut troubled = self.lock();
        let trouble = troubled.entry(folder.to_owned()).or_default();
        trouble.waiting += 1;
        trouble.waiting == 1
    }

    /// Work that was [`stuck`](Self::stuck) came back, with whatever outcome. True when nothing is stuck there any more.
    pub fn answered(&self, folder: &Path) -> bool {
        let mut troubled = self.lock();
        let Some(trouble) = troubled.get_mut(folder) else { return false };
        trouble.waiting = trouble.waiting.saturating_sub(1);
        let free = trouble.waiting == 0;
        if free && trouble.refused.is_none() {
            troubled.remove(folder);
        }
        free
    }

    /// `folder` cannot be written, for a reason that every image meets; `kind` is the word for it. True for the first.
    pub fn refused(&self, folder: &Path, kind: &'static str) -> bool {
        let again = Instant::now() + LEFT_ALONE;
        let before = self.lock().entry(folder.to_owned()).or_default().refused.replace((kind, again));
        before.is_none_or(|(before, _)| before != kind)
    }

    /// `folder` was written. The kind that was given when it refused, if it had.
    pub fn accepted(&self, folder: &Path) -> Option<&'static str> {
        let mut troubled = self.lock();
        let trouble = troubled.get_mut(folder)?;
        let (kind, _) = trouble.refused.take()?;
        if trouble.waiting == 0 {
            troubled.remove(folder);
        }
        Some(kind)
    }

    /// An image was read in `folder`.
    pub fn read_in(&self, folder: &Path, is_mount: bool) {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if is_mount && !mounts.contains(folder) {
            mounts.insert(folder.to_owned());
        } else if !is_mount {
            mounts.remove(folder);
        }
    }

    /// True when images were read in `folder` while something was mounted on it.
    pub fn was_mount(&self, folder: &Path) -> bool {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    /// The folders in which no work is to be begun now.
    pub fn to_avoid(&self) -> Vec<PathBuf> {
        let now = Instant::now();
        let avoid = |trouble: &Trouble| trouble.waiting > 0 || trouble.refused.is_some_and(|(_, again)| now < again);
        self.lock().iter().filter(|(_, trouble)| avoid(trouble)).map(|(folder, _)| folder.clone()).collect()
    }

    /// The folders in trouble, and the word for it.
    pub fn troubles(&self) -> Vec<(PathBuf, &'static str)> {
        let word = |trouble: &Trouble| trouble.refused.map_or("stuck", |(kind, _)| kind);
        self.lock().iter().map(|(folder, trouble)| (folder.clone(), word(trouble))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Trouble>> {
        // Every change is whole by itself, whoever panicked.
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_news_once_and_its_end_is_news_once() {
        let places = Places::default();
        let folder = Path::new("/share");
        assert!(places.stuck(folder) && !places.stuck(folder));
        assert_eq!(places.to_avoid(), [folder]);
        assert!(!places.answered(folder));
        assert_eq!(places.troubles(), [(folder.to_owned(), "stuck")]);
        assert!(places.refused(folder, "disk_full") && !places.refused(folder, "disk_full"));
        assert_eq!(places.troubles(), [(folder.to_owned(), "disk_full")]);
        assert!(places.answered(folder));
        assert_eq!(places.to_avoid(), [folder], "still full");
        assert!(places.refused(folder, "not_writable"), "another trouble is news");
        assert_eq!(places.accepted(folder), Some("not_writable"));
        assert_eq!(places.accepted(folder), None);
        assert!(places.to_avoid().is_empty() && places.lock().is_empty());
    }
}
