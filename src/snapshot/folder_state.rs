//! The state of a drop folder, derived from the events that the recorder and the watchdog wrote about it.

use crate::codes::EventKind;
use crate::domain::{FolderState, FolderTrouble};
use crate::history::EventRow;
use std::path::Path;

/// The time and the reason of a trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// When the trouble began, as text like in the database.
    pub since: String,
    /// The reason that the daemon gave then.
    pub reason: String,
}

/// Worst first.
const TROUBLES: [(FolderTrouble, FolderState); 3] = [
    (FolderTrouble::NoAnswer, FolderState::Stuck),
    (FolderTrouble::Lost, FolderState::Lost),
    (FolderTrouble::NotWatched, FolderState::ScannedOnly),
];

/// The kinds of events that [`folder_state`] needs.
pub(super) fn folder_event_kinds() -> Vec<EventKind> {
    TROUBLES.iter().flat_map(|(trouble, _)| <[EventKind; 2]>::from(EventKind::of_folder_trouble(*trouble))).collect()
}

/// The state of the watched folder `root`, and why it is not watched, if it is not.
///
/// `events` are those of [`folder_event_kinds`] since the line started, oldest first.
pub(super) fn folder_state(root: &Path, events: &[EventRow]) -> (FolderState, Option<Since>) {
    let shown = root.display().to_string();
    TROUBLES
        .iter()
        .find_map(|(trouble, state)| {
            let (begin, end) = EventKind::of_folder_trouble(*trouble);
            let of_pair = |event: &&EventRow| event.kind == begin.as_str() || event.kind == end.as_str();
            let newest = events.iter().rev().filter(of_pair).find(|event| event.place.as_deref() == Some(&shown))?;
            let reason = newest.detail.strip_prefix(&shown).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&newest.detail);
            (newest.kind == begin.as_str()).then_some((*state, Some(Since { since: newest.at.clone(), reason: reason.to_owned() })))
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
            let (at, place) = (events.len().to_string(), detail.split(": ").next().map(str::to_owned));
            events.push(EventRow { at, kind: kind.into(), product: None, place, detail: detail.into() });
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
        assert_eq!(trouble, Some(Since { since: "7".into(), reason: "another folder: stands there".into() }));
    }
}
