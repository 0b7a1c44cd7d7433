//! How a drop folder stands, told from the events that the recorder and the watchdog wrote of it.

use crate::codes::EventKind;
use crate::history::EventRow;
use serde::Serialize;
use std::path::Path;

/// How the daemon finds the files of a drop folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    /// New files are reported by the system, and scans make up for what it leaves out.
    Watched,
    /// New files are found by scans alone.
    ScannedOnly,
    /// The folder is not there, or not the one it was.
    Lost,
    /// The folder does not answer.
    Stuck,
}

/// What makes a folder anything but watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// When it began.
    pub since: &'a str,
    /// What the daemon said then.
    pub reason: &'a str,
}

/// The event with which a state begins and the one with which it ends; the worst comes first.
const TROUBLES: [(EventKind, EventKind, FolderState); 3] = [
    (EventKind::DropFolderStuck, EventKind::DropFolderStuckOver, FolderState::Stuck),
    (EventKind::DropFolderLost, EventKind::DropFolderBack, FolderState::Lost),
    (EventKind::NotWatched, EventKind::Watched, FolderState::ScannedOnly),
];

/// The kinds of events that [`folder_state`] needs.
pub fn folder_event_kinds() -> Vec<&'static str> {
    TROUBLES.iter().flat_map(|(begin, end, _)| [begin.as_str(), end.as_str()]).collect()
}

/// The state of the watched folder `root`, and why it is not watched, if it is not.
///
/// `events` are those of [`folder_event_kinds`] since the line started, oldest first.
pub fn folder_state<'a>(root: &Path, events: &'a [EventRow]) -> (FolderState, Option<Trouble<'a>>) {
    let shown = root.display().to_string();
    // "FOLDER: why", or the folder alone.
    let said_of_root = |event: &'a EventRow| match event.detail.strip_prefix(&shown)? {
        "" => Some((event, "")),
        rest => Some((event, rest.strip_prefix(": ")?)),
    };
    TROUBLES
        .iter()
        .find_map(|(begin, end, state)| {
            let mut of_pair = events.iter().rev().filter(|event| event.kind == begin.as_str() || event.kind == end.as_str());
            let (newest, reason) = of_pair.find_map(said_of_root)?;
            (newest.kind == begin.as_str()).then_some((*state, Some(Trouble { since: &newest.at, reason })))
        })
        .unwrap_or((FolderState::Watched, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_pair_counts_and_the_worst_of_all() {
        let mut events = Vec::new();
        let mut after = |kind: &str, detail: &str| {
            events.push(EventRow { at: events.len().to_string(), kind: kind.into(), product: None, detail: detail.into() });
            folder_state(Path::new("/drop/a"), &events).0
        };
        assert_eq!(after("drop_folder_lost", "/drop/ab: gone"), FolderState::Watched, "another folder");
        assert_eq!(after("not_watched", "/drop/a: 1 of 2 folders not watched"), FolderState::ScannedOnly);
        assert_eq!(after("drop_folder_lost", "/drop/a: gone"), FolderState::Lost);
        assert_eq!(after("drop_folder_stuck", "/drop/a: does not answer"), FolderState::Stuck);
        assert_eq!(after("drop_folder_back", "/drop/a"), FolderState::Stuck);
        assert_eq!(after("drop_folder_stuck_over", "/drop/a: answers again"), FolderState::ScannedOnly);
        assert_eq!(after("watched", "/drop/a: all of it is watched now"), FolderState::Watched);
        assert_eq!(after("drop_folder_lost", "/drop/a: another folder: stands there"), FolderState::Lost);
        let trouble = folder_state(Path::new("/drop/a"), &events).1;
        assert_eq!(trouble, Some(Trouble { since: "7", reason: "another folder: stands there" }));
    }
}
