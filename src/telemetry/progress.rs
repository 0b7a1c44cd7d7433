//! Which workers have work and make progress: the watchdog of systemd depends on it.
//!
//! A worker without work is healthy, however long it waits. A worker with work is stuck when it has made no step for the watchdog's time.
//! The default of 60 s is a hundred times the slowest step ever measured (an image at `shorter: 1024` with the largest bank: 0.4 s).
//! While networks and banks are read from the disk, a step may take [`LONG`] times that: a bank of 560 MB at 2 MB/s.

use crate::platform::folder_io::WorkThread;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How many times longer a step may take that reads a network or a bank.
const LONG: u32 = 5;

/// All workers that are watched.
#[derive(Debug)]
pub struct Progress {
    /// How long a step may take.
    limit: Duration,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    last_id: u64,
    workers: BTreeMap<u64, Worker>,
}

struct Worker {
    name: String,
    silence: Box<dyn Fn() -> Silence + Send + Sync>,
}

/// How long a worker has been silent, and whether its present step may take longer than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The time since its last step; zero without work.
    pub silent_for: Duration,
    /// The current step reads a network or a bank.
    pub long: bool,
}

/// A worker that has work and makes no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub worker: String,
    /// The time since its last step.
    pub silent_for: Duration,
}

/// Ends the watch over a worker when dropped.
#[derive(Debug)]
pub struct Watch {
    progress: Weak<Progress>,
    id: u64,
}

impl Progress {
    /// No workers yet; a step may take as long as `limit`.
    pub fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { limit, watched: Mutex::default() })
    }

    /// How long a step may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Watches a worker by asking for its silence; `silence` must answer at once.
    pub fn watch(self: &Arc<Self>, name: impl Into<String>, silence: impl Fn() -> Silence + Send + Sync + 'static) -> Watch {
        let mut watched = self.lock();
        watched.last_id += 1;
        let id = watched.last_id;
        watched.workers.insert(id, Worker { name: name.into(), silence: Box::new(silence) });
        Watch { progress: Arc::downgrade(self), id }
    }

    /// Watches a worker that reports its steps through the pulse.
    pub fn worker(self: &Arc<Self>, name: impl Into<String>) -> (Arc<Pulse>, Watch) {
        let pulse = Arc::<Pulse>::default();
        let asked = Arc::clone(&pulse);
        let watch = self.watch(name, move || asked.silence());
        (pulse, watch)
    }

    /// Watches the thread of work in a folder for an endless computation. The time that the kernel keeps the thread does not count: a
    /// restart does not make a share answer. A picture of 64 megapixels takes long to decode and encode, so each task may take as long as
    /// the loading of a bank.
    pub fn watch_thread(self: &Arc<Self>, name: impl Into<String>, thread: Arc<WorkThread>) -> Watch {
        self.watch(name, move || Silence { silent_for: thread.computes_for(), long: true })
    }

    /// The workers that are stuck now.
    pub fn stuck(&self) -> Vec<Stuck> {
        let watched = self.lock();
        let overdue = watched.workers.values().filter_map(|worker| {
            let Silence { silent_for, long } = (worker.silence)();
            let limit = if long { self.limit * LONG } else { self.limit };
            (silent_for >= limit).then(|| Stuck { worker: worker.name.clone(), silent_for })
        });
        overdue.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock()
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(progress) = self.progress.upgrade() {
            progress.lock().workers.remove(&self.id);
        }
    }
}

/// The steps of one worker.
#[derive(Debug)]
pub struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The number of tasks that have begun, or wait to begin.
    work: usize,
    step: Instant,
    long: bool,
}

/// One task; it ends when this is dropped.
#[derive(Debug)]
pub struct Work(Arc<Pulse>);

impl Default for Pulse {
    fn default() -> Self {
        Self { state: Mutex::new(State { work: 0, step: Instant::now(), long: false }) }
    }
}

impl Pulse {
    /// There is work from now on, even if the worker has not noticed it yet.
    pub fn begin(self: &Arc<Self>) -> Work {
        let mut state = self.lock();
        if state.work == 0 {
            state.step = Instant::now();
        }
        state.work += 1;
        drop(state);
        Work(Arc::clone(self))
    }

    /// The work continues.
    pub fn step(&self) {
        self.next_step(false);
    }

    /// The work continues, and reads a network or a bank next.
    pub fn long_step(&self) {
        self.next_step(true);
    }

    fn next_step(&self, long: bool) {
        let mut state = self.lock();
        state.step = Instant::now();
        state.long = long;
    }

    fn silence(&self) -> Silence {
        let state = self.lock();
        let silent_for = if state.work == 0 { Duration::ZERO } else { state.step.elapsed() };
        Silence { silent_for, long: state.long }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.step();
        let mut state = self.0.lock();
        state.work = state.work.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn ago(pulse: &Pulse, time: Duration) {
        pulse.lock().step = Instant::now() - time;
    }

    #[test]
    fn only_a_worker_that_has_work_and_makes_no_step_is_stuck() {
        let progress = Progress::new(LIMIT);
        let (pulse, watch) = progress.worker("engine");
        ago(&pulse, LIMIT * 10);
        assert_eq!(progress.stuck(), [], "it has no work");
        let (first, second) = (pulse.begin(), pulse.begin());
        assert_eq!(progress.stuck(), [], "its work begins");
        ago(&pulse, LIMIT);
        let third = pulse.begin();
        let stuck = progress.stuck();
        assert_eq!((stuck.len(), stuck[0].worker.as_str()), (1, "engine"), "more work is no step");
        assert!(stuck[0].silent_for >= LIMIT);
        drop(first);
        assert_eq!(progress.stuck(), [], "an end is a step");
        ago(&pulse, LIMIT);
        pulse.step();
        assert_eq!(progress.stuck(), []);
        ago(&pulse, LIMIT);
        drop((second, third));
        ago(&pulse, LIMIT);
        assert_eq!(progress.stuck(), [], "all is done");
        let _work = pulse.begin();
        ago(&pulse, LIMIT);
        drop(watch);
        assert_eq!(progress.stuck(), [], "nobody watches any more");
    }

    #[test]
    fn reading_a_bank_may_take_longer_than_an_image() {
        let progress = Progress::new(LIMIT);
        let (pulse, _watch) = progress.worker("engine");
        let _work = pulse.begin();
        pulse.long_step();
        ago(&pulse, LIMIT * (LONG - 1));
        assert_eq!(progress.stuck(), []);
        ago(&pulse, LIMIT * LONG);
        assert_eq!(progress.stuck().len(), 1);
        pulse.step();
        ago(&pulse, LIMIT);
        assert_eq!(progress.stuck().len(), 1, "the bank is read, and the image is not scored");
    }
}

#[cfg(test)]
mod thread_tests {
    use super::*;
    use crate::platform::folder_io::FolderWork;
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn who_computes_without_an_end_is_stuck_and_who_waits_for_a_file_is_not() {
        let progress = Progress::new(Duration::from_millis(300));
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut reads = FolderWork::begin(move || reader.read(&mut [0]).is_ok());
        let kept = reads.thread();
        let _watch = progress.watch_thread("reads", Arc::clone(&kept));
        let goes_on = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&goes_on);
        let mut computes = FolderWork::begin(move || {
            while asked.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let thread = computes.thread();
        let watch = progress.watch_thread("computes", Arc::clone(&thread));
        let begun = Instant::now();
        while !kept.is_kept() || progress.stuck().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stuck: Vec<_> = progress.stuck().into_iter().map(|stuck| stuck.worker).collect();
        assert_eq!(stuck, ["computes"]);
        assert!(!thread.is_kept());
        goes_on.store(false, Ordering::Relaxed);
        computes.end().await.unwrap();
        drop((watch, writer));
        assert_eq!(progress.stuck(), []);
        assert!(reads.end().await.unwrap());
    }
}
