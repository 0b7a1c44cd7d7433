//! Whether the thread of a drop folder still comes back from the system: on a hung share a call may never do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Stamped by the thread before each piece of file-system work; read by whoever watches over it.
#[derive(Debug)]
pub struct Pulse {
    begin: Instant,
    /// Milliseconds from `begin` to the last stamp; [`RESTING`] while the thread waits for something else than the file system.
    stamp: AtomicU64,
    /// Milliseconds from `begin` to the end of the last full scan.
    scanned: AtomicU64,
}

const RESTING: u64 = u64::MAX;

impl Default for Pulse {
    fn default() -> Self {
        Self { begin: Instant::now(), stamp: AtomicU64::new(RESTING), scanned: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// Work on the file system begins, or goes on.
    pub(super) fn work(&self) {
        self.stamp.store(self.now(), Ordering::Release);
    }

    /// The thread waits for hints or for its reports to be taken.
    pub(super) fn rest(&self) {
        self.stamp.store(RESTING, Ordering::Release);
    }

    /// A full scan has come to its end.
    pub(super) fn scanned(&self) {
        self.scanned.store(self.now(), Ordering::Release);
    }

    /// How long ago the last full scan ended; since the thread was made, when there was none.
    pub fn since_scan(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.scanned.load(Ordering::Acquire)))
    }

    /// How long the present piece of work has taken; zero when there is none.
    pub fn silent_for(&self) -> Duration {
        match self.stamp.load(Ordering::Acquire) {
            RESTING => Duration::ZERO,
            stamp => Duration::from_millis(self.now().saturating_sub(stamp)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(RESTING - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_does_not_go_on_is_silent() {
        let pulse = Pulse { begin: Instant::now() - Duration::from_secs(60), ..Pulse::default() };
        assert_eq!(pulse.silent_for(), Duration::ZERO);
        pulse.stamp.store(1, Ordering::Release);
        assert!(pulse.silent_for() >= Duration::from_secs(59));
        pulse.work();
        assert!(pulse.silent_for() < Duration::from_secs(59));
        pulse.stamp.store(1, Ordering::Release);
        pulse.rest();
        assert_eq!(pulse.silent_for(), Duration::ZERO);
    }

    #[test]
    fn a_scan_is_as_old_as_its_end() {
        let pulse = Pulse { begin: Instant::now() - Duration::from_secs(60), ..Pulse::default() };
        assert!(pulse.since_scan() >= Duration::from_secs(60));
        pulse.scanned();
        assert!(pulse.since_scan() < Duration::from_secs(59));
    }
}
