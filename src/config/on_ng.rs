//! `on_ng:` of a product.

use super::OnNgConfig;
use super::check::{Problems, Scope};
use super::paths;
use super::raw::{RawOnNg, Span};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// No command may take longer than this.
pub const LONGEST_COMMAND: Duration = Duration::from_secs(60);

/// Smallest and largest value that is accepted, here and in the schema.
pub(super) const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), LONGEST_COMMAND);
pub(super) const CONCURRENT: (u32, u32) = (1, 16);
pub(super) const MAX_AGE: (Duration, Duration) = (SECOND, Duration::from_secs(24 * 3600));

/// `None` without a command; what else is set is checked all the same.
pub(super) fn check(raw: RawOnNg, scope: &Scope<'_>, problems: &mut Problems) -> Option<OnNgConfig> {
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
