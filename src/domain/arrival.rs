//! What is known of a file that may be the same arrival as a known image, and how an arrival was recorded.

use std::path::PathBuf;

/// The facts that tell whether a file is the same arrival as a known image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of its bytes, hexadecimal; `None` when they cannot be read.
    pub content_hash: Option<String>,
    /// The pending [`Kin`] whose file is gone.
    pub gone: Option<i64>,
}

/// An image that may be the same as an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kin {
    /// Inspection id.
    pub id: i64,
    /// Its file, as recorded.
    pub path: PathBuf,
    /// Its time, as recorded.
    pub mtime_ns: i64,
    /// The hash of its bytes, if it is decided.
    pub content_hash: Option<String>,
    /// True while it is pending.
    pub waits: bool,
}

/// How an arrival was recorded; the number is the inspection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A new row.
    New(i64),
    /// The pending row of this path took the new size and time, the row of this file took its new name, or a failed row is pending again.
    Changed(i64),
    /// The row existed already.
    Known(i64),
    /// Nothing is recorded yet: the file may belong to a known row, and only its bytes tell. The caller records it again with [`Evidence`].
    Unclear,
}
