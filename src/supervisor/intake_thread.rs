//! The thread of a drop folder, and whether it is waiting for the folder.

use crate::intake::IntakePulse;
use crate::platform::kernel::is_in_system_call;
use crate::telemetry::Silence;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The daemon does not ask the kernel about a shorter silence.
const MOMENT: Duration = Duration::from_secs(1);

/// The thread of a folder.
pub struct IntakeThread {
    root: PathBuf,
    pulse: Arc<IntakePulse>,
    /// When the thread was last seen waiting for its folder.
    waited: Mutex<Instant>,
}

impl IntakeThread {
    /// The thread of `root`, with its pulse.
    pub fn new(root: PathBuf, pulse: Arc<IntakePulse>) -> Self {
        Self { root, pulse, waited: Mutex::new(Instant::now()) }
    }

    /// Its drop folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How long the current call to the folder has taken; zero without a call.
    pub fn waits_for_folder(&self) -> Duration {
        let silent_for = self.pulse.silent_for();
        if silent_for >= MOMENT && self.is_kept() { silent_for } else { Duration::ZERO }
    }

    /// How long it has made no step although it did not wait for its folder.
    pub fn silence(&self) -> Silence {
        let waits = !self.waits_for_folder().is_zero();
        let mut waited = self.waited.lock();
        if waits {
            *waited = Instant::now();
        }
        Silence { silent_for: self.pulse.silent_for().min(waited.elapsed()), long: false }
    }

    fn is_kept(&self) -> bool {
        self.pulse.asks_for_watch() || is_in_system_call(self.pulse.thread())
    }
}
