//! `on_ng:` of a product: the action on a defect.

use crate::config::collector::{Problems, Scope};
use crate::config::paths;
use crate::config::values::{Span, within};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// No command may take longer than this.
pub const LONGEST_COMMAND: Duration = Duration::from_secs(60);

/// The smallest and the largest value, here and in the schema.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), LONGEST_COMMAND);
const CONCURRENT: (u32, u32) = (1, 16);
const MAX_AGE: (Duration, Duration) = (SECOND, Duration::from_secs(24 * 3600));

/// `on_ng:`
#[derive(Debug, Clone, PartialEq)]
pub struct OnNgConfig {
    /// The program, absolute, and its arguments; never empty.
    pub command: Vec<String>,
    /// A command that takes longer is killed.
    pub timeout: Duration,
    /// Commands of this product that may run at the same time, at least 1.
    pub concurrent: usize,
    /// The command does not run for an older image.
    pub max_age: Duration,
}

/// The shape of `on_ng:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawOnNg {
    /// The program with its whole path, and its arguments, each as its own entry, for example `[/usr/local/bin/reject, --station, "3"]`.
    /// No shell is used. Without it no command is run.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// A command that takes longer is killed with all processes that it started.
    #[schemars(transform = within(TIMEOUT))]
    pub timeout: Option<Span>,
    /// Commands of this product that may run at the same time. More defects wait for their turn.
    #[schemars(range(min = CONCURRENT.0, max = CONCURRENT.1))]
    pub concurrent: Option<u32>,
    /// If an image came longer ago than this, the command is not run, because the part has left the station. Set it to about the time that
    /// a part takes from the camera to the place where it is rejected. An event reports each part that was missed.
    #[schemars(transform = within(MAX_AGE))]
    pub max_age: Option<Span>,
}

/// `None` without a command. The other keys are checked in any case.
pub(in crate::config) fn check(raw: RawOnNg, scope: &Scope<'_>, problems: &mut Problems) -> Option<OnNgConfig> {
    let timeout = raw.timeout.map_or(5 * SECOND, |Span(s)| s);
    problems.need_span(scope.key("on_ng.timeout"), timeout, TIMEOUT);
    let concurrent = raw.concurrent.unwrap_or(1);
    problems.need_range(scope.key("on_ng.concurrent"), concurrent, CONCURRENT, " commands");
    let max_age = raw.max_age.map_or(30 * SECOND, |Span(s)| s);
    problems.need_span(scope.key("on_ng.max_age"), max_age, MAX_AGE);
    let command = raw.command?;
    let key = scope.key("on_ng.command");
    match command.first().map(String::as_str) {
        None | Some("") => problems.add(&key, "names no program; write for example `[/usr/local/bin/reject]`, or null for none"),
        Some(program) if let Some(fault) = paths::foreign(program) => problems.add(&key, fault),
        Some(program) if !program.starts_with('/') => {
            let message = format!(
                "`{program}` is not a whole path; write for example `/usr/local/bin/reject` (no shell looks for it, and each argument is an entry of its own)"
            );
            problems.add(&key, message);
        }
        Some(_) => {}
    }
    problems.need(!command.iter().any(|part| part.contains('\0')), &key, "has a zero byte, which no argument can have; remove it");
    Some(OnNgConfig { command, timeout, concurrent: concurrent as usize, max_age })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn a_command_takes_the_defaults() {
        assert_eq!(check_of_product("{}", check), (None, String::new()));
        let expected = OnNgConfig { command: vec!["/bin/true".into()], timeout: 5 * SECOND, concurrent: 1, max_age: 30 * SECOND };
        assert_eq!(check_of_product("command: [/bin/true]", check), (Some(expected), String::new()));
    }

    #[test]
    fn programs_and_bounds_are_checked() {
        for (text, words) in [
            ("{timeout: 2m}", "products[0].on_ng.timeout: 2m is out of range; use 100ms to 1m"),
            ("{concurrent: 0}", "products[0].on_ng.concurrent: 0 is out of range; use 1 to 16 commands"),
            ("{max_age: 500ms}", "products[0].on_ng.max_age: 500ms is out of range; use 1s to 24h"),
            ("{command: []}", "products[0].on_ng.command: names no program"),
            ("{command: [reject]}", "products[0].on_ng.command: `reject` is not a whole path"),
            ("{command: [~/reject]}", "products[0].on_ng.command: `~/reject`: `~` is not expanded"),
            ("{command: [/bin/true, \"a\\0b\"]}", "products[0].on_ng.command: has a zero byte"),
        ] {
            let (_, problems) = check_of_product(text, check);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
    }
}
