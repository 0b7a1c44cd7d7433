//! Reads the two clocks together.

use crate::domain::ClockJump;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A smaller difference is no jump: NTP corrects a little now and then.
const JUMP: Duration = Duration::from_secs(2);
/// NTP may slew the wall clock by a tenth (chrony: 8 %) of the elapsed time, which is no jump either. At most this much.
const LARGEST_SLEW: Duration = Duration::from_secs(30);
/// Two readings that are further apart are not of one moment, and are repeated.
const MOMENT: Duration = Duration::from_millis(100);
/// The most tries.
const TRIES: u32 = 5;

/// The clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since the computer was started, including time asleep. Nobody sets it.
    pub since_boot: Duration,
}

impl Reading {
    /// Reads both clocks now.
    pub fn take() -> Self {
        let mut tries = 0;
        loop {
            let before = since_boot();
            let wall = Timestamp::now();
            let since_boot = since_boot();
            tries += 1;
            if since_boot.saturating_sub(before) < MOMENT || tries == TRIES {
                return Self { wall, since_boot };
            }
        }
    }

    /// The jump of the wall clock since an earlier reading after the same start of the computer.
    pub fn jump_since(&self, earlier: &Self) -> Option<ClockJump> {
        let passed = self.since_boot.saturating_sub(earlier.since_boot);
        let passed_signed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let expected = earlier.wall.checked_add(passed_signed).unwrap_or(Timestamp::MAX);
        let off = self.wall.duration_since(expected);
        // Nobody knows when between the two readings it was set: each side reaches as far as possible.
        (off.unsigned_abs() > JUMP + (passed / 10).min(LARGEST_SLEW)).then(|| ClockJump {
            before: expected,
            after: self.wall.checked_sub(passed_signed).unwrap_or(Timestamp::MIN),
            shift_ms: ms(off),
            witnessed: true,
        })
    }
}

/// In milliseconds.
pub fn ms(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(if duration.is_negative() { i64::MIN } else { i64::MAX })
}

/// Which start of the computer this is; empty when the system does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
