//! Hides the operating system: files that appear whole, folders that may not answer, disk space, processes, clocks, crash points.

pub mod allocator;
pub mod clock;
pub mod crash_point;
pub mod disk_space;
pub mod files;
pub mod folder_io;
pub mod http_clients;
pub mod kernel;
pub mod leftovers;
