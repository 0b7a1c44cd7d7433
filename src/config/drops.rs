//! `drop:` of a product.

use super::check::{Problems, Scope};
use super::duration::show;
use super::raw::{RawDrop, RawReady, RawReadyKeys, Span};
use super::{DropConfig, IntakeConfig, NamePattern};
use crate::inspection::{IMAGE_EXTENSIONS, Readiness, has_image_extension};
use std::path::Path;
use std::time::Duration;

/// Shortest and longest `quiet`.
pub(super) const QUIET: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

pub(super) fn check(raw: Vec<RawDrop>, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> Vec<DropConfig> {
    problems.need(
        !raw.is_empty(),
        scope.key("drop"),
        "is required; list one or more folders, as `drop: [{path: /srv/camera/line1/front}]`",
    );
    let mut drops = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        let key = |name: &str| scope.key(&format!("drop[{i}].{name}"));
        drops.push(DropConfig {
            path: problems.required_path(&key("path"), raw.path, "/srv/camera/line1/front"),
            pattern: check_pattern(raw.glob, raw.regex, key, problems),
            recursive: raw.recursive.unwrap_or(true),
            exclude: check_exclude(raw.exclude.unwrap_or_default(), &key("exclude"), problems),
            ready: check_ready(raw.ready, &key("ready"), intake, problems),
        });
    }
    drops
}

fn check_pattern(glob: Option<String>, regex: Option<String>, key: impl Fn(&str) -> String, problems: &mut Problems) -> NamePattern {
    if glob.is_some() && regex.is_some() {
        problems.add(key("regex"), "stands beside `match`, but only one can say which names are taken; remove one");
    }
    if let Some(regex) = regex {
        if let Err(error) = regex::bytes::Regex::new(&regex) {
            // The error draws the pattern over several lines; the last one has the words.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            problems
                .add(key("regex"), format!("`{regex}` is no regular expression: {reason}; write for example '^front_.*' in single quotes"));
        }
        return NamePattern::Regex(regex);
    }
    let glob = glob.unwrap_or_else(|| format!("*.{{{}}}", IMAGE_EXTENSIONS.join(",")));
    if glob.contains('/') {
        let message = format!("`{glob}` has a `/`, but only the file name is compared; put folders into `path`");
        problems.add(key("match"), message);
    } else if let Err(error) = globset::GlobBuilder::new(&glob).case_insensitive(true).empty_alternates(true).build() {
        problems.add(key("match"), format!("`{glob}` is no pattern: {}; write for example \"front_*.{{jpg,png}}\"", error.kind()));
    }
    NamePattern::Glob(glob)
}

fn check_exclude(patterns: Vec<String>, key: &str, problems: &mut Problems) -> Vec<String> {
    for (i, pattern) in patterns.iter().enumerate() {
        let wrong = if pattern.is_empty() || pattern.starts_with('/') || pattern.ends_with('/') {
            Some("paths start below the drop folder, and neither begin nor end with `/`".to_owned())
        } else {
            globset::GlobBuilder::new(pattern).empty_alternates(true).build().err().map(|e| e.kind().to_string())
        };
        if let Some(wrong) = wrong {
            problems.add(format!("{key}[{i}]"), format!("`{pattern}` is no pattern: {wrong}; write for example archive or \"cam1/test*\""));
        }
    }
    patterns
}

fn check_ready(raw: Option<RawReady>, key: &str, intake: &IntakeConfig, problems: &mut Problems) -> Readiness {
    let ready = match raw {
        None => Readiness::CloseWrite,
        Some(RawReady::Text(ready)) => ready,
        Some(RawReady::Keys(RawReadyKeys { quiet: Some(Span(quiet)), marker: None })) => Readiness::Quiet(quiet),
        Some(RawReady::Keys(RawReadyKeys { quiet: None, marker: Some(suffix) })) => Readiness::Marker(suffix),
        Some(RawReady::Keys(_)) => {
            problems.add(key, "needs one of its keys; write `{quiet: 500ms}` or `{marker: .done}`");
            Readiness::CloseWrite
        }
    };
    match &ready {
        Readiness::CloseWrite | Readiness::Rename => {}
        Readiness::Quiet(quiet) => {
            problems.need_span(format!("{key}.quiet"), *quiet, QUIET);
            let message = format!(
                "{} is longer than intake.give_up_after ({}), so every file would be given up first; raise that, or shorten this",
                show(*quiet),
                show(intake.give_up_after)
            );
            problems.need(*quiet <= intake.give_up_after, format!("{key}.quiet"), message);
        }
        Readiness::Marker(suffix) => {
            let usable = !suffix.is_empty() && !suffix.contains(['/', '\0']) && !has_image_extension(Path::new(&format!("x.jpg{suffix}")));
            let message = format!("`{suffix}` is no suffix for a marker file; write for example `.done` (not an image's, and no folder)");
            problems.need(usable, format!("{key}.marker"), message);
        }
    }
    ready
}
