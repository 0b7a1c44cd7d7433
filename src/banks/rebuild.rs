//! When a bank is rebuilt, and when a build is refused. Pure: clock and listings are passed in.

use std::time::{Duration, Instant};

/// The two times of the debounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebounceTimes {
    /// No change for this long starts the build …
    pub quiet_period: Duration,
    /// … and so does this long since the first change.
    pub max_wait: Duration,
}

/// Watches the fingerprint of an ok folder and says when to build.
#[derive(Debug)]
pub struct Debounce {
    times: DebounceTimes,
    /// What the bank in use was built from, or what a rollback holds: there is nothing to build.
    settled: Option<String>,
    /// What the last build was tried with, whether it succeeded or not: it is not tried again with the same files.
    tried: Option<String>,
    /// The build of these files met an obstacle: when it is tried again.
    again: Option<Again>,
    changing: Option<Changing>,
}

#[derive(Debug)]
struct Again {
    at: Instant,
    /// The wait that ends then.
    wait: Duration,
}

#[derive(Debug)]
struct Changing {
    fingerprint: String,
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// `built` is the fingerprint of the bank in use, `None` without one.
    pub fn new(times: DebounceTimes, built: Option<String>) -> Self {
        Self { times, settled: built, tried: None, again: None, changing: None }
    }

    /// Takes the present fingerprint; true = build now. After that the fingerprint counts as tried.
    pub fn observe(&mut self, fingerprint: &str, now: Instant) -> bool {
        if self.tried.as_deref() == Some(fingerprint) {
            self.changing = None;
            return self.again.as_ref().is_some_and(|again| now >= again.at);
        }
        if self.settled.as_deref() == Some(fingerprint) {
            self.changing = None;
            self.again = None;
            return false;
        }
        let changing = self.changing.get_or_insert_with(|| Changing { fingerprint: fingerprint.to_owned(), first: now, last: now });
        if changing.fingerprint != fingerprint {
            changing.fingerprint = fingerprint.to_owned();
            changing.last = now;
        }
        let due = now.duration_since(changing.last) >= self.times.quiet_period || now.duration_since(changing.first) >= self.times.max_wait;
        if due {
            self.tried(fingerprint);
        }
        due
    }

    /// The build met an obstacle that is not the files' fault: it is tried again after `quiet_period`, then after twice that and so on
    /// up to `max_wait`, until it ends by itself or the files change.
    pub fn try_again(&mut self, now: Instant) {
        let wait = match &self.again {
            Some(again) => (again.wait * 2).min(self.times.max_wait),
            None => self.times.quiet_period,
        };
        self.again = Some(Again { at: now + wait, wait });
    }

    /// The build ended by itself, with a bank or without.
    pub fn ended(&mut self) {
        self.again = None;
    }

    /// A build is tried with this fingerprint.
    pub fn tried(&mut self, fingerprint: &str) {
        self.tried = Some(fingerprint.to_owned());
        self.changing = None;
        self.again = None;
    }

    /// The bank in use is of this fingerprint, or is to be used as long as the ok folder is like that.
    pub fn settle(&mut self, fingerprint: &str) {
        self.settled = Some(fingerprint.to_owned());
        self.tried(fingerprint);
    }
}

/// Why a bank must not be built from `images` OK images, if so; `noun` is what to call them. `previous` is the count that the bank in
/// use was built from.
pub fn refuse_build(images: usize, noun: &str, min_images: usize, previous: Option<usize>) -> Option<String> {
    if let Some(previous) = previous
        && images * 2 < previous
    {
        return Some(format!(
            "the ok folder has {images} {noun} and had {previous} when the bank in use was built: over half are gone; \
             put them back, or have a bank built from these with `patchcored rebuild PRODUCT --anew`"
        ));
    }
    (images < min_images).then(|| format!("the ok folder has {images} {noun}, fewer than min_images: {min_images}; add OK images"))
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
        assert!(!debounce.observe("a", at(0)));
        assert!(!debounce.observe("b", at(1)));
        assert!(!debounce.observe("c", at(20)));
        assert!(!debounce.observe("c", at(49)));
        assert!(debounce.observe("c", at(50)));
        assert!(!debounce.observe("c", at(500)), "the same files are not tried twice");
        assert!(!debounce.observe("d", at(501)));
        assert!(!debounce.observe("c", at(502)), "changed back: nothing to build");
        assert!(!debounce.observe("d", at(600)), "the clock started anew");
    }

    #[test]
    fn files_that_are_put_back_after_a_refused_build_are_no_change() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut debounce = Debounce::new(TIMES, Some("all".into()));
        assert!(!debounce.observe("half", at(0)) && debounce.observe("half", at(30)));
        debounce.try_again(at(31));
        for s in 40..500 {
            assert!(!debounce.observe("all", at(s)), "what is in use was built from these");
        }
        assert!(!debounce.observe("half", at(900)), "refused before");
        debounce.settle("other");
        assert!(!debounce.observe("other", at(901)) && !debounce.observe("all", at(902)) && debounce.observe("all", at(940)));
    }

    #[test]
    fn an_unquiet_folder_is_built_after_max_wait() {
        let start = Instant::now();
        let mut debounce = Debounce::new(TIMES, None);
        let built: Vec<u64> = (0..30).filter(|i| debounce.observe(&i.to_string(), start + Duration::from_secs(i * 10))).collect();
        assert_eq!(built, [10, 21]);
    }

    #[test]
    fn a_build_that_met_an_obstacle_is_tried_again_at_growing_intervals() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut debounce = Debounce::new(TIMES, None);
        let mut tried = Vec::new();
        for s in 0..500 {
            if debounce.observe("a", at(s)) {
                tried.push(s);
                debounce.try_again(at(s));
            }
        }
        assert_eq!(tried, [30, 60, 120, 220, 320, 420], "30 s, 60 s, then every max_wait");
        debounce.ended();
        assert!(!debounce.observe("a", at(900)), "a build that ended by itself is not tried again");
        debounce.try_again(at(900));
        assert!(!debounce.observe("b", at(930)), "other files: the debounce alone counts");
        assert!(debounce.observe("b", at(960)));
        assert!(!debounce.observe("b", at(990)));
    }

    #[test]
    fn a_vanishing_folder_does_not_become_a_bank() {
        assert!(refuse_build(24, "images", 10, Some(50)).unwrap().contains("over half are gone"));
        assert!(refuse_build(0, "images", 0, Some(1)).is_some());
        assert_eq!(refuse_build(25, "images", 10, Some(50)), None);
        assert!(refuse_build(9, "images", 10, None).unwrap().contains("min_images: 10"));
        assert_eq!(refuse_build(10, "images", 10, None), None);
    }
}
