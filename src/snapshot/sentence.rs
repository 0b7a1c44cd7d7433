//! The snapshot in one sentence, for systemd's STATUS line, SIGUSR1 and the log.

use super::line::LineSnapshot;
use crate::telemetry::LineStatus;

/// What the line is doing; `status` has its counts.
pub fn sentence(snapshot: &LineSnapshot, status: &LineStatus) -> String {
    let mut line = match (&snapshot.recorded, &snapshot.unreadable) {
        (Some(recorded), _) => status.line(recorded.all_pending()),
        (None, why) => format!("history not readable: {}", why.as_ref().map_or("", |why| &why.0)),
    };
    if snapshot.disk_full {
        line += ", intake pauses: the disk of the database is full";
    }
    for folder in &snapshot.avoided {
        line += &format!(", waits for {}", folder.display());
    }
    for told in &snapshot.waiting {
        line += &format!(", {told}");
    }
    for stuck in &snapshot.stuck {
        line += &format!(", {} is stuck", stuck.worker);
    }
    if let Some(recorded) = &snapshot.recorded {
        for (count, what) in [(recorded.actions_waiting, "actions"), (recorded.messages_waiting, "messages")] {
            if count > 0 {
                line += &format!(", {count} {what} wait");
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{LineRecord, PendingOf};
    use crate::snapshot::Unreadable;
    use crate::telemetry::Stuck;
    use jiff::Timestamp;
    use std::time::Duration;

    #[test]
    fn the_sentence_says_all_that_holds_up_the_line() {
        let status = LineStatus::default();
        let of = |product: &str, pending| PendingOf { product: product.into(), pending, oldest_seen_at: Timestamp::UNIX_EPOCH };
        let recorded = LineRecord { pending: vec![of("a", 2), of("b", 3)], messages_waiting: 7, ..LineRecord::default() };
        let mut snapshot = LineSnapshot { recorded: Some(recorded), ..LineSnapshot::default() };
        let counts = "ok 0, ng 0, failed 0, 0.0/min";
        assert_eq!(sentence(&snapshot, &status), format!("backlog 5, {counts}, 7 messages wait"));
        snapshot.disk_full = true;
        snapshot.avoided = vec!["/srv/a".into()];
        snapshot.waiting = vec!["2 images of a wait".into()];
        snapshot.stuck = vec![Stuck { worker: "engine".into(), silent_for: Duration::from_secs(70) }];
        let held_up = "intake pauses: the disk of the database is full, waits for /srv/a, 2 images of a wait, engine is stuck";
        assert_eq!(sentence(&snapshot, &status), format!("backlog 5, {counts}, {held_up}, 7 messages wait"));
        let unread = LineSnapshot { unreadable: Some(Unreadable("locked".into())), ..LineSnapshot::default() };
        assert_eq!(sentence(&unread, &status), "history not readable: locked");
    }
}
