//! `mask:` of a product: the clean-up of the mask.

use crate::config::collector::{Problems, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A larger radius for `open` or `close` is a typing error and would take seconds per image.
const RADIUS: (u32, u32) = (0, 200);

/// `mask:`, radii and area in pixels of the original image; 0 = off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskConfig {
    /// Radius of the opening: removes specks.
    pub open: u32,
    /// Radius of the closing: joins regions that are close together.
    pub close: u32,
    /// Regions smaller than this are removed.
    pub min_area: u32,
}

/// The shape of `mask:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawMask {
    /// Radius of the opening, in pixels; 0 = off. Removes specks and thin lines.
    #[schemars(range(min = RADIUS.0, max = RADIUS.1))]
    pub open: Option<u32>,
    /// Radius of the closing, in pixels; 0 = off. Joins regions that lie close together.
    #[schemars(range(min = RADIUS.0, max = RADIUS.1))]
    pub close: Option<u32>,
    /// Regions with fewer pixels are removed; 0 = off.
    pub min_area: Option<u32>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawMask, scope: &Scope<'_>, problems: &mut Problems) -> MaskConfig {
    let mask = MaskConfig { open: raw.open.unwrap_or(0), close: raw.close.unwrap_or(0), min_area: raw.min_area.unwrap_or(0) };
    problems.need_range(scope.key("mask.open"), mask.open, RADIUS, " pixels (0 = off)");
    problems.need_range(scope.key("mask.close"), mask.close, RADIUS, " pixels (0 = off)");
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn radii_are_checked() {
        assert_eq!(check_of_product("{}", check), (MaskConfig::default(), String::new()));
        let (mask, problems) = check_of_product("{open: 201, min_area: 5000}", check);
        assert_eq!(mask.min_area, 5000);
        assert_eq!(problems, "products[0].mask.open: 201 is out of range; use 0 to 200 pixels (0 = off)");
    }
}
