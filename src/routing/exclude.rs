//! The files and folders that a rule excludes below its drop folder.

use super::composed::composed;
use super::error::RoutingError;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::{Component, Path};

/// The `exclude` patterns of one rule, ready for use.
///
/// A pattern without a `/` is compared with each name between the drop folder and the file, and with the file's own name. A pattern with a
/// `/` is compared with the whole path; there, `*` stays within a name and `**` does not. A matching folder is excluded with everything in
/// it. Upper and lower case count as the same.
#[derive(Debug, Clone)]
pub(super) struct Exclude {
    names: GlobSet,
    ways: GlobSet,
}

impl Exclude {
    pub(super) fn new(patterns: &[String]) -> Result<Self, RoutingError> {
        let (mut names, mut ways) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let wrong = |e: globset::Error| RoutingError { pattern: pattern.clone(), reason: e.kind().to_string() };
            let glob = GlobBuilder::new(&composed(pattern))
                .case_insensitive(true)
                .empty_alternates(true)
                .literal_separator(true)
                .build()
                .map_err(wrong)?;
            if is_way(pattern) {
                ways.add(glob)
            } else {
                names.add(glob)
            };
        }
        let built =
            |set: GlobSetBuilder| set.build().map_err(|e| RoutingError { pattern: patterns.join(", "), reason: e.kind().to_string() });
        Ok(Self { names: built(names)?, ways: built(ways)? })
    }

    /// True when this path below the drop folder, or a folder on it, is excluded.
    pub(super) fn leaves_out(&self, below: &Path) -> bool {
        if self.names.is_empty() && self.ways.is_empty() {
            return false;
        }
        let mut way = String::new();
        below.components().any(|component| {
            let Component::Normal(name) = component else { return false };
            let name = composed(&name.to_string_lossy()).into_owned();
            if !way.is_empty() {
                way.push('/');
            }
            way += &name;
            self.names.is_match(&name) || self.ways.is_match(&way)
        })
    }
}

/// True for a pattern that is compared with the whole path and not with each name.
pub(super) fn is_way(pattern: &str) -> bool {
    pattern.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_anywhere_and_ways_from_the_drop_folder_on() {
        let patterns = ["archive", "*_thumb.*", "cam1/test*", "**/calib/**", "부품"].map(String::from);
        let exclude = Exclude::new(&patterns).unwrap();
        for out in
            ["archive/a.jpg", "x/ARCHIVE/y/a.jpg", "a_thumb.jpg", "x/a_thumb.png", "cam1/test9/a.jpg", "cam1/test.jpg", "x/calib/a.jpg"]
        {
            assert!(exclude.leaves_out(Path::new(out)), "{out}");
        }
        for kept in ["a.jpg", "archived/a.jpg", "x/cam1/test/a.jpg", "cam1/x/test.jpg", "calib.jpg"] {
            assert!(!exclude.leaves_out(Path::new(kept)), "{kept}");
        }
        // The same name in its two spellings.
        assert!(exclude.leaves_out(Path::new("\u{1107}\u{116e}\u{1111}\u{116e}\u{11b7}/a.jpg")));
        assert!(Exclude::new(&["[a".to_owned()]).unwrap_err().to_string().contains("`[a`"));
        assert!(!Exclude::new(&[]).unwrap().leaves_out(Path::new("archive/a.jpg")));
    }
}
