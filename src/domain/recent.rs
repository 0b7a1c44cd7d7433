//! Recent images of a product, by which people see what another bank would change.

use super::Decision;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// A decided image whose file was there when it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentImage {
    /// Where the file is now.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time, ns since 1970.
    pub mtime_ns: i64,
    /// The decision in its row.
    pub decision: Decision,
}

/// How a bank judges recent images, compared with the decisions in their rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Images that were judged again.
    pub images: u32,
    /// Of these, those that were `ok` and would be `ng`.
    pub to_ng: u32,
    /// Those that were `ng` and would be `ok`.
    pub to_ok: u32,
}

impl Comparison {
    /// Counts one image.
    pub fn add(&mut self, was: Decision, would_be: Decision) {
        self.images += 1;
        match (was, would_be) {
            (Decision::Ok, Decision::Ng) => self.to_ng += 1,
            (Decision::Ng, Decision::Ok) => self.to_ok += 1,
            _ => {}
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, to_ng, to_ok } = self;
        write!(
            f,
            "of the {images} newest images whose files are still there, {to_ng} that were ok become ng, and {to_ok} that were ng become ok"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_counted() {
        let mut found = Comparison::default();
        let [ok, ng] = [Decision::Ok, Decision::Ng];
        for (was, would_be) in [(ok, ok), (ok, ng), (ng, ok), (ng, ok), (ng, ng)] {
            found.add(was, would_be);
        }
        assert_eq!(found, Comparison { images: 5, to_ng: 1, to_ok: 2 });
        assert!(found.to_string().ends_with("1 that were ok become ng, and 2 that were ng become ok"));
    }
}
