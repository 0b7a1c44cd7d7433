//! The background tasks of the daemon: one driver that knows each by name, the watchdog, incoming signals, and messages to systemd.

mod intake_thread;
mod signals;
mod systemd;
mod watchdog;
mod worker;

pub use signals::{Request, SignalRequests};
pub use systemd::{Phase, Systemd, tell_status};
pub use watchdog::{LOOK as WATCHDOG_LOOK, Watchdog};
pub use worker::{END_WORKER, Stage, Supervisor, Wakes, Worker, WorkerEnded};
