//! `intake:`: how the daemon takes images in.

use crate::config::collector::Problems;
use crate::config::values::{Span, within};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The smallest and the largest value, here and in the schema.
const RESCAN: (Duration, Duration) = (SECOND, Duration::from_secs(3600));
const GIVE_UP_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(24 * 3600));
const MEGAPIXELS: (u32, u32) = (1, 1000);

/// `intake:`
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeConfig {
    /// Time between two full scans of a drop folder.
    pub rescan: Duration,
    /// How long a file may stay incomplete, from its last change.
    pub give_up_after: Duration,
    /// Largest image accepted, in 10^6 pixels.
    pub max_megapixels: u32,
}

/// The shape of `intake:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawIntake {
    /// Time between two full scans of the drop folders. The events of the kernel only make things faster. This scan finds every image that
    /// they missed. On network mounts, which send no events, it is the only way.
    #[schemars(transform = within(RESCAN))]
    pub rescan: Option<Span>,
    /// How long a file may stay incomplete after its last change. After that the image is recorded as failed, with the reason. Set it
    /// longer than the longest pause of your camera or network while it writes one file.
    #[schemars(transform = within(GIVE_UP_AFTER))]
    pub give_up_after: Option<Span>,
    /// The largest image that is decoded, in million pixels. This protects the memory from damaged or hostile files: reading an image may
    /// take 12 bytes for each pixel of this number.
    #[schemars(range(min = MEGAPIXELS.0, max = MEGAPIXELS.1))]
    pub max_megapixels: Option<u32>,
}

pub(in crate::config) fn check(raw: RawIntake, problems: &mut Problems) -> IntakeConfig {
    let rescan = raw.rescan.map_or(30 * SECOND, |Span(s)| s);
    problems.need_span("intake.rescan", rescan, RESCAN);
    let give_up_after = raw.give_up_after.map_or(10 * SECOND, |Span(s)| s);
    problems.need_span("intake.give_up_after", give_up_after, GIVE_UP_AFTER);
    let max_megapixels = raw.max_megapixels.unwrap_or(64);
    problems.need_range("intake.max_megapixels", max_megapixels, MEGAPIXELS, " megapixels");
    IntakeConfig { rescan, give_up_after, max_megapixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_alone;

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let expected = IntakeConfig { rescan: 30 * SECOND, give_up_after: 10 * SECOND, max_megapixels: 64 };
        assert_eq!(check_alone("{}", check), (expected, String::new()));
    }

    #[test]
    fn bounds_are_checked() {
        let (_, problems) = check_alone("{rescan: 500ms, give_up_after: 25h, max_megapixels: 0}", check);
        let expected = [
            "intake.rescan: 500ms is out of range; use 1s to 1h",
            "intake.give_up_after: 25h is out of range; use 100ms to 24h",
            "intake.max_megapixels: 0 is out of range; use 1 to 1000 megapixels",
        ];
        assert_eq!(problems, expected.join("\n"));
    }
}
