//! Free disk space, asked so that a share that hangs does not hold up the rest.

use crate::platform::disk_space::disk_space;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long all folders together have to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that are free for this user on the disk of each folder; a folder that is not there, or does not answer, is left out.
pub fn free_bytes(folders: BTreeSet<PathBuf>) -> BTreeMap<PathBuf, u64> {
    let (sender, answers) = mpsc::channel();
    for folder in folders {
        let sender = sender.clone();
        // A thread that hangs ends with the program.
        std::thread::spawn(move || {
            if let Ok(space) = disk_space(&folder) {
                let _ = sender.send((folder, space.free));
            }
        });
    }
    drop(sender);
    let deadline = Instant::now() + PATIENCE;
    std::iter::from_fn(|| answers.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()).collect()
}
