//! Whether the line is healthy: a snapshot in, problems out. Pure, so that tests can try every rule without a line.

use crate::domain::{FolderState, WriteTrouble};
use crate::snapshot::{DropFolderStanding, LineSnapshot, NotRunning};
use crate::telemetry::{FolderFault, Stuck};
use std::time::Duration;

/// A line that does not run this long after a reload does not recover by itself. Loading large banks takes time.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
/// A scan may be this late, besides some turns: a folder of a million files takes a while.
const SCAN_PATIENCE: Duration = Duration::from_secs(60);

/// A problem that keeps the line, or a part of it, from working.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// One word for the problem: one of [`CODES`].
    pub code: &'static str,
    /// The problem and its place, for people.
    pub detail: String,
}

/// Every code that a [`Problem`] can have.
pub const CODES: [&str; 9] = [
    "not_running",
    "worker_stuck",
    "database",
    "disk_full",
    "folder_lost",
    "folder_stuck",
    "folder_not_writable",
    "no_recent_scan",
    "waiting",
];

/// The problems of the line; empty when all is well. A folder that only scans cover still works, but slower.
pub fn problems(snapshot: &LineSnapshot) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |code, detail: String| found.push(Problem { code, detail });
    match snapshot.not_running {
        None => {}
        Some((NotRunning::Reloading, since)) if since <= RELOAD_PATIENCE => {}
        Some((NotRunning::Reloading, since)) => {
            add("not_running", format!("the line has not come back {} s after a reload", since.as_secs()));
        }
        Some((NotRunning::Starting, since)) => add("not_running", format!("the line has been starting for {} s", since.as_secs())),
        Some((NotRunning::Stopping, _)) => add("not_running", "the daemon is stopping".to_owned()),
    }
    for Stuck { worker, silent_for } in &snapshot.stuck {
        add("worker_stuck", format!("{worker}: no progress for {} s", silent_for.as_secs()));
    }
    if let Some(trouble) = &snapshot.database {
        add("database", trouble.clone());
    }
    if snapshot.disk_full {
        add("disk_full", "the disk of the database is full; intake and inspecting pause until there is space".to_owned());
    }
    for DropFolderStanding { folder, state, scan, .. } in &snapshot.drop_folders {
        let shown = folder.display();
        match state {
            FolderState::Lost => add("folder_lost", format!("{shown}: the drop folder is not there, or not the one it was")),
            FolderState::Stuck => add("folder_stuck", format!("{shown}: the drop folder does not answer")),
            FolderState::Watched | FolderState::ScannedOnly => {
                if let Some((since_scan, _)) = scan.filter(|(since_scan, rescan)| *since_scan > *rescan * 3 + SCAN_PATIENCE) {
                    add("no_recent_scan", format!("{shown}: the last whole scan ended {} s ago", since_scan.as_secs()));
                }
            }
        }
    }
    for (folder, trouble) in &snapshot.faults {
        let shown = folder.display();
        match trouble {
            FolderFault::NoAnswer => add("folder_stuck", format!("{shown}: does not answer; its images wait")),
            FolderFault::Write(WriteTrouble::DiskFull) => add("folder_not_writable", format!("{shown}: its disk is full; its images wait")),
            FolderFault::Write(WriteTrouble::NotWritable) => {
                add("folder_not_writable", format!("{shown}: cannot be written; its images wait"))
            }
        }
    }
    for told in &snapshot.waiting {
        add("waiting", told.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(facts: &LineSnapshot) -> Vec<&'static str> {
        let found: Vec<_> = problems(facts).into_iter().map(|problem| problem.code).collect();
        assert!(found.iter().all(|code| CODES.contains(code)));
        found
    }

    fn folder(state: FolderState, since_scan: u64) -> LineSnapshot {
        let (since_scan, rescan) = (Duration::from_secs(since_scan), Duration::from_secs(30));
        LineSnapshot {
            drop_folders: vec![DropFolderStanding { folder: "/drop".into(), state, trouble: None, scan: Some((since_scan, rescan)) }],
            ..LineSnapshot::default()
        }
    }

    #[test]
    fn every_fact_that_stops_something_is_a_problem() {
        assert_eq!(codes(&LineSnapshot::default()), [""; 0]);
        let not_running = |why, seconds| LineSnapshot { not_running: Some((why, Duration::from_secs(seconds))), ..LineSnapshot::default() };
        assert_eq!(codes(&not_running(NotRunning::Starting, 0)), ["not_running"]);
        assert_eq!(codes(&not_running(NotRunning::Stopping, 0)), ["not_running"]);
        assert_eq!(codes(&not_running(NotRunning::Reloading, 1)), [""; 0], "a reload is no fault");
        assert_eq!(codes(&not_running(NotRunning::Reloading, 61)), ["not_running"]);
        let stuck = Stuck { worker: "engine".into(), silent_for: Duration::from_secs(75) };
        let facts = LineSnapshot { stuck: vec![stuck], database: Some("locked".into()), disk_full: true, ..LineSnapshot::default() };
        assert_eq!(codes(&facts), ["worker_stuck", "database", "disk_full"]);
        assert_eq!(problems(&facts)[0].detail, "engine: no progress for 75 s");
        let faults = vec![
            ("/a".into(), FolderFault::NoAnswer),
            ("/b".into(), FolderFault::Write(WriteTrouble::DiskFull)),
            ("/c".into(), FolderFault::Write(WriteTrouble::NotWritable)),
        ];
        assert_eq!(
            codes(&LineSnapshot { faults, ..LineSnapshot::default() }),
            ["folder_stuck", "folder_not_writable", "folder_not_writable"]
        );
        assert_eq!(codes(&LineSnapshot { waiting: vec!["2 images wait".into()], ..LineSnapshot::default() }), ["waiting"]);
    }

    #[test]
    fn a_folder_counts_by_its_worst() {
        assert_eq!(codes(&folder(FolderState::Watched, 149)), [""; 0]);
        assert_eq!(codes(&folder(FolderState::Watched, 151)), ["no_recent_scan"]);
        assert_eq!(codes(&folder(FolderState::ScannedOnly, 0)), [""; 0], "slower, but it works");
        assert_eq!(codes(&folder(FolderState::Lost, 1000)), ["folder_lost"]);
        assert_eq!(codes(&folder(FolderState::Stuck, 1000)), ["folder_stuck"]);
    }
}
