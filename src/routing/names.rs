//! Sets of file names as automata, and whether several sets have a name in common.

use crate::domain::{IMAGE_EXTENSIONS, OUTPUT_SUFFIXES};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use std::collections::{HashSet, VecDeque};

/// The memory limit in bytes of one automaton, while it is made and afterwards. A larger pattern stays undecided.
const DFA_LIMIT: usize = 16 << 20;

/// The step limit of the search; after it, the question stays undecided. Normal patterns need a few thousand steps.
const SEARCH_LIMIT: usize = 200_000;

/// The names in which a regular expression finds a match.
pub(super) struct NameSet(dense::DFA<Vec<u32>>);

/// Whether the sets have a common name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Common {
    /// Yes: this one, which is one of the shortest.
    Name(String),
    /// No, and that is certain.
    Nothing,
    /// Unknown: it would take too much work.
    Unknown,
}

impl NameSet {
    /// `None` when the automaton would be too large.
    pub(super) fn new(regex: &str, dot_all: bool) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .unicode_word_boundary(true)
            .dfa_size_limit(Some(DFA_LIMIT))
            .determinize_size_limit(Some(DFA_LIMIT));
        dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().utf8(false).dot_matches_new_line(dot_all))
            .thompson(thompson::Config::new().utf8(false))
            .build(regex)
            .ok()
            .map(Self)
    }

    /// Names of images that are not hidden.
    pub(super) fn images() -> Option<Self> {
        Self::new(&format!(r"^[^./\x00][^/\x00]*\.(?i-u:{})$", IMAGE_EXTENSIONS.join("|")), true)
    }

    /// Names that no rule takes: the daemon's own outputs, as `X.jpg.mask.png`, and names that match one of these expressions.
    pub(super) fn never_taken(excluded: &[String]) -> Option<Self> {
        let suffixes = OUTPUT_SUFFIXES.map(regex::escape).join("|");
        let own = format!(r"\.(?i-u:{})(?:{suffixes})$", IMAGE_EXTENSIONS.join("|"));
        let all: Vec<String> = [&own].into_iter().chain(excluded).map(|regex| format!("(?:{regex})")).collect();
        Self::new(&all.join("|"), true)
    }

    fn start(&self) -> Option<At> {
        self.0.start_state_forward(&Input::new(b"").anchored(Anchored::No)).ok().and_then(|state| self.at(state))
    }

    /// Reads one byte; `None` when the automaton gives up (a Unicode word boundary beside a byte that is not ASCII).
    fn step(&self, at: At, byte: u8) -> Option<At> {
        match at {
            At::Inside(state) => self.at(self.0.next_state(state, byte)),
            decided => Some(decided),
        }
    }

    /// True when the name belongs to the set if it ends here; `None` as in [`Self::step`].
    fn ends(&self, at: At) -> Option<bool> {
        match at {
            At::Inside(state) => self.at(self.0.next_eoi_state(state)).map(|at| at == At::Matched),
            decided => Some(decided == At::Matched),
        }
    }

    fn at(&self, state: StateID) -> Option<At> {
        match state {
            s if self.0.is_quit_state(s) => None,
            s if self.0.is_match_state(s) => Some(At::Matched),
            s if self.0.is_dead_state(s) => Some(At::Never),
            s => Some(At::Inside(s)),
        }
    }
}

/// The state of one automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    /// Undecided so far.
    Inside(StateID),
    /// The name belongs to the set, whatever follows.
    Matched,
    /// The name does not belong to the set, whatever follows.
    Never,
}

/// Looks for a name that is in all of `members` and not in `other`: breadth first over the product of the automata.
pub(super) fn common(members: &[&NameSet], other: &NameSet) -> Common {
    let sets: Vec<&NameSet> = members.iter().copied().chain([other]).collect();
    let last = sets.len() - 1;
    let alphabet = representatives(&sets);
    let Some(start) = sets.iter().map(|set| set.start()).collect::<Option<Vec<At>>>() else { return Common::Unknown };

    let mut certain = true;
    let mut seen = HashSet::from([start.clone()]);
    // For each state: the entry it was reached from, and the byte that led here.
    let mut trail: Vec<(usize, u8)> = vec![(0, 0)];
    let mut queue = VecDeque::from([(0, start)]);
    while let Some((here, state)) = queue.pop_front() {
        match sets.iter().zip(&state).map(|(set, at)| set.ends(*at)).collect::<Option<Vec<bool>>>() {
            None => certain = false,
            Some(inside) if inside.iter().enumerate().all(|(i, inside)| *inside == (i != last)) => {
                return Common::Name(spell(&trail, here));
            }
            Some(_) => {}
        }
        for &byte in &alphabet {
            let next: Vec<Option<At>> = sets.iter().zip(&state).map(|(set, at)| set.step(*at, byte)).collect();
            if next[..last].contains(&Some(At::Never)) || next[last] == Some(At::Matched) {
                continue;
            }
            let Some(next) = next.into_iter().collect::<Option<Vec<At>>>() else {
                certain = false;
                continue;
            };
            if !seen.insert(next.clone()) {
                continue;
            }
            if trail.len() >= SEARCH_LIMIT {
                return Common::Unknown;
            }
            trail.push((here, byte));
            queue.push_back((trail.len() - 1, next));
        }
    }
    if certain { Common::Nothing } else { Common::Unknown }
}

/// One byte of every class that no automaton distinguishes. Letters and digits come first, so that example names are readable.
fn representatives(sets: &[&NameSet]) -> Vec<u8> {
    let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z').chain(b'!'..=b'~');
    let mut classes = HashSet::new();
    readable.chain(0..=255).filter(|byte| classes.insert(sets.iter().map(|s| s.0.byte_classes().get(*byte)).collect::<Vec<u8>>())).collect()
}

fn spell(trail: &[(usize, u8)], end: usize) -> String {
    let mut bytes = Vec::new();
    let mut here = end;
    while here != 0 {
        let (before, byte) = trail[here];
        bytes.push(byte);
        here = before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(a: &str, b: &str) -> Common {
        let set = |regex| NameSet::new(regex, false).unwrap();
        common(&[&set(a), &set(b), &NameSet::images().unwrap()], &NameSet::never_taken(&[]).unwrap())
    }

    #[test]
    fn finds_a_name_and_proves_that_there_is_none() {
        assert_eq!(shared("^a", "b\\.jpg$"), Common::Name("ab.jpg".into()));
        assert_eq!(shared("^a", "^b"), Common::Nothing);
        assert_eq!(shared(r"^\p{Greek}", "^[αβ]x"), Common::Name("αx.bmp".into()));
        assert_eq!(shared(r"^..\.png$", r"^...\.png$"), Common::Nothing, "lengths differ");
        assert_eq!(shared("", r"\.txt$"), Common::Nothing, "no image");
        assert_eq!(shared("", r"\.jpg\.mask\.png$"), Common::Nothing, "own outputs only");
        assert_eq!(shared("", r"^\."), Common::Nothing, "hidden names only");
        assert_eq!(shared("x/y", ""), Common::Nothing, "no file name has a slash");
    }

    #[test]
    fn the_example_is_in_both_sets() {
        for (a, b) in [("^l1_", "_top"), ("[0-9]{3}", "^x.*y"), ("(?i)FRONT", "t[ab]c")] {
            let Common::Name(name) = shared(a, b) else { panic!("{a} and {b} meet") };
            assert!(regex::Regex::new(a).unwrap().is_match(&name) && regex::Regex::new(b).unwrap().is_match(&name), "{name}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_decided() {
        assert!(NameSet::new(".*a.{40}", false).is_none());
        assert_eq!(shared(r"^a\b", r"^b"), Common::Nothing);
        assert_eq!(shared(r"^a.\b-", r"^a[é]-"), Common::Unknown, "a Unicode word boundary after a letter that is not ASCII");
    }
}
