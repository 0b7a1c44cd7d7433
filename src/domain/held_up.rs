//! Images, defects and messages that wait for help.

use jiff::Timestamp;
use std::time::Duration;

/// The daemon reports a wait that lasts this long.
pub const WAITS_TOO_LONG: Duration = Duration::from_secs(60);
/// Used instead of a code, for defects that wait for their action.
pub const ON_NG: &str = "on_ng";
/// Used instead of a code, for messages that the broker has not acknowledged.
pub const MQTT: &str = "mqtt";

/// The waits of one product for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// The product; `None` for messages.
    pub product: Option<String>,
    /// A code of `reason_code`, [`ON_NG`] or [`MQTT`].
    pub reason: String,
    /// How many wait.
    pub count: i64,
    /// The one that has waited longest: an inspection, or the place of a message or defect in its queue.
    pub oldest: i64,
    /// Its image, and the reason in words.
    pub what: String,
    /// When its wait began.
    pub since: Timestamp,
}
