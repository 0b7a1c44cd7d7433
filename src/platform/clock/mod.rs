//! The wall clock, and a second witness: the time since the computer was started, which nobody sets.
//!
//! Rows of the history have the time of the wall clock, because people read them. But the wall clock alone does not decide whether a row
//! is old enough to delete its files, or new enough to act on its defect. Every look compares the two clocks. A difference that changes
//! is a jump, and jumps do not count. If the computer was restarted meanwhile and nobody can tell, the row counts as young for deleting
//! and as old for acting.
//!
//! [`std::time::Instant`] measures the waits that are in memory. Waits in rows are corrected after a jump.

mod reading;
mod timeline;

pub use timeline::Purpose;

use crate::domain::{ClockJump, ClockRecord, ClockStamp, TimeSpan};
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use reading::Reading;
use std::time::Duration;
use timeline::Timeline;

/// A clock that was steady for this long after a start of the computer counts as right: NTP has had its time.
const STEADY: Duration = Duration::from_secs(600);
/// The wall clock alone does not prove a longer time between two starts.
const LONGEST_BREAK: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A row up to this much later than the last stamp was still written by that clock.
const LATE: SignedDuration = SignedDuration::from_mins(10);
/// A time before this program was made. A clock that shows less is wrong.
const MADE: &str = "2026-01-01T00:00:00Z";

/// The clock of a line: one for each history.
#[derive(Debug)]
pub struct LineClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    boot_id: String,
    timeline: Timeline,
    /// The time between the last run and this one, after a start of the computer. It counts only when the clock proves to be steady.
    doubt: Option<ClockJump>,
    last: Reading,
    /// The time since the start of the computer at which the clock was last set, or first read.
    steady_from: Duration,
    /// Jumps that are not yet in the history.
    unsaved: Vec<ClockJump>,
}

/// The data that the history does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// The jumps.
    pub jumps: Vec<ClockJump>,
    /// The clocks now; `None` while the time since the last run is in doubt: a restart must find it in doubt again.
    pub stamp: Option<ClockStamp>,
}

impl LineClock {
    /// Continues from the clock that the history last saw.
    pub fn resume(record: ClockRecord) -> Self {
        Self { state: Mutex::new(State::resume(record, Reading::take(), reading::boot_id())) }
    }

    /// The times in the history that are at least this old.
    pub fn old(&self, age: Duration, purpose: Purpose) -> Vec<TimeSpan> {
        let state = self.look();
        state.effective().old(state.last.wall, i64::try_from(age.as_millis()).unwrap_or(i64::MAX), purpose)
    }

    /// How long ago a time of the history was, at least.
    pub fn age(&self, then: Timestamp) -> Duration {
        let state = self.look();
        Duration::from_millis(state.effective().age_ms(state.last.wall, then).unsigned_abs())
    }

    /// How long nobody has set the clock, as far as this process has seen.
    pub fn steady_for(&self) -> Duration {
        let state = self.look();
        state.last.since_boot.saturating_sub(state.steady_from)
    }

    /// The data that must be written to the history.
    pub fn unsaved(&self) -> Unsaved {
        let state = self.look();
        Unsaved { jumps: state.unsaved.clone(), stamp: state.stamp() }
    }

    /// This many jumps were written.
    pub fn saved(&self, jumps: usize) {
        let mut state = self.lock();
        let jumps = jumps.min(state.unsaved.len());
        state.unsaved.drain(..jumps);
    }

    /// The time of the wall clock, if it cannot be right.
    pub fn wrong(&self) -> Option<Timestamp> {
        let (shows, made) = (self.look().last.wall, MADE.parse::<Timestamp>().ok()?);
        (shows < made).then_some(shows)
    }

    fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.observe(Reading::take());
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// 1. the same start of the computer: its time shows whether the wall clock was set; 2. another start, and a clock that went back: it
    ///    was set; 3. another start, after a time too long to believe; 4. another start: in doubt until the clock was steady.
    fn resume(record: ClockRecord, now: Reading, boot_id: String) -> Self {
        let mut state = Self {
            timeline: Timeline::new(record.jumps),
            doubt: None,
            last: now,
            steady_from: now.since_boot,
            unsaved: Vec::new(),
            boot_id,
        };
        let (before, after) = match record.stamp {
            Some(stamp) if stamp.boot_id == state.boot_id && !stamp.boot_id.is_empty() => {
                let then = Reading { wall: stamp.wall, since_boot: Duration::from_millis(stamp.since_boot_ms.unsigned_abs()) };
                if let Some(jump) = now.jump_since(&then) {
                    state.add(jump);
                }
                return state;
            }
            // Rows may be newer than the last stamp, by as much as the time between two stamps.
            Some(stamp) => {
                let may_be_of_it = |newest: &Timestamp| (SignedDuration::ZERO..=LATE).contains(&newest.duration_since(stamp.wall));
                (record.newest.filter(may_be_of_it).unwrap_or(stamp.wall), now.wall)
            }
            // A row from the future, in the history of a version that kept no stamp: either the clock was wrong then, or it is wrong now.
            None => match record.newest {
                Some(newest) if newest <= now.wall || MADE.parse().is_ok_and(|made: Timestamp| now.wall < made) => (newest, now.wall),
                _ => return state,
            },
        };
        let gap = after.duration_since(before);
        let jump = ClockJump { before, after, shift_ms: reading::ms(gap), witnessed: false };
        if gap.is_negative() || gap > LONGEST_BREAK {
            state.add(jump);
        } else {
            state.doubt = Some(jump);
        }
        state
    }

    fn observe(&mut self, now: Reading) {
        if let Some(jump) = now.jump_since(&self.last) {
            if let Some(doubt) = self.doubt.take() {
                self.add(doubt);
            }
            self.add(jump);
            self.steady_from = now.since_boot;
        } else if now.since_boot.saturating_sub(self.steady_from) >= STEADY {
            self.doubt = None;
        }
        self.last = now;
    }

    fn add(&mut self, jump: ClockJump) {
        self.timeline.push(jump);
        self.unsaved.push(jump);
    }

    fn effective(&self) -> Timeline {
        let mut timeline = self.timeline.clone();
        self.doubt.into_iter().for_each(|doubt| timeline.push(doubt));
        timeline
    }

    fn stamp(&self) -> Option<ClockStamp> {
        let since_boot_ms = i64::try_from(self.last.since_boot.as_millis()).unwrap_or(i64::MAX);
        self.doubt.is_none().then(|| ClockStamp { wall: self.last.wall, boot_id: self.boot_id.clone(), since_boot_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: &str, since_boot: u64) -> Reading {
        Reading { wall: wall.parse().unwrap(), since_boot: Duration::from_secs(since_boot) }
    }

    fn stamped(wall: &str, boot_id: &str, since_boot: i64) -> ClockRecord {
        let stamp = ClockStamp { wall: wall.parse().unwrap(), boot_id: boot_id.into(), since_boot_ms: since_boot * 1000 };
        ClockRecord { stamp: Some(stamp), ..ClockRecord::default() }
    }

    fn resume(record: ClockRecord, wall: &str, since_boot: u64) -> State {
        State::resume(record, reading(wall, since_boot), "now".into())
    }

    fn age_of(state: &State, then: &str) -> i64 {
        state.effective().age_ms(state.last.wall, then.parse().unwrap()) / 1000
    }

    const NOON: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn corrections_by_ntp_are_no_jumps_and_a_set_clock_is_one() {
        let mut state = resume(ClockRecord::default(), NOON, 100);
        state.observe(reading("2026-11-23T12:00:02.900Z", 101));
        state.observe(reading("2026-11-23T12:01:07Z", 161));
        assert_eq!(state.unsaved, []);
        assert_eq!(state.last.since_boot - state.steady_from, Duration::from_secs(61));
        state.observe(reading("2026-11-23T13:01:08Z", 162));
        assert_eq!(state.steady_from, Duration::from_secs(162));
        let [jump] = state.unsaved[..] else { panic!("{:?}", state.unsaved) };
        assert_eq!((jump.shift_ms, jump.witnessed), (3_600_000, true));
        assert_eq!(age_of(&state, NOON), 68);
        state.observe(reading("2026-11-23T12:01:09Z", 163));
        assert_eq!(state.unsaved.iter().map(|jump| jump.shift_ms).sum::<i64>(), 0);
    }

    #[test]
    fn a_clock_that_was_set_while_the_daemon_was_stopped_is_found_out_by_the_time_since_the_start_of_the_computer() {
        let state = resume(stamped(NOON, "now", 100), "2026-11-23T12:30:00Z", 1900);
        assert_eq!((state.unsaved.len(), age_of(&state, NOON)), (0, 1800));
        for wall in ["2036-11-23T12:30:00Z", "2026-11-23T11:30:00Z", "2000-01-01T00:00:00Z"] {
            let state = resume(stamped(NOON, "now", 100), wall, 1900);
            assert_eq!((state.unsaved.len(), age_of(&state, NOON)), (1, 1800), "{wall}");
            assert!(state.stamp().is_some());
        }
    }

    #[test]
    fn after_a_start_of_the_computer_a_break_counts_when_the_clock_was_steady() {
        let mut state = resume(stamped("2026-11-20T17:00:00Z", "before", 9), "2026-11-23T07:00:00Z", 30);
        assert_eq!((state.unsaved.len(), age_of(&state, "2026-11-20T16:59:00Z")), (0, 60));
        assert_eq!(state.stamp(), None, "a restart is to find it in doubt, too");
        state.observe(reading("2026-11-23T07:09:59Z", 629));
        assert_eq!(age_of(&state, "2026-11-20T16:59:00Z"), 659);
        state.observe(reading("2026-11-23T07:10:00Z", 630));
        assert_eq!(age_of(&state, "2026-11-20T17:00:00Z"), 2 * 86_400 + 14 * 3600 + 600);
        assert_eq!(state.stamp().map(|stamp| stamp.boot_id), Some("now".into()));

        // NTP corrects it before that: the break never counts.
        let mut state = resume(stamped("2026-11-20T17:00:00Z", "before", 9), "2026-11-23T16:00:00Z", 30);
        state.observe(reading("2026-11-23T07:00:10Z", 40));
        assert_eq!(state.unsaved.iter().map(|jump| jump.witnessed).collect::<Vec<_>>(), [false, true]);
        state.observe(reading("2026-11-23T07:30:10Z", 1840));
        assert_eq!(age_of(&state, "2026-11-20T17:00:00Z"), 1810);
    }

    #[test]
    fn a_break_that_cannot_be_believed_never_counts() {
        for wall in ["2027-02-01T07:00:00Z", "2000-01-01T00:00:00Z", "2026-11-20T16:00:00Z"] {
            let mut state = resume(stamped("2026-11-20T17:00:00Z", "before", 9), wall, 30);
            assert_eq!((state.unsaved.len(), state.unsaved[0].witnessed), (1, false), "{wall}");
            let later = state.last.wall + SignedDuration::from_secs(1000);
            state.observe(Reading { wall: later, since_boot: Duration::from_secs(1030) });
            assert_eq!(age_of(&state, "2026-11-20T17:00:00Z"), 1000, "{wall}");
        }
    }

    #[test]
    fn rows_newer_than_the_last_stamp_are_of_before_the_jump() {
        let mut record = stamped("2026-11-20T17:00:00Z", "before", 9);
        record.newest = Some("2026-11-20T17:00:25Z".parse().unwrap());
        let state = resume(record, "2000-01-01T00:00:00Z", 30);
        let newest_old = state.timeline.old(state.last.wall, 5000, Purpose::Delete).last().unwrap().until;
        assert_eq!(newest_old, "2026-11-20T17:00:20Z".parse().unwrap());
    }

    #[test]
    fn a_history_without_a_stamp_is_taken_as_of_an_earlier_start() {
        let newest = |time: &str| ClockRecord { newest: Some(time.parse().unwrap()), ..ClockRecord::default() };
        let state = resume(newest("2026-11-20T17:00:00Z"), NOON, 30);
        assert!(state.doubt.is_some() && state.unsaved.is_empty());
        let state = resume(newest("2026-11-20T17:00:00Z"), "2000-01-01T00:00:00Z", 30);
        assert_eq!(state.unsaved.len(), 1);
        let state = resume(newest("2099-01-01T00:00:00Z"), NOON, 30);
        assert!(state.doubt.is_none() && state.unsaved.is_empty(), "one row of a wrong clock tells nothing of the others");
        assert_eq!(age_of(&state, "2026-11-23T11:00:00Z"), 3600);
    }
}
