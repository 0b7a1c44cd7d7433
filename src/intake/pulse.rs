//! Whether the thread of a drop folder still returns from system calls: on a hung share, a call may never return.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The thread stamps it before each piece of file-system work; the watchdog reads it.
#[derive(Debug)]
pub struct IntakePulse {
    begin: Instant,
    /// Milliseconds from `begin` to the last stamp; [`RESTING`] while the thread waits until its reports are taken.
    stamp: AtomicU64,
    /// The thread's number; 0 before it runs.
    thread: AtomicU32,
    asks_for_watch: AtomicBool,
    has_ended: AtomicBool,
    /// Milliseconds from `begin` to the end of the last full scan.
    scanned: AtomicU64,
}

const RESTING: u64 = u64::MAX;

impl Default for IntakePulse {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            stamp: AtomicU64::new(RESTING),
            thread: AtomicU32::new(0),
            asks_for_watch: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            scanned: AtomicU64::new(0),
        }
    }
}

impl IntakePulse {
    /// The calling thread is the one that stamps.
    pub(super) fn begin_thread(&self) {
        self.thread.store(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(), Ordering::Release);
    }

    /// The thread has ended, in whatever way.
    pub(super) fn end_thread(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// True once the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Its number; 0 before it runs.
    pub fn thread(&self) -> u32 {
        self.thread.load(Ordering::Acquire)
    }

    /// Sets a watch. Another thread makes the system call, and this thread waits for it.
    pub(super) fn asking_for_watch<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.asks_for_watch.store(true, Ordering::Release);
        let answer = ask();
        self.asks_for_watch.store(false, Ordering::Release);
        answer
    }

    /// True while the thread waits for a watch to be set.
    pub fn asks_for_watch(&self) -> bool {
        self.asks_for_watch.load(Ordering::Acquire)
    }

    /// Work begins or continues.
    pub(super) fn work(&self) {
        self.stamp.store(self.now(), Ordering::Release);
    }

    /// The thread waits until its reports are taken.
    pub(super) fn rest(&self) {
        self.stamp.store(RESTING, Ordering::Release);
    }

    /// A full scan has ended.
    pub(super) fn scanned(&self) {
        self.scanned.store(self.now(), Ordering::Release);
    }

    /// The time since the last full scan ended; without one, since the thread was made.
    pub fn since_scan(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.scanned.load(Ordering::Acquire)))
    }

    /// How long the present work has taken; zero when there is none.
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
        let pulse = IntakePulse { begin: Instant::now() - Duration::from_secs(60), ..IntakePulse::default() };
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
        let pulse = IntakePulse { begin: Instant::now() - Duration::from_secs(60), ..IntakePulse::default() };
        assert!(pulse.since_scan() >= Duration::from_secs(60));
        pulse.scanned();
        assert!(pulse.since_scan() < Duration::from_secs(59));
    }
}
