//! What the daemon before this one left in hand when it died.
//!
//! An image that kills the process (for want of memory, or by a crash of a library) would otherwise be the first to be tried at every
//! start, and nothing would ever be inspected again. The rule:
//!
//! - images that were in hand when the daemon died are suspects: they come after the others, one at a time, with nothing else in hand;
//! - an attempt that ends in any way but death clears them;
//! - one that was alone in hand when the daemon died is tried once more, after the line has worked for ten seconds without it; when the
//!   daemon dies at that attempt too, the image is failed with `kills_the_daemon`;
//! - a stop that was asked for, however it ends, and a machine that went down blame nobody.

use super::Line;
use crate::codes::{EventKind, ReasonCode};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The name of this process among those that worked with a history.
static RUN: LazyLock<String> = LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(std::process::id())));

/// Sees to it, once for each history; before the first attempt of a line.
pub(super) async fn look(line: &Line) {
    // Where the kernel does not say it, every start is taken for one of the same machine.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let aftermath = match line.store.after_death(&RUN, boot.trim()).await {
        Ok(aftermath) => aftermath,
        Err(error) => {
            return tracing::error!(%error, "what was in hand when the daemon died is not known; its images are tried as all others");
        }
    };
    if aftermath.suspects > 0 {
        let detail = format!(
            "the daemon before this one died with {} images in hand; they are tried after the others, one at a time",
            aftermath.suspects
        );
        line.event(EventKind::DaemonDied, None, &detail).await;
    }
    for killer in aftermath.failed {
        line.status.failed();
        line.meters.failed(&killer.product, ReasonCode::KillsTheDaemon);
        let detail = format!("{}: inspection {}: the daemon died at it again and again; look for the part", killer.image_path, killer.id);
        line.event(EventKind::KillsTheDaemon, Some(&killer.product), &detail).await;
    }
}
