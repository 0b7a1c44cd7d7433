//! How files become arrivals: scans are the truth, inotify only wakes them, settling decides when a file is complete.
//!
//! One [`RootWorker`] thread per drop folder does every file-system call of that folder, so that a hung share holds up
//! nobody else. It knows nothing of products: [`Classify`] tells it which names matter and how they become ready, [`Enters`] which folders.

mod content;
mod inotify;
mod marker;
mod mounts;
mod pulse;
mod root;
mod scan;
mod settle;
mod worker;
mod writers;

pub use content::{Content, content_of};
pub use marker::has_stale_marker;
pub use pulse::Pulse;
pub use root::{Classify, Enters, FoundFile, IntakeReport, RootSpec, RootWorker};
pub use scan::{FileId, file_version, version_of};
pub use settle::FileVersion;
pub use writers::{Writers, Writing};
