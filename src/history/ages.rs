//! How long ago a time of the history was, even when the wall clock jumps.

use super::rows::time_text;
use crate::domain::TimeSpan;
use crate::platform::clock::{LineClock, Purpose};
use jiff::Timestamp;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Tells how long ago a time was; without the clock of the line it believes the wall clock. All clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    clock: Arc<OnceLock<Arc<LineClock>>>,
}

impl Ages {
    /// From now on this clock tells how long ago a time of the history was, even when the wall clock jumps.
    pub(super) fn go_by(&self, clock: &Arc<LineClock>) {
        // A store has one clock. A second call brings the same one.
        let _ = self.clock.set(Arc::clone(clock));
    }

    /// The times that are at least this long ago, as a parameter for `json_each`. A time of unknown age counts as recent.
    pub(super) fn long_ago(&self, age: Duration) -> String {
        match self.clock.get() {
            Some(clock) => spans_json(&clock.old(age, Purpose::Delete)),
            None => {
                let until = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
                spans_json(&[TimeSpan { from: Timestamp::MIN, until }])
            }
        }
    }
}

/// A parameter for `json_each`.
pub(super) fn spans_json(spans: &[TimeSpan]) -> String {
    let spans: Vec<[String; 2]> = spans.iter().map(|span| [time_text(span.from), time_text(span.until)]).collect();
    serde_json::json!(spans).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClockJump, ClockRecord};

    #[test]
    fn a_clock_that_was_set_forward_makes_nothing_long_ago() {
        let ages = Ages::default();
        let (now, hour) = (Timestamp::now(), Duration::from_secs(3600));
        // Decided ten seconds ago, five seconds before the clock was set forward by an hour.
        let decided = time_text(now - hour - Duration::from_secs(10));
        let is_long_ago = || {
            let spans: Vec<[String; 2]> = serde_json::from_str(&ages.long_ago(Duration::from_secs(600))).unwrap();
            spans.iter().any(|[from, until]| (from..=until).contains(&&decided))
        };
        assert!(is_long_ago(), "by the wall clock alone");
        let set = now - Duration::from_secs(5);
        let jump = ClockJump { before: set - hour, after: set, shift_ms: 3_600_000, witnessed: true };
        ages.go_by(&Arc::new(LineClock::resume(ClockRecord { jumps: vec![jump], ..ClockRecord::default() })));
        assert!(!is_long_ago());
    }
}
