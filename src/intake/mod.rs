//! How files become arrivals: scans find every file, inotify only makes them earlier, and settling decides when a file is complete.
//!
//! One [`RootWorker`] thread per drop folder makes all file-system calls of that folder, so a hung share holds up no other folder. It does
//! not know products: [`Classify`] tells it which names matter and how they become ready, [`Enters`] which folders.

mod content;
mod inotify;
mod marker;
mod mounts;
mod pulse;
mod report;
mod root;
mod scan;
mod settle;
mod spec;
mod worker;
mod writers;

pub use content::{Content, content_of};
pub use marker::has_stale_marker;
pub use pulse::IntakePulse;
pub use report::{FoundFile, IntakeReport};
pub use root::RootWorker;
pub use scan::{FileId, file_id_of, file_state, file_version, version_of};
pub use settle::FileVersion;
pub use spec::{Classify, Enters, RootSpec};
pub use writers::{WriterState, Writers};
