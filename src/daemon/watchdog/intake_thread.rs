//! The thread of a drop folder, and whether it is the folder that it waits for.

use super::super::kernel::is_in_system_call;
use super::super::progress::Silence;
use crate::intake::Pulse;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shorter silence is not worth asking the kernel about.
const MOMENT: Duration = Duration::from_secs(1);

/// One of them.
pub struct IntakeThread {
    root: PathBuf,
    pulse: Arc<Pulse>,
    /// When it was last seen waiting for its folder.
    waited: Mutex<Instant>,
}

impl IntakeThread {
    /// The thread of `root`, which stamps this pulse.
    pub fn new(root: PathBuf, pulse: Arc<Pulse>) -> Self {
        Self { root, pulse, waited: Mutex::new(Instant::now()) }
    }

    /// Its drop folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How long the present call to the folder has taken; zero when there is none.
    pub fn waits_for_folder(&self) -> Duration {
        let silent_for = self.pulse.silent_for();
        if silent_for >= MOMENT && self.is_kept() { silent_for } else { Duration::ZERO }
    }

    /// How long it has made no step without waiting for its folder.
    pub fn silence(&self) -> Silence {
        let waits = !self.waits_for_folder().is_zero();
        // One assignment is whole, whoever panicked.
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if waits {
            *waited = Instant::now();
        }
        Silence { silent_for: self.pulse.silent_for().min(waited.elapsed()), long: false }
    }

    fn is_kept(&self) -> bool {
        self.pulse.asks_for_watch() || is_in_system_call(self.pulse.thread())
    }
}
