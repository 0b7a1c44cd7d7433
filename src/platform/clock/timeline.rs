//! How old a time in the history is, even if somebody set the wall clock since. Pure: the caller passes in the current time.
//!
//! The jumps cut the past into segments. On the current clock, a time of an earlier segment is later by the shifts of all jumps since.
//! After a clock was set back, one time belongs to more than one segment. It then counts with its youngest possible age, and is old only
//! when it is old in all of them.

use crate::domain::{ClockJump, TimeSpan};
use jiff::Timestamp;

/// The most jumps that are kept apart. Beyond that the oldest are merged, so that a clock that is set every minute costs no memory.
const MOST: usize = 64;
/// A time that is just ahead of the current clock: the clock runs on during a query.
const SLACK_MS: i64 = 1000;
/// The limits of a time in a row, ms since 1970: the years 1 and 9999.
const FIRST_MS: i64 = -62_135_596_800_000;
const LAST_MS: i64 = 253_402_300_799_999;
/// Longer than any history.
const FOR_EVER_MS: i64 = 400 * 365 * 86_400_000;

/// What the age is for. The two differ when the computer was started in between, and nothing shows how much time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To delete old files: an unknown age counts as young.
    Delete,
    /// To act on new defects: an unknown age counts as old.
    Act,
}

/// The jumps, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    jumps: Vec<ClockJump>,
}

impl Timeline {
    pub fn new(jumps: impl IntoIterator<Item = ClockJump>) -> Self {
        let mut timeline = Self::default();
        jumps.into_iter().for_each(|jump| timeline.push(jump));
        timeline
    }

    /// Adds the newest jump.
    pub fn push(&mut self, jump: ClockJump) {
        self.jumps.push(jump);
        if self.jumps.len() > MOST {
            let (oldest, next) = (self.jumps.remove(0), &mut self.jumps[0]);
            // In either of the two segments, a time is no older than this says.
            next.before = next.before.max(oldest.before);
            next.shift_ms = next.shift_ms.saturating_add(oldest.shift_ms.max(0));
            next.witnessed &= oldest.witnessed;
        }
    }

    /// The times that are at least `age_ms` old.
    pub fn old(&self, now: Timestamp, age_ms: i64, purpose: Purpose) -> Vec<TimeSpan> {
        let (mut old, mut young) = (Vec::new(), Vec::new());
        for (from, until, shift) in self.segments(now, purpose) {
            let newest_old = ms(now).saturating_sub(age_ms).saturating_sub(shift);
            old.push((from, until.min(newest_old)));
            young.push((from.max(newest_old.saturating_add(1)), until));
        }
        let mut old: Vec<(i64, i64)> = young.iter().fold(old, |old, span| without(&old, *span));
        old.sort_unstable();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (from, until) in old {
            match spans.last_mut() {
                Some((_, last)) if from <= last.saturating_add(1) => *last = (*last).max(until),
                _ => spans.push((from, until)),
            }
        }
        spans.into_iter().filter_map(|(from, until)| Some(TimeSpan { from: time(from)?, until: time(until)? })).collect()
    }

    /// How long ago that time was, in ms, at least; never negative.
    pub fn age_ms(&self, now: Timestamp, then: Timestamp) -> i64 {
        let segments = self.segments(now, Purpose::Delete);
        let ages = segments
            .iter()
            .filter(|(from, until, _)| (*from..=*until).contains(&ms(then)))
            .map(|(_, _, shift)| ms(now).saturating_sub(ms(then)).saturating_sub(*shift));
        ages.min().unwrap_or(0).max(0)
    }

    /// The first time, the last time, and how much later a time of the segment is on the current clock. A time that was jumped over, so
    /// that no clock has shown it, belongs to the segment before that jump.
    fn segments(&self, now: Timestamp, purpose: Purpose) -> Vec<(i64, i64, i64)> {
        let weight = |jump: &ClockJump| match (jump.witnessed, purpose) {
            (true, _) | (false, Purpose::Delete) => jump.shift_ms,
            (false, Purpose::Act) if jump.shift_ms >= 0 => 0,
            (false, Purpose::Act) => -FOR_EVER_MS,
        };
        let begins = std::iter::once(FIRST_MS).chain(self.jumps.iter().map(|jump| ms(jump.after)));
        let ends = self.jumps.iter().map(|jump| ms(jump.before)).chain(std::iter::once(ms(now).saturating_add(SLACK_MS)));
        let mut shifts = vec![0_i64];
        for jump in self.jumps.iter().rev() {
            let since = shifts.last().copied().unwrap_or(0);
            shifts.push(since.saturating_add(weight(jump)));
        }
        let known: Vec<_> = begins.zip(ends).zip(shifts.into_iter().rev()).map(|((from, until), shift)| (from, until, shift)).collect();
        let skipped = self.jumps.iter().zip(&known).flat_map(|(jump, (_, _, shift))| {
            let skipped = vec![(ms(jump.before).saturating_add(1), ms(jump.after).saturating_sub(1))];
            let skipped = known.iter().fold(skipped, |skipped, (from, until, _)| without(&skipped, (*from, *until)));
            let shift = *shift;
            skipped.into_iter().map(move |(from, until)| (from, until, shift))
        });
        let skipped: Vec<_> = skipped.collect();
        known.into_iter().chain(skipped).collect()
    }
}

/// The parts of the spans outside `hole`.
fn without(spans: &[(i64, i64)], (from, until): (i64, i64)) -> Vec<(i64, i64)> {
    if from > until {
        return spans.iter().copied().filter(|(from, until)| from <= until).collect();
    }
    let parts = spans.iter().flat_map(|span| [(span.0, span.1.min(from.saturating_sub(1))), (span.0.max(until.saturating_add(1)), span.1)]);
    parts.filter(|(from, until)| from <= until).collect()
}

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn time(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms.clamp(FIRST_MS, LAST_MS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn jump(before: &str, after: &str, witnessed: bool) -> ClockJump {
        let (before, after) = (at(before), at(after));
        ClockJump { before, after, shift_ms: ms(after) - ms(before), witnessed }
    }

    fn is_old(timeline: &Timeline, now: &str, age: i64, then: &str, purpose: Purpose) -> bool {
        let spans = timeline.old(at(now), age * 1000, purpose);
        assert!(spans.windows(2).all(|pair| pair[0].until < pair[1].from), "{spans:?}");
        spans.iter().any(|span| (span.from..=span.until).contains(&at(then)))
    }

    #[test]
    fn without_a_jump_an_age_is_a_difference() {
        let timeline = Timeline::default();
        for (then, old) in [("2026-11-23T08:00:00Z", true), ("2026-11-23T08:00:00.001Z", false), ("2030-01-01T00:00:00Z", false)] {
            assert_eq!(is_old(&timeline, "2026-11-23T08:01:00Z", 60, then, Purpose::Delete), old, "{then}");
        }
        assert_eq!(timeline.age_ms(at("2026-11-23T08:01:00Z"), at("2026-11-23T08:00:00Z")), 60_000);
        assert_eq!(timeline.age_ms(at("2026-11-23T08:01:00Z"), at("2026-11-23T09:00:00Z")), 0);
    }

    #[test]
    fn a_clock_that_is_put_right_makes_nothing_old() {
        let timeline = Timeline::new([jump("2000-01-01T00:10:00Z", "2026-11-23T08:00:00Z", true)]);
        let now = "2026-11-23T08:05:00Z";
        assert!(!is_old(&timeline, now, 600, "2000-01-01T00:09:00Z", Purpose::Delete), "six minutes");
        assert!(is_old(&timeline, now, 300, "2000-01-01T00:09:00Z", Purpose::Delete));
        assert_eq!(timeline.age_ms(at(now), at("2000-01-01T00:09:00Z")), 360_000);
        assert!(!is_old(&timeline, now, 300, "2026-11-23T08:01:00Z", Purpose::Delete));
        assert!(is_old(&timeline, now, 180, "2026-11-23T08:01:00Z", Purpose::Delete));
        // From a row of another writer, or of a version that knew no jumps.
        assert!(!is_old(&timeline, now, 180, "2020-01-01T00:00:00Z", Purpose::Delete));
    }

    #[test]
    fn rows_of_a_wrong_clock_do_not_hold_up_those_of_the_right_one() {
        // The clock is right until the battery fails, then shows some minutes of the year 2000, then is right again.
        let timeline = Timeline::new([
            jump("2026-11-01T08:00:00Z", "2000-01-01T00:00:00Z", false),
            jump("2000-01-01T00:10:00Z", "2026-11-23T08:00:00Z", true),
        ]);
        let (now, month) = ("2026-12-05T08:00:00Z", 30 * 86_400);
        assert!(!is_old(&timeline, now, month, "2000-01-01T00:05:00Z", Purpose::Delete), "twelve days");
        assert!(is_old(&timeline, now, month, "2026-10-01T00:00:00Z", Purpose::Delete));
        // Nobody knows how long the computer stood still: those days do not count.
        assert!(!is_old(&timeline, now, month, "2026-10-31T00:00:00Z", Purpose::Delete));
        assert!(is_old(&timeline, now, 13 * 86_400, "2026-10-31T00:00:00Z", Purpose::Delete));
    }

    #[test]
    fn after_a_clock_was_set_back_a_time_counts_as_the_youngest_that_it_may_be() {
        let timeline = Timeline::new([jump("2026-11-23T12:30:00Z", "2026-11-23T11:30:00Z", true)]);
        let now = "2026-11-23T11:40:00Z";
        // This time exists only before the jump, one minute before it.
        assert!(is_old(&timeline, now, 660, "2026-11-23T12:29:00Z", Purpose::Delete));
        assert!(!is_old(&timeline, now, 661, "2026-11-23T12:29:00Z", Purpose::Delete));
        // An hour and ten minutes ago, or just now.
        assert!(!is_old(&timeline, now, 600, "2026-11-23T11:35:00Z", Purpose::Delete));
        assert!(is_old(&timeline, now, 600, "2026-11-23T11:00:00Z", Purpose::Delete));
        assert_eq!(timeline.age_ms(at(now), at("2026-11-23T12:29:00Z")), 660_000);
    }

    #[test]
    fn what_nothing_witnesses_is_young_to_be_deleted_and_old_to_be_acted_on() {
        let night = Timeline::new([jump("2026-11-23T17:00:00Z", "2026-11-24T07:00:00Z", false)]);
        for (purpose, old) in [(Purpose::Delete, false), (Purpose::Act, true)] {
            assert_eq!(is_old(&night, "2026-11-24T07:01:00Z", 120, "2026-11-23T16:59:30Z", purpose), old, "{purpose:?}");
        }
        let back = Timeline::new([jump("2026-11-23T17:00:00Z", "2000-01-01T00:00:00Z", false)]);
        for (purpose, old) in [(Purpose::Delete, false), (Purpose::Act, true)] {
            assert_eq!(is_old(&back, "2000-01-01T00:01:00Z", 120, "2026-11-23T16:59:30Z", purpose), old, "{purpose:?}");
        }
        assert!(!is_old(&back, "2000-01-01T00:01:00Z", 120, "2000-01-01T00:00:30Z", Purpose::Act), "fresh");
    }

    #[test]
    fn of_a_clock_that_is_set_again_and_again_nothing_counts_as_older_than_it_is() {
        let minute = |n: i64| at("2026-11-23T00:00:00Z") + jiff::SignedDuration::from_secs(60 * n);
        // An hour forward at the end of every minute, and all of it back at the end.
        let mut timeline = Timeline::default();
        for n in 0..200 {
            let before = minute(61 * n + 1);
            timeline.push(ClockJump { before, after: minute(61 * n + 61), shift_ms: 3_600_000, witnessed: true });
        }
        assert_eq!(timeline.jumps.len(), MOST);
        let now = minute(61 * 200);
        for n in 0..200 {
            let then = minute(61 * n);
            assert!(timeline.age_ms(now, then) <= (200 - n) * 60_000, "{n}: {}", timeline.age_ms(now, then));
        }
    }
}
