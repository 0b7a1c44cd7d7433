//! Mounts that go away with the test, also with one that fails.

use crate::helper::{arg, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Something mounted on a folder.
pub struct Mounted {
    at: PathBuf,
    /// The file system's process, if it is one.
    server: Option<Child>,
}

/// True when it can be done here; else says why the test does nothing.
pub fn can(what: &str, program: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !ran {
        println!("SKIPPED: needs {what}");
    }
    ran
}

/// A small file system in memory; `None` when this machine does not allow it.
pub fn tmpfs(at: &Path) -> Option<Mounted> {
    can("root, to mount a tmpfs", "mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs", arg(at)])
        .then(|| Mounted { at: at.to_owned(), server: None })
}

/// The folder `source`, seen at `at` too.
pub fn bind(source: &Path, at: &Path) -> Option<Mounted> {
    can("root, to bind a mount", "mount", &["--bind", arg(source), arg(at)]).then(|| Mounted { at: at.to_owned(), server: None })
}

/// A share: `source` seen at `at` through a process, so that writes at `source` give no events at `at`, and that can hang.
pub fn share(source: &Path, at: &Path) -> Option<Mounted> {
    for folder in [source, at] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let before = std::fs::metadata(at).unwrap().dev();
    let Ok(mut server) = Command::new("bindfs").args(["-f", arg(source), arg(at)]).stderr(Stdio::null()).spawn() else {
        println!("SKIPPED: needs bindfs");
        return None;
    };
    let is_mounted = wait_for("bindfs to mount or to give up", || {
        if std::fs::metadata(at).is_ok_and(|meta| meta.dev() != before) {
            Ok(true)
        } else if server.try_wait().unwrap().is_some() {
            Ok(false)
        } else {
            Err("neither".to_owned())
        }
    });
    if !is_mounted {
        println!("SKIPPED: needs root and /dev/fuse, for bindfs");
        return None;
    }
    Some(Mounted { at: at.to_owned(), server: Some(server) })
}

impl Mounted {
    /// Whoever asks the share for anything waits, until it is thawed.
    pub fn freeze(&self) {
        kill_process(Pid::from_child(self.server.as_ref().unwrap()), Signal::STOP).unwrap();
    }

    pub fn thaw(&self) {
        kill_process(Pid::from_child(self.server.as_ref().unwrap()), Signal::CONT).unwrap();
    }
}

/// Unmounts, whoever still uses it.
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", arg(&self.at)]).stderr(Stdio::null()).status();
        if let Some(server) = &mut self.server {
            let _ = kill_process(Pid::from_child(server), Signal::CONT);
            let _ = kill_process(Pid::from_child(server), Signal::TERM);
            let _ = server.wait();
        }
    }
}
