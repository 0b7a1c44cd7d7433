//! When a bank is rebuilt, and when a build is refused. Pure: the caller passes in clock and listings.

use super::fingerprint::Fingerprint;
use std::time::{Duration, Instant};

/// The two times of the debounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebounceTimes {
    /// No change for this long starts the build …
    pub quiet_period: Duration,
    /// … and so does this long since the first change.
    pub max_wait: Duration,
}

/// Compares the fingerprints of an ok folder and says when to build.
#[derive(Debug)]
pub struct Debounce {
    times: DebounceTimes,
    /// The files of the bank in use, or those that a rollback holds: there is nothing to build.
    settled: Option<String>,
    /// The files of the last build, whether it succeeded or not: the same files are not tried again.
    tried: Option<String>,
    /// When to try again, after the build of these files met an obstacle.
    again: Option<Again>,
    changing: Option<Changing>,
}

#[derive(Debug)]
struct Again {
    at: Instant,
    /// The wait that ends at that time.
    wait: Duration,
}

#[derive(Debug)]
struct Changing {
    fingerprint: Fingerprint,
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// `built` is the stored fingerprint of the bank in use; `None` without a bank.
    pub fn new(times: DebounceTimes, built: Option<String>) -> Self {
        Self { times, settled: built, tried: None, again: None, changing: None }
    }

    /// Takes the current fingerprint; true = build now. After that the fingerprint counts as tried.
    pub fn observe(&mut self, fingerprint: &Fingerprint, now: Instant) -> bool {
        let is = |stored: &Option<String>| stored.as_deref().is_some_and(|stored| fingerprint.matches(stored));
        if is(&self.tried) {
            self.changing = None;
            return self.again.as_ref().is_some_and(|again| now >= again.at);
        }
        if is(&self.settled) {
            self.changing = None;
            self.again = None;
            return false;
        }
        let changing = self.changing.get_or_insert_with(|| Changing { fingerprint: fingerprint.clone(), first: now, last: now });
        if changing.fingerprint != *fingerprint {
            changing.fingerprint = fingerprint.clone();
            changing.last = now;
        }
        let due = now.duration_since(changing.last) >= self.times.quiet_period || now.duration_since(changing.first) >= self.times.max_wait;
        if due {
            self.tried(&fingerprint.to_string());
        }
        due
    }

    /// The build met an obstacle, and the files are not at fault. It is tried again after `quiet_period`, then after twice that and so on
    /// up to `max_wait`, until a build finishes or the files change.
    pub fn try_again(&mut self, now: Instant) {
        let wait = match &self.again {
            Some(again) => (again.wait * 2).min(self.times.max_wait),
            None => self.times.quiet_period,
        };
        self.again = Some(Again { at: now + wait, wait });
    }

    /// The build finished, with or without a bank.
    pub fn ended(&mut self) {
        self.again = None;
    }

    /// A build with this fingerprint begins.
    pub fn tried(&mut self, fingerprint: &str) {
        self.tried = Some(fingerprint.to_owned());
        self.changing = None;
        self.again = None;
    }

    /// The bank in use has this fingerprint, or stays in use as long as the ok folder has it.
    pub fn settle(&mut self, fingerprint: &str) {
        self.settled = Some(fingerprint.to_owned());
        self.tried(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: DebounceTimes = DebounceTimes { quiet_period: Duration::from_secs(30), max_wait: Duration::from_secs(100) };

    #[test]
    fn builds_once_when_quiet() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut debounce = Debounce::new(TIMES, Some("a".into()));
        assert!(!debounce.observe(&"a".into(), at(0)));
        assert!(!debounce.observe(&"b".into(), at(1)));
        assert!(!debounce.observe(&"c".into(), at(20)));
        assert!(!debounce.observe(&"c".into(), at(49)));
        assert!(debounce.observe(&"c".into(), at(50)));
        assert!(!debounce.observe(&"c".into(), at(500)), "the same files are not tried twice");
        assert!(!debounce.observe(&"d".into(), at(501)));
        assert!(!debounce.observe(&"c".into(), at(502)), "changed back: nothing to build");
        assert!(!debounce.observe(&"d".into(), at(600)), "the clock started anew");
    }

    #[test]
    fn files_that_are_put_back_after_a_refused_build_are_no_change() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut debounce = Debounce::new(TIMES, Some("all".into()));
        assert!(!debounce.observe(&"half".into(), at(0)) && debounce.observe(&"half".into(), at(30)));
        debounce.try_again(at(31));
        for s in 40..500 {
            assert!(!debounce.observe(&"all".into(), at(s)), "what is in use was built from these");
        }
        assert!(!debounce.observe(&"half".into(), at(900)), "refused before");
        debounce.settle("other");
        assert!(
            !debounce.observe(&"other".into(), at(901))
                && !debounce.observe(&"all".into(), at(902))
                && debounce.observe(&"all".into(), at(940))
        );
    }

    #[test]
    fn what_an_earlier_version_stored_is_settled_until_files_or_options_change() {
        use crate::domain::BuildOptions;
        // For no files and the default options.
        let stored = "20251476e253f27877f37c1ee635f009fe67ca60b7760f8aab9aab6553581a87";
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let now = Fingerprint::of(&BuildOptions::default(), |_| ());
        let other = Fingerprint::of(&BuildOptions { seed: 1, ..BuildOptions::default() }, |_| ());
        let mut debounce = Debounce::new(TIMES, Some(stored.into()));
        for s in 0..500 {
            assert!(!debounce.observe(&now, at(s)));
        }
        assert!(!debounce.observe(&other, at(500)) && debounce.observe(&other, at(530)));
        debounce.settle(stored);
        for s in 531..1000 {
            assert!(!debounce.observe(&now, at(s)), "as after a rollback");
        }
    }

    #[test]
    fn an_unquiet_folder_is_built_after_max_wait() {
        let start = Instant::now();
        let mut debounce = Debounce::new(TIMES, None);
        let built: Vec<u64> =
            (0..30).filter(|i| debounce.observe(&i.to_string().as_str().into(), start + Duration::from_secs(i * 10))).collect();
        assert_eq!(built, [10, 21]);
    }

    #[test]
    fn a_build_that_met_an_obstacle_is_tried_again_at_growing_intervals() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut debounce = Debounce::new(TIMES, None);
        let mut tried = Vec::new();
        for s in 0..500 {
            if debounce.observe(&"a".into(), at(s)) {
                tried.push(s);
                debounce.try_again(at(s));
            }
        }
        assert_eq!(tried, [30, 60, 120, 220, 320, 420], "30 s, 60 s, then every max_wait");
        debounce.ended();
        assert!(!debounce.observe(&"a".into(), at(900)), "a build that ended by itself is not tried again");
        debounce.try_again(at(900));
        assert!(!debounce.observe(&"b".into(), at(930)), "other files: the debounce alone counts");
        assert!(debounce.observe(&"b".into(), at(960)));
        assert!(!debounce.observe(&"b".into(), at(990)));
    }
}
