//! The daemon's process from outside: when it is ready, what it holds.

use crate::helper::{Daemon, Line, wait_for};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the daemon tells that it is ready, as it would tell systemd.
pub struct Ear {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ear {
    pub fn new(line: &Line) -> Self {
        let path = line.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, path }
    }

    /// Starts the daemon with this socket.
    pub fn start(&self, line: &Line) -> Daemon {
        self.start_with(line, |_| {})
    }

    /// The same, with changes to its environment.
    pub fn start_with(&self, line: &Line, change: impl FnOnce(&mut std::process::Command)) -> Daemon {
        self.drain();
        line.start_with(|command| {
            command.env("NOTIFY_SOCKET", &self.path);
            change(command);
        })
    }

    /// Waits for READY; returns how long that took.
    pub fn wait_ready(&self, line: &Line) -> Duration {
        let begin = Instant::now();
        wait_for("READY", || match self.hear() {
            Some(text) if text.contains("READY=1") => Ok(()),
            _ => Err(last_lines(&line.log())),
        });
        begin.elapsed()
    }

    /// Takes what was told so far, as systemd does at once: the daemon waits for an ear that is full.
    pub fn drain(&self) {
        while self.hear().is_some() {}
    }

    fn hear(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

/// The end of a log.
pub fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// What a process holds on to.
pub struct Held {
    /// MiB in memory, with the mapped parts of files.
    pub resident: f64,
    /// MiB of its own.
    pub anonymous: f64,
    pub descriptors: f64,
    /// inotify watches.
    pub watches: f64,
    pub threads: f64,
}

impl Held {
    pub fn of(pid: u32) -> Self {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        let entries = |name: &str| std::fs::read_dir(process.join(name)).unwrap().flatten();
        // A descriptor may be closed since it was listed.
        let info = entries("fdinfo").filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        Self {
            resident: number("VmRSS:") / 1024.0,
            anonymous: number("RssAnon:") / 1024.0,
            descriptors: entries("fd").count() as f64,
            watches: info.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum::<usize>() as f64,
            threads: number("Threads:"),
        }
    }
}
