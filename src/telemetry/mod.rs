//! The reports of the running program: the log, events, counters, the steps of its workers, and the health of folders and banks. It has no
//! business rule: the caller decides what a report means.

mod bank_health;
mod counters;
mod events;
mod folder_health;
mod line_status;
mod log;
mod progress;
mod rate;
mod waits;

pub use bank_health::BankHealth;
pub use counters::{Counters, NotRebuilt};
pub use events::{Event, EventRows, Events, NotRecorded};
pub use folder_health::{FolderFault, FolderHealth};
pub use line_status::LineStatus;
pub use log::start_log;
pub use progress::{Progress, Pulse, Silence, Stuck, Watch, Work};
pub use waits::{Waits, wait_in_words};

use std::sync::Arc;

/// All telemetry of one run of the line. It is cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Telemetry {
    /// What happened: a line of the log, a row of the history, and a counter.
    pub events: Events,
    /// The counters.
    pub counters: Arc<Counters>,
    /// What the line is doing, in one sentence.
    pub status: Arc<LineStatus>,
    /// Which workers have work and continue with it.
    pub progress: Arc<Progress>,
    /// Folders in trouble.
    pub folders: Arc<FolderHealth>,
    /// Banks in trouble.
    pub banks: Arc<BankHealth>,
    /// Images, defects and messages that have waited too long.
    pub waits: Arc<Waits>,
}

impl Telemetry {
    /// For a new line, with its events in `rows`. Counters and progress belong to the process.
    pub fn new(rows: Arc<dyn EventRows>, counters: Arc<Counters>, progress: Arc<Progress>) -> Self {
        let events = Events::new(rows, Arc::clone(&counters));
        let status = Arc::<LineStatus>::default();
        let banks = Arc::new(BankHealth::new(events.clone(), Arc::clone(&status)));
        Self { events, counters, status, progress, folders: Arc::default(), banks, waits: Arc::default() }
    }
}
