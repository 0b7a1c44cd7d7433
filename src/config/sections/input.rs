//! `input:` of a product: the form that its images must have.

use crate::config::collector::{Problems, Scope};
use crate::config::sections::intake::IntakeConfig;
use crate::config::values::one_of;
use schemars::JsonSchema;
use serde::Deserialize;

/// The smallest and the largest value, here and in the schema.
const BIT_DEPTH: (u32, u32) = (8, 16);

/// The channels that a file may have.
const CHANNELS: [u8; 3] = [1, 3, 4];

/// `input:`; `None` accepts anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputConfig {
    /// Pixels per row.
    pub width: Option<u32>,
    /// Rows.
    pub height: Option<u32>,
    /// Channels of the file: 1, 3 or 4.
    pub channels: Option<u8>,
    /// Significant bits per sample, 8..=16.
    pub bit_depth: Option<u8>,
}

/// The shape of `input:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawInput {
    /// Pixels per row. Without it every width is accepted.
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
    /// Rows of pixels. Without it every height is accepted.
    #[schemars(range(min = 1))]
    pub height: Option<u32>,
    /// Channels in the file: 1 (gray), 3 (RGB) or 4 (RGBA). Without it all are accepted.
    #[schemars(extend("enum" = one_of(&CHANNELS)))]
    pub channels: Option<u8>,
    /// Significant bits per sample. Needed for 10, 12 or 14-bit cameras that write 16-bit files: without it such images would come out
    /// almost black.
    #[schemars(range(min = BIT_DEPTH.0, max = BIT_DEPTH.1))]
    pub bit_depth: Option<u8>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawInput, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> InputConfig {
    let RawInput { width, height, channels, bit_depth } = raw;
    for (key, side) in [("input.width", width), ("input.height", height)] {
        problems.need(side != Some(0), scope.key(key), "0 would refuse every image; write the pixels, or leave it out to accept all");
    }
    if let (Some(w), Some(h)) = (width, height) {
        let fits = u64::from(w) * u64::from(h) <= u64::from(intake.max_megapixels) * 1_000_000;
        let message = format!(
            "{w} x {h} pixels are more than intake.max_megapixels ({}), so every image would be refused; raise that",
            intake.max_megapixels
        );
        problems.need(fits, scope.key("input.width"), message);
    }
    let shown = channels.unwrap_or(1);
    problems.need(
        CHANNELS.contains(&shown),
        scope.key("input.channels"),
        format!("{shown} is not possible; use 1 (gray), 3 (RGB) or 4 (RGBA), or leave it out to accept all"),
    );
    problems.need_range(scope.key("input.bit_depth"), bit_depth.map_or(8, u32::from), BIT_DEPTH, " bits per sample");
    InputConfig { width, height, channels, bit_depth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;
    use std::time::Duration;

    fn checked(text: &str) -> (InputConfig, String) {
        let intake = IntakeConfig { rescan: Duration::from_secs(30), give_up_after: Duration::from_secs(10), max_megapixels: 1 };
        check_of_product(text, |raw, scope, problems| check(raw, scope, &intake, problems))
    }

    #[test]
    fn what_is_left_out_accepts_everything() {
        assert_eq!(checked("{}"), (InputConfig::default(), String::new()));
    }

    #[test]
    fn images_that_would_all_be_refused_are_a_problem() {
        for (text, words) in [
            ("{width: 0}", "products[0].input.width: 0 would refuse every image"),
            ("{width: 2000, height: 1000}", "products[0].input.width: 2000 x 1000 pixels are more than intake.max_megapixels (1)"),
            ("{channels: 2}", "products[0].input.channels: 2 is not possible"),
            ("{bit_depth: 7}", "products[0].input.bit_depth: 7 is out of range; use 8 to 16 bits per sample"),
        ] {
            let (_, problems) = checked(text);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
    }
}
