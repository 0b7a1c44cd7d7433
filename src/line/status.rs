//! The state of the line for people: systemd shows it, and SIGUSR1 has it written to the log.

use crate::history::HistoryStore;
use crate::telemetry::Telemetry;

/// What the line is doing, in one sentence.
pub async fn status_line(store: &HistoryStore, telemetry: &Telemetry) -> String {
    let Telemetry { status, folders, waits, progress, .. } = telemetry;
    let mut line = match store.pending().await {
        Ok(pending) => status.line(pending),
        Err(error) => format!("history not readable: {error}"),
    };
    if store.full_since().is_some() {
        line += ", intake pauses: the disk of the database is full";
    }
    for folder in folders.to_avoid() {
        line += &format!(", waits for {}", folder.display());
    }
    for told in waits.told() {
        line += &format!(", {told}");
    }
    for stuck in progress.stuck() {
        line += &format!(", {} is stuck", stuck.worker);
    }
    if let Ok(waiting) = store.waiting().await {
        for (count, what) in [(waiting.actions, "actions"), (waiting.messages, "messages")] {
            if count > 0 {
                line += &format!(", {count} {what} wait");
            }
        }
    }
    line
}
