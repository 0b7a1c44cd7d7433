//! `health:` of a product: warnings about its camera.

use crate::config::collector::{Problems, Scope};
use schemars::JsonSchema;
use serde::Deserialize;

/// The smallest and the largest value, here and in the schema.
const BLACK: (u32, u32) = (1, 99);
const SATURATED: (u32, u32) = (1, 100);
const FROZEN: (u32, u32) = (2, 1000);

/// `health:`; the daemon inspects the images in any case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthConfig {
    /// An image with a mean below this percentage of full scale is black.
    pub black: Option<u32>,
    /// An image with at least this percentage of its samples at full scale is overexposed.
    pub saturated: Option<u32>,
    /// The same picture this many times in a row means that the camera is frozen.
    pub frozen: Option<u32>,
}

impl HealthConfig {
    /// True when any warning is wanted.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }
}

/// The shape of `health:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawHealth {
    /// An image is black (lamp off, cap on the lens) when its mean brightness is below this percentage of full scale. Set it well below
    /// your darkest part. Without it there is no warning.
    #[schemars(range(min = BLACK.0, max = BLACK.1))]
    pub black: Option<u32>,
    /// An image is overexposed when at least this percentage of it is at full scale. Bright metal has some; set it well above that.
    /// Without it there is no warning.
    #[schemars(range(min = SATURATED.0, max = SATURATED.1))]
    pub saturated: Option<u32>,
    /// The camera is frozen when exactly the same picture came this many times in a row. A working camera never repeats a picture, because
    /// of its noise. Each drop folder counts for itself. Without it there is no warning.
    #[schemars(range(min = FROZEN.0, max = FROZEN.1))]
    pub frozen: Option<u32>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawHealth, scope: &Scope<'_>, problems: &mut Problems) -> HealthConfig {
    let RawHealth { black, saturated, frozen } = raw;
    for (key, value, bounds, unit) in [
        ("health.black", black, BLACK, " percent of full brightness"),
        ("health.saturated", saturated, SATURATED, " percent of the pixels"),
        ("health.frozen", frozen, FROZEN, " images"),
    ] {
        problems.need_range(scope.key(key), value.unwrap_or(bounds.0), bounds, &format!("{unit}, or leave it out"));
    }
    HealthConfig { black, saturated, frozen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn nobody_is_warned_by_default() {
        let (health, problems) = check_of_product("{}", check);
        assert!(!health.is_on() && problems.is_empty());
        let (health, problems) = check_of_product("{frozen: 3}", check);
        assert!(health.is_on() && problems.is_empty());
    }

    #[test]
    fn bounds_are_checked() {
        let (_, problems) = check_of_product("{black: 100, saturated: 0, frozen: 1}", check);
        let expected = [
            "products[0].health.black: 100 is out of range; use 1 to 99 percent of full brightness, or leave it out",
            "products[0].health.saturated: 0 is out of range; use 1 to 100 percent of the pixels, or leave it out",
            "products[0].health.frozen: 1 is out of range; use 2 to 1000 images, or leave it out",
        ];
        assert_eq!(problems, expected.join("\n"));
    }
}
