//! Where log lines go.

mod journal;
mod line;
mod text;

use journal::Journal;
use std::io::IsTerminal;
use text::{SpanFacts, TextLines};
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
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).event_format(TextLines);
            tracing_subscriber::registry().with(filter).with(SpanFacts).with(lines).init();
        }
    }
}
