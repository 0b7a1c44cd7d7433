//! The deletions, counted by product, kind of file and reason.

use crate::domain::FileKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a file is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is older than the time its kind is kept.
    Age,
    /// Its disk is short of space.
    Space,
}

impl Why {
    /// The word that reports show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Space => "space",
        }
    }
}

/// The amount of the deletions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The images of these files.
    pub images: u64,
    /// Files.
    pub files: u64,
    /// The bytes they took on the disk.
    pub bytes: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// The counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By product, kind and reason; never zero.
    pub counts: BTreeMap<(String, FileKind, Why), Count>,
}

impl Tally {
    /// Adds deletions.
    pub fn add(&mut self, product: &str, kind: FileKind, why: Why, count: Count) {
        if count.files > 0 {
            *self.counts.entry((product.to_owned(), kind, why)).or_default() += count;
        }
    }

    /// True when nothing was deleted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// `prod1-front: ok_outputs of 120 images by age (240 files, 34.0 MiB); prod2: …`
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        for ((product, kind, why), count) in &self.counts {
            let lead = match last {
                "" => format!("{product}: "),
                last if last == product => ", ".to_owned(),
                _ => format!("; {product}: "),
            };
            let Count { images, files, bytes } = count;
            text += &format!("{lead}{kind} of {images} images by {} ({files} files, {})", why.as_str(), size(*bytes));
            last = product;
        }
        text
    }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_products_kinds_and_reasons_apart() {
        let mut tally = Tally::default();
        let count = |images| Count { images, files: 2 * images, bytes: images << 20 };
        tally.add("b", FileKind::OkImages, Why::Age, count(1));
        tally.add("a", FileKind::NgOutputs, Why::Space, count(2));
        tally.add("a", FileKind::OkOutputs, Why::Age, count(3));
        tally.add("a", FileKind::OkOutputs, Why::Age, count(1));
        tally.add("c", FileKind::OkOutputs, Why::Age, Count::default());
        assert_eq!(
            tally.text(),
            "a: ok_outputs of 4 images by age (8 files, 4.0 MiB), ng_outputs of 2 images by space (4 files, 2.0 MiB); \
             b: ok_images of 1 images by age (2 files, 1.0 MiB)"
        );
    }
}
