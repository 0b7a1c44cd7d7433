//! Cameras that write, a daemon that is killed, and the ledger that must come out even.

mod cameras;
mod crash_points;
mod kills;
mod ledger;
mod plant;
mod process;
mod soak;
