//! The facts about the wall clock: when the daemon last ran, and when the clock was set.

use jiff::Timestamp;

/// The wall clock changed from one time to another although no time had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The last time that it can have shown before the jump.
    pub before: Timestamp,
    /// The first time that it can have shown after the jump.
    pub after: Timestamp,
    /// The shift in ms; a time from before is this much later on the clock after the jump.
    pub shift_ms: i64,
    /// False: the computer was restarted meanwhile, and nothing shows how much time has passed.
    pub witnessed: bool,
}

/// The clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockStamp {
    /// The wall clock.
    pub wall: Timestamp,
    /// The id of this start of the computer; empty when the system gives none.
    pub boot_id: String,
    /// The time since that start, ms.
    pub since_boot_ms: i64,
}

/// The clock data in the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// Oldest first.
    pub jumps: Vec<ClockJump>,
    /// When a daemon last ran; `None` before the first daemon that recorded it.
    pub stamp: Option<ClockStamp>,
    /// The newest time of an arrival, a decision or an event; `None` in an empty history.
    pub newest: Option<Timestamp>,
}

/// Times of rows, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}
