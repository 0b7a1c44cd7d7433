//! Real file systems to fill, to freeze and to break. They need root; a test that gets none is skipped.

use super::skip::{can, skipped, works};
use super::{arg, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount that goes away with the test, also with one that fails.
pub struct Mount {
    at: PathBuf,
    /// The file system's process, if it is one.
    server: Option<Child>,
}

impl Mount {
    /// A file system in memory of this size, as `4m`, over the folder `at`.
    pub fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        can("root, to mount a tmpfs", "mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", arg(at)])?;
        Some(Self { at: at.to_owned(), server: None })
    }

    /// The folder `source`, seen at `at` too.
    pub fn bind(source: &Path, at: &Path) -> Option<Self> {
        can("root, to bind a mount", "mount", &["--bind", arg(source), arg(at)])?;
        Some(Self { at: at.to_owned(), server: None })
    }

    /// An ext4 file system in the file `image`, made sparse, over the folder `at`.
    pub fn ext4_in(image: &Path, at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        std::fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
        can("mkfs.ext4", "mkfs.ext4", &["-q", "-F", "-O", "^has_journal", arg(image)])?;
        can("root and loop devices", "mount", &["-o", "loop", arg(image), arg(at)])?;
        Some(Self { at: at.to_owned(), server: None })
    }

    /// A share: `source` seen at `at` through a process, so that writes at `source` give no events at `at`, and that can be stopped.
    pub fn share(source: &Path, at: &Path) -> Option<Self> {
        for folder in [source, at] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let before = std::fs::metadata(at).unwrap().dev();
        let server = Command::new("bindfs").args(["-f", arg(source), arg(at)]).stderr(Stdio::null()).spawn();
        let Ok(mut server) = server else { return skipped("bindfs") };
        let mounted = wait_for("bindfs to mount or to give up", || {
            let there = std::fs::metadata(at).is_ok_and(|meta| meta.dev() != before);
            let gone = server.try_wait().unwrap().is_some();
            if there || gone { Ok(there) } else { Err("neither".to_owned()) }
        });
        if !mounted {
            return skipped("root and /dev/fuse, for bindfs");
        }
        Some(Self { at: at.to_owned(), server: Some(server) })
    }

    /// Whoever asks the share for anything waits, until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// `ro` or `rw`.
    pub fn remount(&self, option: &str) {
        assert!(works("mount", &["-o", &format!("remount,{option}"), arg(&self.at)]));
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            kill_process(Pid::from_child(server), signal).unwrap();
        }
    }
}

/// Unmounts, whoever still uses it.
impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            let _ = kill_process(Pid::from_child(server), Signal::CONT);
        }
        works("umount", &["-l", arg(&self.at)]);
        if let Some(server) = &mut self.server {
            let _ = kill_process(Pid::from_child(server), Signal::TERM);
            let _ = server.wait();
        }
    }
}

/// Writes a file that takes what space is left; removing it gives the space back.
pub fn fill(folder: &Path) -> PathBuf {
    let ballast = folder.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    // The last bytes, too, which a large write would leave.
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    let _ = file.sync_all();
    ballast
}
