//! Work on a thread of its own, off the runtime, and whether that thread computes or is kept by the system.

use super::kernel::{is_in_system_call, this_thread};
use super::progress::{Progress, Silence, Watch};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Shorter computing is not worth asking the kernel about.
const MOMENT: Duration = Duration::from_secs(1);

/// A thread that does one piece of work.
#[derive(Debug)]
pub struct Thread {
    /// Its number; 0 before it begins.
    number: AtomicU32,
    /// Since when it has computed, as far as anybody looked.
    computes_since: Mutex<Instant>,
}

/// Begins `work`. It is watched, under `name`, for computing without an end; how long the system keeps it does not matter here, as a
/// restart does not make a share answer. Pictures of 64 megapixels take their time to decode and encode: each piece of work may take as
/// long as the loading of a bank.
pub fn begin<T: Send + 'static>(
    progress: &Arc<Progress>,
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> (JoinHandle<T>, Arc<Thread>, Watch) {
    let thread = Arc::new(Thread { number: AtomicU32::new(0), computes_since: Mutex::new(Instant::now()) });
    let (own, asked) = (Arc::clone(&thread), Arc::clone(&thread));
    let watch = progress.watch(name, move || Silence { silent_for: asked.computes_for(), long: true });
    let task = tokio::task::spawn_blocking(move || {
        own.number.store(this_thread(), Ordering::Release);
        work()
    });
    (task, thread, watch)
}

impl Thread {
    /// True when the system keeps it now.
    pub fn is_kept(&self) -> bool {
        match self.number.load(Ordering::Acquire) {
            0 => false,
            number => is_in_system_call(number),
        }
    }

    fn computes_for(&self) -> Duration {
        // One assignment is whole, whoever panicked.
        let mut since = self.computes_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.elapsed() >= MOMENT && self.is_kept() {
            *since = Instant::now();
        }
        since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::atomic::AtomicBool;

    #[tokio::test]
    async fn who_computes_without_an_end_is_stuck_and_who_waits_for_a_file_is_not() {
        let progress = Progress::new(Duration::from_millis(300));
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (reads, kept, _watch) = begin(&progress, "reads", move || reader.read(&mut [0]).is_ok());
        let goes_on = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&goes_on);
        let (computes, thread, watch) = begin(&progress, "computes", move || {
            while asked.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let begun = Instant::now();
        while !kept.is_kept() || progress.stuck().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stuck: Vec<_> = progress.stuck().into_iter().map(|stuck| stuck.worker).collect();
        assert_eq!(stuck, ["computes"]);
        assert!(!thread.is_kept());
        goes_on.store(false, Ordering::Relaxed);
        computes.await.unwrap();
        drop((watch, writer));
        assert_eq!(progress.stuck(), []);
        assert!(reads.await.unwrap());
    }
}
