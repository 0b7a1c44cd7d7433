//! When the daemon tries an undecided image again.

use jiff::Timestamp;
use std::time::Duration;

/// The wait before another try at an incomplete file; each attempt doubles it, up to [`RETRY_LONGEST`].
pub const RETRY: Duration = Duration::from_millis(250);
/// The longest of these waits.
pub const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// The wait when the bank or the output folder is at fault and a person has to act. The longest of all.
pub const RETRY_OBSTACLE: Duration = Duration::from_secs(10);

/// This long from now, by the wall clock.
pub fn later(wait: Duration) -> Timestamp {
    Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX)
}
