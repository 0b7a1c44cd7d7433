//! The images that the previous daemon had in hand when it died.
//!
//! When an image kills the process (memory runs out, a library crashes), each new start would try it first, and the daemon would never
//! inspect anything again. The rule:
//!
//! - images that were in hand when the daemon died are suspects: they come after the others, one at a time, with nothing else in hand;
//! - an attempt that ends in any way but death clears them;
//! - a suspect that was alone in hand when the daemon died gets one more try, after the line has worked for ten seconds without it; when
//!   the daemon dies at that attempt too, the image is failed with `kills_the_daemon`;
//! - a requested stop, however it ends, and a machine that went down blame no image.

use crate::codes::{EventKind, ReasonCode};
use crate::history::InspectionQueue;
use crate::telemetry::{Event, Telemetry};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The name of this process in the histories that it works with.
static RUN: LazyLock<String> = LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(std::process::id())));

/// Finds and reports suspects, once for each history, before the first attempt of a line.
pub async fn look_for_deaths(queue: &InspectionQueue, telemetry: &Telemetry) {
    // Without a boot id from the kernel, every start counts as one of the same boot.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let aftermath = match queue.after_death(&RUN, boot.trim()).await {
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
        telemetry.events.tell(Event::new(EventKind::DaemonDied, detail)).await;
    }
    for killer in aftermath.failed {
        telemetry.status.failed();
        telemetry.counters.failed(&killer.product, ReasonCode::KillsTheDaemon);
        let detail = format!("{}: inspection {}: the daemon died at it again and again; look for the part", killer.image_path, killer.id);
        telemetry.events.tell(Event::new(EventKind::KillsTheDaemon, detail).of_product(&killer.product)).await;
    }
}
