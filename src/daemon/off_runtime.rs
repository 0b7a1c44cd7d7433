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
