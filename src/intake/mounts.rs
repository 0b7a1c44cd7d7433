//! Whether anything was mounted or unmounted.
//!
//! Whoever unmounts a file system and mounts it again between two looks leaves no trace in it: device and inode are the same as before,
//! but every watch is gone.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;

/// The mount table of this process. Without `/proc` it never changes.
#[derive(Debug)]
pub struct MountTable {
    file: Option<File>,
}

impl MountTable {
    pub fn open() -> Self {
        Self { file: File::open("/proc/self/mountinfo").ok() }
    }

    /// True when the table was changed since this was asked last. Touches no file system but `/proc`, so it cannot hang.
    pub fn changed(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let mut asked = [PollFd::new(file, PollFlags::PRI)];
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|_| asked[0].revents().contains(PollFlags::PRI))
    }
}
