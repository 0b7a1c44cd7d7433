//! Watches over the intake threads: one that hangs in a system call cannot tell of it itself.

use super::Line;
use crate::history::EventLevel;
use crate::intake::Pulse;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A folder that has not answered for this long is reported. Longer than a slow share takes to list a large folder.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How often the threads are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the status says of a drop folder.
pub(super) const STUCK: &str = "does not answer";

/// Runs until it is aborted; touches no folder itself.
pub(super) async fn run(line: Arc<Line>, threads: Vec<(PathBuf, Arc<Pulse>)>) {
    let mut stuck = HashSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        for (root, pulse) in &threads {
            let is_stuck = pulse.silent_for() >= STUCK_AFTER;
            if is_stuck && stuck.insert(root) {
                line.status.folder(root, STUCK, true);
                let detail =
                    format!("{}: does not answer; its new images wait, other folders go on; check the share or the disk", root.display());
                line.event(EventLevel::Error, "drop_folder_stuck", None, &detail).await;
            } else if !is_stuck && stuck.remove(root) {
                line.status.folder(root, STUCK, false);
                line.event(EventLevel::Info, "drop_folder_stuck_over", None, &format!("{}: answers again", root.display())).await;
            }
        }
    }
}
