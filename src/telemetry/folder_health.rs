//! Folders in trouble. A folder that does not answer or takes no files must hold up only its own images.

use crate::domain::WriteTrouble;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The daemon leaves a folder alone for this long after a refused write: a person must make room or change a mount.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// The troubled folders: drop folders, `outputs.dir`s and bank folders. A folder without an entry is well.
#[derive(Debug, Default)]
pub struct FolderHealth {
    troubled: Mutex<HashMap<PathBuf, Trouble>>,
    /// Drop folders that were mount points when an image was last read there.
    mounts: Mutex<HashSet<PathBuf>>,
}

/// What is wrong with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderFault {
    /// It does not answer.
    NoAnswer,
    /// It does not take what is written to it.
    Write(WriteTrouble),
}

#[derive(Debug, Default)]
struct Trouble {
    /// Images whose file work there has not come back.
    waiting: usize,
    /// Why it refuses writes, and when a write is tried again.
    refused: Option<(WriteTrouble, Instant)>,
}

impl FolderHealth {
    /// Work in `folder` does not come back. True for the first one.
    pub fn stuck(&self, folder: &Path) -> bool {
        let mut troubled = self.lock();
        let trouble = troubled.entry(folder.to_owned()).or_default();
        trouble.waiting += 1;
        trouble.waiting == 1
    }

    /// Work that was [`stuck`](Self::stuck) came back, with any outcome. True when no work is stuck there any more.
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

    /// `folder` cannot be written, for a reason that affects every image. True for the first one.
    pub fn refused(&self, folder: &Path, trouble: WriteTrouble) -> bool {
        let again = Instant::now() + LEFT_ALONE;
        let before = self.lock().entry(folder.to_owned()).or_default().refused.replace((trouble, again));
        before.is_none_or(|(before, _)| before != trouble)
    }

    /// `folder` was written. Returns why it refused before, if it did.
    pub fn accepted(&self, folder: &Path) -> Option<WriteTrouble> {
        let mut troubled = self.lock();
        let trouble = troubled.get_mut(folder)?;
        let (why, _) = trouble.refused.take()?;
        if trouble.waiting == 0 {
            troubled.remove(folder);
        }
        Some(why)
    }

    /// An image was read in `folder`.
    pub fn read_in(&self, folder: &Path, is_mount: bool) {
        let mut mounts = self.mounts.lock();
        if is_mount && !mounts.contains(folder) {
            mounts.insert(folder.to_owned());
        } else if !is_mount {
            mounts.remove(folder);
        }
    }

    /// True when images were read in `folder` while something was mounted on it.
    pub fn was_mount(&self, folder: &Path) -> bool {
        self.mounts.lock().contains(folder)
    }

    /// The folders in which no work should begin now.
    pub fn to_avoid(&self) -> Vec<PathBuf> {
        let now = Instant::now();
        let avoid = |trouble: &Trouble| trouble.waiting > 0 || trouble.refused.is_some_and(|(_, again)| now < again);
        self.lock().iter().filter(|(_, trouble)| avoid(trouble)).map(|(folder, _)| folder.clone()).collect()
    }

    /// The folders that do not answer now.
    pub fn stuck_now(&self) -> Vec<PathBuf> {
        self.lock().iter().filter(|(_, trouble)| trouble.waiting > 0).map(|(folder, _)| folder.clone()).collect()
    }

    /// The folders in trouble, and what is wrong with each.
    pub fn faults(&self) -> Vec<(PathBuf, FolderFault)> {
        let fault = |trouble: &Trouble| trouble.refused.map_or(FolderFault::NoAnswer, |(trouble, _)| FolderFault::Write(trouble));
        self.lock().iter().map(|(folder, trouble)| (folder.clone(), fault(trouble))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Trouble>> {
        self.troubled.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_news_once_and_its_end_is_news_once() {
        let places = FolderHealth::default();
        let folder = Path::new("/share");
        assert!(places.stuck(folder) && !places.stuck(folder));
        assert_eq!((places.to_avoid(), places.stuck_now()), (vec![folder.to_owned()], vec![folder.to_owned()]));
        assert!(!places.answered(folder));
        assert_eq!(places.faults(), [(folder.to_owned(), FolderFault::NoAnswer)]);
        assert!(places.refused(folder, WriteTrouble::DiskFull) && !places.refused(folder, WriteTrouble::DiskFull));
        assert_eq!(places.faults(), [(folder.to_owned(), FolderFault::Write(WriteTrouble::DiskFull))]);
        assert!(places.answered(folder));
        assert_eq!(places.to_avoid(), [folder], "still full");
        assert!(places.stuck_now().is_empty(), "it answers that it is full");
        assert!(places.refused(folder, WriteTrouble::NotWritable), "another trouble is news");
        assert_eq!(places.accepted(folder), Some(WriteTrouble::NotWritable));
        assert_eq!(places.accepted(folder), None);
        assert!(places.to_avoid().is_empty() && places.lock().is_empty());
    }
}
