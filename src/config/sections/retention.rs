//! `retention:` of a product: how long its files are kept.

use crate::config::collector::{Problems, Scope};
use crate::config::values::{Span, Word, read_text, within};
use crate::domain::duration::show;
use crate::domain::{FileKind, MinFree};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The shortest and the longest age, here and in the schema. For more than ten years, it is better to leave the key out.
const AGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3650 * 24 * 3600));

/// `retention:`
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionConfig {
    /// How long after the decision the daemon deletes files of a kind. A missing kind is kept for ever.
    pub ages: BTreeMap<FileKind, Duration>,
    /// The free space to keep on the disks of the files.
    pub min_free: Option<MinFree>,
    /// The kinds that `min_free` may delete.
    pub when_full: Vec<FileKind>,
    /// No file is deleted earlier than this after the decision.
    pub keep_at_least: Duration,
    /// How long after the decision a row whose files are gone stays in the history. `None` = for ever.
    pub rows: Option<Duration>,
}

impl RetentionConfig {
    /// True when anything may ever be deleted.
    pub fn is_on(&self) -> bool {
        !self.ages.is_empty() || self.min_free.is_some()
    }

    /// True when files of this kind may ever be deleted.
    pub fn allows(&self, kind: FileKind) -> bool {
        self.ages.contains_key(&kind) || (self.min_free.is_some() && self.when_full.contains(&kind))
    }
}

impl<'de> Deserialize<'de> for MinFree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "disk space with its unit, as 10%, 500MB, 20GB or 2TB", str::parse)
    }
}

impl JsonSchema for MinFree {
    fn schema_name() -> Cow<'static, str> {
        "MinFree".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": format!("^{}$", Self::pattern())})
    }
}

/// The shape of `retention:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawRetention {
    /// Mask, overlay and the other outputs of images decided `ok` are deleted this long after the decision, as `14d`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ok_outputs: Option<Span>,
    /// The same for images decided `ng`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ng_outputs: Option<Span>,
    /// The images themselves that were decided `ok` are deleted this long after the decision, as `30d`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ok_images: Option<Span>,
    /// The same for images decided `ng`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ng_images: Option<Span>,
    /// Free space to keep on the disks of the drop folders and of `outputs.dir`, as `10%` of the disk or `20GB`. If there is less, the
    /// oldest files of the kinds in `when_full` are deleted, whatever their age, until there is enough again. Without it, nothing is
    /// deleted because of too little space.
    pub min_free: Option<MinFree>,
    /// The files that `min_free` may delete: any of ok_outputs, ok_images, ng_outputs, ng_images. They always go in this order.
    pub when_full: Option<Vec<Word<FileKind>>>,
    /// No file is deleted earlier than this after the decision, even when the disk is full.
    #[schemars(transform = within(AGE))]
    pub keep_at_least: Option<Span>,
    /// Rows are moved out of the history this long after the decision, as `400d`, into one SQLite file for each month beside the database.
    /// Needs an age for all four kinds of files, none longer than this: a row goes when its files are gone. Without it, rows stay for ever.
    #[schemars(transform = within(AGE))]
    pub rows: Option<Span>,
}

/// Checks the section.
pub(in crate::config) fn check(raw: RawRetention, scope: &Scope<'_>, problems: &mut Problems) -> RetentionConfig {
    let RawRetention { ok_outputs, ng_outputs, ok_images, ng_images, min_free, when_full, keep_at_least, rows } = raw;
    let keep_at_least = keep_at_least.map_or(Duration::from_secs(3600), |Span(s)| s);
    problems.need_span(scope.key("retention.keep_at_least"), keep_at_least, AGE);
    let given = [
        (FileKind::OkOutputs, ok_outputs),
        (FileKind::OkImages, ok_images),
        (FileKind::NgOutputs, ng_outputs),
        (FileKind::NgImages, ng_images),
    ];
    let ages: BTreeMap<FileKind, Duration> = given.into_iter().filter_map(|(kind, age)| age.map(|Span(age)| (kind, age))).collect();
    for (kind, age) in &ages {
        let key = scope.key(&format!("retention.{kind}"));
        problems.need_span(key.clone(), *age, AGE);
        let message = format!(
            "{} is shorter than keep_at_least ({}), which holds for every file; make it at least as long, or shorten that",
            show(*age),
            show(keep_at_least)
        );
        problems.need(*age >= keep_at_least, key, message);
    }
    match min_free {
        Some(MinFree::Percent(percent)) => problems.need_range(scope.key("retention.min_free"), percent, (1, 90), " percent of the disk"),
        Some(MinFree::Bytes(0)) => problems.add(scope.key("retention.min_free"), "0 would keep nothing free; write for example 20GB"),
        _ => {}
    }
    let when_full: Vec<FileKind> = match when_full {
        Some(kinds) => kinds.into_iter().map(|Word(kind)| kind).collect(),
        None => vec![FileKind::OkOutputs],
    };
    let useless = min_free.is_some() && when_full.is_empty();
    problems.need(
        !useless,
        scope.key("retention.when_full"),
        "is empty, so min_free could delete nothing; list what may go, as [ok_outputs]",
    );
    let rows = rows.map(|Span(rows)| rows);
    if let Some(rows) = rows {
        problems.need_span(scope.key("retention.rows"), rows, AGE);
        let lacking: Vec<&str> =
            FileKind::ALL.iter().filter(|kind| ages.get(kind).is_none_or(|age| *age > rows)).map(|kind| kind.as_str()).collect();
        let message = format!(
            "a row goes when its files are gone, so each kind of file needs an age of at most {}; set or shorten {}",
            show(rows),
            lacking.join(", ")
        );
        problems.need(lacking.is_empty(), scope.key("retention.rows"), message);
    }
    RetentionConfig { ages, min_free, when_full, keep_at_least, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_of_product;

    #[test]
    fn nothing_is_deleted_by_default() {
        let (retention, problems) = check_of_product("{}", check);
        let keep_at_least = Duration::from_secs(3600);
        let expected =
            RetentionConfig { ages: BTreeMap::new(), min_free: None, when_full: vec![FileKind::OkOutputs], keep_at_least, rows: None };
        assert!(!retention.is_on() && problems.is_empty());
        assert_eq!(retention, expected);
    }

    #[test]
    fn ages_and_disk_space_are_checked() {
        for (text, words) in [
            ("{ok_outputs: 30m}", "products[0].retention.ok_outputs: 30m is shorter than keep_at_least (1h)"),
            ("{ng_outputs: 5000d}", "products[0].retention.ng_outputs: 5000d is out of range; use 1s to 3650d"),
            ("{min_free: 95%}", "products[0].retention.min_free: 95 is out of range; use 1 to 90 percent of the disk"),
            ("{min_free: 0GB}", "products[0].retention.min_free: 0 would keep nothing free"),
            ("{min_free: 1GB, when_full: []}", "products[0].retention.when_full: is empty"),
            (
                "{ok_outputs: 2d, ok_images: 20d, ng_images: 3d, rows: 4d}",
                "products[0].retention.rows: a row goes when its files are gone, so each kind of file needs an age of at most 4d; set or shorten ok_images, ng_outputs",
            ),
        ] {
            let (_, problems) = check_of_product(text, check);
            assert!(problems.starts_with(words), "{text}: {problems}");
        }
    }
}
