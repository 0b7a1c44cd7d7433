//! Space on the disks of folders, asked so that a share that hangs costs one thread and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long all folders together have to answer; who is later is heard at the next question.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer is good for this long.
const FRESH: Duration = Duration::from_secs(10);
/// An answer that could not be had anew is told for this long.
const STALE: Duration = Duration::from_secs(60);

/// The disk of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes free for this user.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
}

/// What is known of each folder.
#[derive(Debug, Default)]
pub struct Disks {
    known: Arc<Mutex<BTreeMap<PathBuf, Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// A question has not been answered yet.
    asked: bool,
    answer: Option<(Instant, Option<Space>)>,
}

impl Disks {
    /// The space of each of these folders; one that is not there, or does not answer, is left out.
    pub async fn space(&self, folders: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Space> {
        let mut questions = Vec::new();
        {
            let mut known = lock(&self.known);
            known.retain(|folder, known| folders.contains(folder) || known.asked);
            for folder in folders {
                let entry = known.entry(folder.clone()).or_default();
                let fresh = entry.answer.is_some_and(|(at, _)| at.elapsed() < FRESH);
                if !fresh && !std::mem::replace(&mut entry.asked, true) {
                    questions.push(self.question(folder.clone()));
                }
            }
        }
        let _ = tokio::time::timeout(PATIENCE, futures::future::join_all(questions)).await;
        let known = lock(&self.known);
        let answer = |folder: &PathBuf| {
            let (at, space) = known.get(folder)?.answer?;
            Some((folder.clone(), space.filter(|_| at.elapsed() < STALE)?))
        };
        folders.iter().filter_map(answer).collect()
    }

    fn question(&self, folder: PathBuf) -> tokio::task::JoinHandle<()> {
        let known = Arc::clone(&self.known);
        tokio::task::spawn_blocking(move || {
            let space = ask(&folder);
            if let Some(entry) = lock(&known).get_mut(&folder) {
                *entry = Known { asked: false, answer: Some((Instant::now(), space)) };
            }
        })
    }
}

fn ask(folder: &Path) -> Option<Space> {
    let space = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Some(Space { free: bytes(space.f_bavail), size: bytes(space.f_blocks) })
}

fn lock(known: &Mutex<BTreeMap<PathBuf, Known>>) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
    // Every change is whole by itself, whoever panicked.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_that_are_there_answer() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::default();
        let asked = BTreeSet::from([folder.path().to_owned(), folder.path().join("missing")]);
        let space = disks.space(&asked).await;
        assert_eq!(space.keys().collect::<Vec<_>>(), [folder.path()]);
        let Space { free, size } = space[folder.path()];
        assert!(free > 0 && size >= free);
        assert!(disks.space(&BTreeSet::new()).await.is_empty() && lock(&disks.known).is_empty(), "what nobody asks for is forgotten");
    }
}
