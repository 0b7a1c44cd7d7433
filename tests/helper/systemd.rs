//! A stand-in for systemd: hears what the daemon tells it.

use super::{Daemon, Line, wait_for};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Hears everything that is told on a NOTIFY_SOCKET, at once, as systemd does.
pub struct Systemd {
    socket: PathBuf,
    begin: Instant,
    heard: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl Systemd {
    pub fn new(line: &Line) -> Self {
        let path = line.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (begin, heard) = (Instant::now(), Arc::<Mutex<Vec<_>>>::default());
        let hears = Arc::clone(&heard);
        // Ends with the test process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                for entry in String::from_utf8_lossy(&buffer[..length]).lines() {
                    hears.lock().unwrap().push((begin.elapsed(), entry.to_owned()));
                }
            }
        });
        Self { socket: path, begin, heard }
    }

    /// Starts the daemon as a unit with this `WatchdogSec=`.
    pub fn start(&self, line: &Line, watchdog: Duration) -> Daemon {
        self.start_with(line, |command| {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        })
    }

    /// The same, with another environment.
    pub fn start_with(&self, line: &Line, change: impl FnOnce(&mut std::process::Command)) -> Daemon {
        self.note("(the daemon is started)");
        line.start_with(|command| {
            command.env("NOTIFY_SOCKET", &self.socket).env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
            change(command);
        })
    }

    /// Writes into the transcript what the test does.
    pub fn note(&self, what: &str) {
        self.heard.lock().unwrap().push((self.begin.elapsed(), what.to_owned()));
    }

    /// How much was heard so far.
    pub fn mark(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// What was heard since the mark.
    pub fn since(&self, mark: usize) -> Vec<String> {
        self.heard.lock().unwrap()[mark..].iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// How many entries since the mark begin like this.
    pub fn count(&self, mark: usize, start: &str) -> usize {
        self.since(mark).iter().filter(|entry| entry.starts_with(start)).count()
    }

    /// Waits until so many entries since the mark begin like this; returns the place behind the last one.
    pub fn wait(&self, mark: usize, start: &str, count: usize) -> usize {
        wait_for(&format!("{count} × `{start}` told to systemd"), || {
            let heard = self.since(mark);
            let places = heard.iter().enumerate().filter(|(_, entry)| entry.starts_with(start));
            places.map(|(place, _)| mark + place + 1).nth(count - 1).ok_or_else(|| self.transcript())
        })
    }

    /// All of it, with the seconds.
    pub fn transcript(&self) -> String {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|(at, entry)| format!("{:7.2} {entry}\n", at.as_secs_f64())).collect()
    }
}
