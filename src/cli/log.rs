//! Where log lines go.

mod journal;
mod text;

use journal::Journal;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs go to journald with their fields when stderr is connected to it, else to stderr as text. `RUST_LOG` sets what is logged.
pub fn start_log(daemon: bool) {
    let default = if daemon { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    match Journal::of_stderr() {
        Some(journal) => tracing_subscriber::registry().with(filter).with(journal).init(),
        None => {
            let ansi = std::io::stderr().is_terminal();
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .with_ansi(ansi)
                .fmt_fields(text::fields())
                .init();
        }
    }
}
