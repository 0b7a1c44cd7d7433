//! `drop:` of a product: the folders that its images arrive in.

use crate::config::collector::{Problems, Scope};
use crate::config::sections::intake::IntakeConfig;
use crate::config::values::{FilePath, Span, within};
use crate::domain::duration::{self, DurationError, parse_duration, show};
use crate::domain::{IMAGE_EXTENSIONS, Readiness, has_image_extension};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The shortest and the longest `quiet`.
const QUIET: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

/// One entry of `drop:`
#[derive(Debug, Clone, PartialEq)]
pub struct DropConfig {
    /// The absolute path of the folder.
    pub path: PathBuf,
    /// The file names of this product.
    pub pattern: NamePattern,
    /// Whether sub-folders count.
    pub recursive: bool,
    /// Globs of the excluded files and folders below it.
    pub exclude: Vec<String>,
    /// How the daemon knows that a file is complete.
    pub ready: Readiness,
}

/// `match:` or `regex:` on the file name (not the path).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// A glob, case-insensitive, with `{a,b}` and `[..]`.
    Glob(String),
    /// A regular expression (crate `regex`), case-sensitive, searched anywhere in the name unless anchored.
    Regex(String),
}

/// An entry of `drop:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = {"properties": {"match": {"type": "string"}, "regex": {"type": "string"}}, "required": ["match", "regex"]}))]
pub(in crate::config) struct RawDrop {
    /// The folder.
    #[schemars(required)]
    pub path: Option<FilePath>,
    /// Which file names are this product's, without their folders: a pattern in which `*` is any text, `?` one byte, `{a,b}` one or the
    /// other, `[0-9]` one of a range; upper and lower case count as the same. Products may share a folder when no file name can fit two
    /// of them.
    #[serde(rename = "match")]
    #[schemars(regex(pattern = "^[^/]*$"))]
    pub glob: Option<String>,
    /// A regular expression instead of `match`. It may fit anywhere in the file name unless it has `^` and `$`. Upper and lower case
    /// differ.
    pub regex: Option<String>,
    /// Whether sub-folders count (those made later, too). The daemon never looks at names that begin with a dot, nor at the system's own
    /// folders on shares and disks, for example `@eaDir`, `#recycle` or `$RECYCLE.BIN` (docs/operating.md lists them).
    pub recursive: Option<bool>,
    /// Which names below the folder the daemon leaves out: patterns as in `match`. A pattern without a `/` is compared with the name of
    /// each sub-folder and file. A pattern with a `/` is compared with the path from the drop folder on, in which `**` stands for any
    /// number of folders. A folder that fits is left out with everything in it, and is not watched.
    #[schemars(inner(length(min = 1)))]
    pub exclude: Option<Vec<String>>,
    /// How the daemon knows that a file is complete. `close_write`: the camera software has closed it (local writers, Samba, most FTP
    /// servers). `rename`: it appears under its final name only when complete (rsync, careful software). `{quiet: 500ms}`: it has not
    /// changed for this long (network mounts, unknown writers). `{marker: .done}`: a second file stands beside it.
    pub ready: Option<RawReady>,
}

/// `ready:` as one word (`close_write`, `rename`), as text (`"quiet: 500ms"`) or as keys (`{quiet: 500ms}`).
#[derive(Debug, Clone)]
pub(in crate::config) enum RawReady {
    Text(Readiness),
    Keys(RawReadyKeys),
}

/// One of the two.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct RawReadyKeys {
    /// The file is complete when its size and times have not changed for this long. Not longer than `intake.give_up_after`.
    #[schemars(transform = within(QUIET))]
    pub quiet: Option<Span>,
    /// The file `X.jpg` is complete when a second file stands beside it whose name ends in this, as `X.jpg.done` for `.done`.
    #[schemars(length(min = 1))]
    pub marker: Option<String>,
}

/// A text that does not say how the daemon knows that a file is complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::config) enum ReadyError {
    /// An unknown way.
    #[error("`{0}` is not one of: close_write, rename, {{quiet: 500ms}}, {{marker: .done}}")]
    Unknown(String),
    /// A wrong duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
}

impl FromStr for RawReady {
    type Err = ReadyError;

    fn from_str(text: &str) -> Result<Self, ReadyError> {
        let readiness = match text.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            None if text == "close_write" => Readiness::CloseWrite,
            None if text == "rename" => Readiness::Rename,
            Some(("quiet", span)) => Readiness::Quiet(parse_duration(span)?),
            Some(("marker", suffix)) => Readiness::Marker(suffix.to_owned()),
            _ => return Err(ReadyError::Unknown(text.to_owned())),
        };
        Ok(Self::Text(readiness))
    }
}

impl<'de> Deserialize<'de> for RawReady {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrKeys;
        impl<'de> Visitor<'de> for TextOrKeys {
            type Value = RawReady;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("close_write, rename, {quiet: 500ms} or {marker: .done}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawReady, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawReady, A::Error> {
                RawReadyKeys::deserialize(MapAccessDeserializer::new(map)).map(RawReady::Keys)
            }
        }
        deserializer.deserialize_any(TextOrKeys)
    }
}

impl JsonSchema for RawReady {
    fn schema_name() -> Cow<'static, str> {
        "Ready".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let as_text = format!(r"^(quiet *: *{}|marker *: *\S.*)$", duration::pattern());
        let words = json_schema!({"type": "string", "enum": ["close_write", "rename"]});
        json_schema!({"anyOf": [words, RawReadyKeys::json_schema(generator), {"type": "string", "pattern": as_text}, {"type": "null"}]})
    }
}

/// Checks all entries.
pub(in crate::config) fn check(raw: Vec<RawDrop>, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> Vec<DropConfig> {
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
            // The error shows the pattern over several lines; the last line has the words.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    fn checked(text: &str) -> (Vec<DropConfig>, String) {
        let intake = IntakeConfig { rescan: Duration::from_secs(30), give_up_after: Duration::from_secs(10), max_megapixels: 64 };
        check_of_product(text, |raw, scope, problems| check(raw, scope, &intake, problems))
    }

    #[test]
    fn what_is_left_out_takes_the_defaults() {
        let pattern = NamePattern::Glob("*.{jpg,jpeg,png,bmp,tif,tiff}".into());
        let expected = DropConfig { path: "/drop".into(), pattern, recursive: true, exclude: Vec::new(), ready: Readiness::CloseWrite };
        assert_eq!(checked("[{path: /drop}]"), (vec![expected], String::new()));
    }

    #[test]
    fn every_way_to_write_ready() {
        for (text, ready) in [
            ("close_write", Readiness::CloseWrite),
            ("rename", Readiness::Rename),
            ("{quiet: 500ms}", Readiness::Quiet(Duration::from_millis(500))),
            ("'quiet: 2s'", Readiness::Quiet(Duration::from_secs(2))),
            ("{marker: .done}", Readiness::Marker(".done".into())),
            ("'marker: .done'", Readiness::Marker(".done".into())),
            ("null", Readiness::CloseWrite),
        ] {
            let (drops, problems) = checked(&format!("[{{path: /drop, ready: {text}}}]"));
            assert_eq!((&drops[0].ready, problems.as_str()), (&ready, ""), "{text}");
        }
        assert_eq!("quiet: 5".parse::<RawReady>().unwrap_err().to_string(), parse_duration("5").unwrap_err().to_string());
        assert!("closed".parse::<RawReady>().unwrap_err().to_string().ends_with("{quiet: 500ms}, {marker: .done}"));
    }

    #[test]
    fn patterns_and_folders_are_checked() {
        for (text, words) in [
            ("[]", "products[0].drop: is required"),
            ("[{}]", "products[0].drop[0].path: is required"),
            ("[{path: /d, match: a, regex: a}]", "products[0].drop[0].regex: stands beside `match`"),
            ("[{path: /d, match: a/b}]", "products[0].drop[0].match: `a/b` has a `/`"),
            ("[{path: /d, regex: (}]", "products[0].drop[0].regex: `(` is no regular expression: unclosed group;"),
            ("[{path: /d, exclude: [a, /b]}]", "products[0].drop[0].exclude[1]: `/b` is no pattern: paths start below"),
            ("[{path: /d, ready: {quiet: 5ms}}]", "products[0].drop[0].ready.quiet: 5ms is out of range; use 10ms to 1h"),
            ("[{path: /d, ready: {quiet: 11s}}]", "products[0].drop[0].ready.quiet: 11s is longer than intake.give_up_after (10s)"),
            ("[{path: /d, ready: {marker: .png}}]", "products[0].drop[0].ready.marker: `.png` is no suffix"),
            ("[{path: /d, ready: {}}]", "products[0].drop[0].ready: needs one of its keys"),
        ] {
            let (_, problems) = checked(text);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
    }
}
