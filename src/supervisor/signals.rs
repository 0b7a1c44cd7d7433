//! The signals of the process as requests.

use futures::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_tokio::Signals;
use std::io;

/// What the outside asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT: finish the images in hand and end.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: write the status to the log.
    Status,
}

/// The process's signals as requests.
pub struct SignalRequests {
    signals: Signals,
    reload_put_off: bool,
}

impl SignalRequests {
    /// Takes the signals over; from now on they no longer end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { signals: Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?, reload_put_off: false })
    }

    /// The next request, one that was put off first.
    pub async fn next(&mut self) -> Request {
        if std::mem::take(&mut self.reload_put_off) { Request::Reload } else { self.receive().await }
    }

    /// The next request as it comes in.
    pub async fn receive(&mut self) -> Request {
        match self.signals.next().await {
            Some(SIGHUP) => Request::Reload,
            Some(SIGUSR1) => Request::Status,
            _ => Request::Stop,
        }
    }

    /// For a reload that cannot be served now.
    pub fn put_off_reload(&mut self) {
        self.reload_put_off = true;
    }
}
