//! `rebuild:` of a product: when its bank is built again.

use crate::config::collector::{Problems, Scope};
use crate::config::values::{Span, within};
use crate::domain::duration::show;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// The smallest and the largest value, here and in the schema.
const REBUILD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(7 * 24 * 3600));
const KEEP_VERSIONS: (u32, u32) = (1, 999_999);

/// `rebuild:`
#[derive(Debug, Clone, PartialEq)]
pub struct RebuildConfig {
    /// A build starts when `ok/` has not changed for this long …
    pub quiet_period: Duration,
    /// … or this long after the first change.
    pub max_wait: Duration,
    /// Bank versions kept on disk, at least 1.
    pub keep_versions: usize,
}

/// The shape of `rebuild:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawRebuild {
    /// How long `ok` must not have changed before a build, so that a copy in progress becomes one build.
    #[schemars(transform = within(REBUILD))]
    pub quiet_period: Option<Span>,
    /// The longest time that a build waits after the first change; at least `quiet_period`.
    #[schemars(transform = within(REBUILD))]
    pub max_wait: Option<Span>,
    /// Bank versions kept on disk for `patchcored rollback`.
    #[schemars(range(min = KEEP_VERSIONS.0, max = KEEP_VERSIONS.1))]
    pub keep_versions: Option<u32>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawRebuild, scope: &Scope<'_>, problems: &mut Problems) -> RebuildConfig {
    let quiet_period = raw.quiet_period.map_or(Duration::from_secs(30), |Span(s)| s);
    let max_wait = raw.max_wait.map_or(Duration::from_secs(600), |Span(s)| s);
    problems.need_span(scope.key("rebuild.quiet_period"), quiet_period, REBUILD);
    problems.need_span(scope.key("rebuild.max_wait"), max_wait, REBUILD);
    let message = format!("{} is shorter than the quiet_period of {}; make it at least as long", show(max_wait), show(quiet_period));
    problems.need(max_wait >= quiet_period, scope.key("rebuild.max_wait"), message);
    let keep_versions = raw.keep_versions.unwrap_or(5);
    problems.need_range(scope.key("rebuild.keep_versions"), keep_versions, KEEP_VERSIONS, " versions");
    RebuildConfig { quiet_period, max_wait, keep_versions: keep_versions as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let seconds = Duration::from_secs;
        let expected = RebuildConfig { quiet_period: seconds(30), max_wait: seconds(600), keep_versions: 5 };
        assert_eq!(check_of_product("{}", check), (expected, String::new()));
    }

    #[test]
    fn bounds_are_checked() {
        let (_, problems) = check_of_product("{quiet_period: 10ms, max_wait: 5ms, keep_versions: 0}", check);
        let expected = [
            "products[0].rebuild.quiet_period: 10ms is out of range; use 100ms to 7d",
            "products[0].rebuild.max_wait: 5ms is out of range; use 100ms to 7d",
            "products[0].rebuild.max_wait: 5ms is shorter than the quiet_period of 10ms; make it at least as long",
            "products[0].rebuild.keep_versions: 0 is out of range; use 1 to 999999 versions",
        ];
        assert_eq!(problems, expected.join("\n"));
    }
}
