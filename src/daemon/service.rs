//! The daemon as a service: signals in, messages to systemd out.

use futures::StreamExt;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_tokio::Signals;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

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
pub struct Requests {
    signals: Signals,
}

impl Requests {
    /// Takes the signals over; from now on they no longer end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { signals: Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])? })
    }

    /// The next request.
    pub async fn next(&mut self) -> Request {
        match self.signals.next().await {
            Some(SIGHUP) => Request::Reload,
            Some(SIGUSR1) => Request::Status,
            _ => Request::Stop,
        }
    }

    /// Waits for a second stop request, passing over everything else.
    pub async fn next_stop(&mut self) {
        while self.next().await != Request::Stop {}
    }
}

/// Tells systemd; without a `NOTIFY_SOCKET` this does nothing.
///
/// Not `sd_notify::notify`, which waits for room when nobody reads the socket: signals would wait with it.
pub fn tell(states: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send(&socket, &message) {
        tracing::warn!(%error, "systemd not told");
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.connect(socket)?;
    sender.send(message.as_bytes()).map(drop)
}
