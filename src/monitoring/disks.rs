//! DiskSpace on the disks of folders, asked so that a share that hangs costs one thread and nothing else.

use crate::platform::disk_space::{DiskSpace, disk_space};
use crate::platform::folder_io::FolderWork;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long all folders together have to answer; who is later is heard at the next question.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer is good for this long.
const FRESH: Duration = Duration::from_secs(10);
/// An answer that could not be had anew is told for this long.
const STALE: Duration = Duration::from_secs(60);

/// What is known of each folder.
#[derive(Debug, Default)]
pub struct DiskAnswers {
    known: Arc<Mutex<BTreeMap<PathBuf, Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// A question has not been answered yet.
    asked: bool,
    answer: Option<(Instant, Option<DiskSpace>)>,
}

impl DiskAnswers {
    /// The space of each of these folders; one that is not there, or does not answer, is left out.
    pub async fn space(&self, folders: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, DiskSpace> {
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

    async fn question(&self, folder: PathBuf) {
        let known = Arc::clone(&self.known);
        let mut asked = FolderWork::begin(move || {
            let space = disk_space(&folder).ok();
            if let Some(entry) = lock(&known).get_mut(&folder) {
                *entry = Known { asked: false, answer: Some((Instant::now(), space)) };
            }
        });
        let _ = asked.end().await;
    }
}

fn lock(known: &Mutex<BTreeMap<PathBuf, Known>>) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
    known.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_that_are_there_answer() {
        let folder = tempfile::tempdir().unwrap();
        let disks = DiskAnswers::default();
        let asked = BTreeSet::from([folder.path().to_owned(), folder.path().join("missing")]);
        let space = disks.space(&asked).await;
        assert_eq!(space.keys().collect::<Vec<_>>(), [folder.path()]);
        let DiskSpace { free, total, .. } = space[folder.path()];
        assert!(free > 0 && total >= free);
        assert!(disks.space(&BTreeSet::new()).await.is_empty() && lock(&disks.known).is_empty(), "what nobody asks for is forgotten");
    }
}
