//! How a drop folder stands, told from the events that the recorder and the watchdog wrote of it.

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

/// The event with which a state begins and the one with which it ends; the worst comes first.
const TROUBLES: [(&str, &str, FolderState); 3] = [
    ("drop_folder_stuck", "drop_folder_stuck_over", FolderState::Stuck),
    ("drop_folder_lost", "drop_folder_back", FolderState::Lost),
    ("not_watched", "watched", FolderState::ScannedOnly),
];

/// The kinds of events that [`folder_state`] needs.
pub fn folder_event_kinds() -> Vec<&'static str> {
    TROUBLES.iter().flat_map(|(begin, end, _)| [*begin, *end]).collect()
}

/// The state of the watched folder `root`, and the event that says so; without trouble there is none.
///
/// `events` are those of [`folder_event_kinds`] since the line started, oldest first.
pub fn folder_state<'a>(root: &Path, events: &'a [EventRow]) -> (FolderState, Option<&'a EventRow>) {
    let shown = root.display().to_string();
    let is_of_root = |event: &EventRow| event.detail.strip_prefix(&shown).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "));
    TROUBLES
        .iter()
        .find_map(|(begin, end, state)| {
            let newest = events.iter().rev().find(|event| (event.kind == *begin || event.kind == *end) && is_of_root(event))?;
            (newest.kind == *begin).then_some((*state, Some(newest)))
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
            events.push(EventRow { at: String::new(), kind: kind.into(), detail: detail.into() });
            folder_state(Path::new("/drop/a"), &events).0
        };
        assert_eq!(after("drop_folder_lost", "/drop/ab: gone"), FolderState::Watched, "another folder");
        assert_eq!(after("not_watched", "/drop/a: 1 of 2 folders not watched"), FolderState::ScannedOnly);
        assert_eq!(after("drop_folder_lost", "/drop/a: gone"), FolderState::Lost);
        assert_eq!(after("drop_folder_stuck", "/drop/a: does not answer"), FolderState::Stuck);
        assert_eq!(after("drop_folder_back", "/drop/a"), FolderState::Stuck);
        assert_eq!(after("drop_folder_stuck_over", "/drop/a: answers again"), FolderState::ScannedOnly);
        assert_eq!(after("watched", "/drop/a: all of it is watched now"), FolderState::Watched);
    }
}
