//! The plain data that goes into the history and comes out of it.

use crate::codes::{Reason, ReasonCode};
use crate::inspection::{Decision, Publish, SaidWhole};
use jiff::Timestamp;
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A file that was seen in a drop folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The file, absolute.
    pub path: PathBuf,
    /// Whose image it is; `None` (unrouted) only with [`ArrivalState::Failed`].
    pub product: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Modification time, ns since 1970.
    pub mtime_ns: i64,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When to stop waiting for it to become complete.
    pub give_up_at: Timestamp,
    /// Whether it is to be inspected at all.
    pub state: ArrivalState,
    /// Why it is pending, if not just for its turn.
    pub reason: Option<Reason>,
    /// Device and inode.
    pub file_id: Option<(u64, u64)>,
    /// Whether its writer was seen to finish it.
    pub said_whole: bool,
    /// What was found when it was looked at closely, which is asked for by [`Recorded::Unclear`].
    pub evidence: Option<Evidence>,
}

/// What tells whether a file is the same arrival as an image that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of its bytes, hexadecimal; `None` when they cannot be read.
    pub content_hash: Option<String>,
    /// The [`Kin`] that waits and whose file is gone.
    pub gone: Option<i64>,
}

/// An image that an arrival may be the same as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kin {
    /// Inspection id.
    pub id: i64,
    /// Its file, as recorded.
    pub path: PathBuf,
    /// Its time, as recorded.
    pub mtime_ns: i64,
    /// Of its bytes, when it is decided.
    pub content_hash: Option<String>,
    /// It is pending.
    pub waits: bool,
}

/// How an arrival enters the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArrivalState {
    /// To be inspected.
    Pending,
    /// Refused at once.
    Failed {
        /// Why.
        reason: Reason,
    },
}

/// What became of an arrival; the number is the inspection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A new row.
    New(i64),
    /// The pending row of this path took the new size and time, that of this file its new name, or a row that was given up is pending again.
    Changed(i64),
    /// The row was there.
    Known(i64),
    /// Nothing is recorded yet: the file may be that of a row, and only its bytes tell. It is to be recorded again with [`Evidence`].
    Unclear,
}

/// An image to inspect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingImage {
    /// Inspection id.
    pub id: i64,
    /// The file, bytes as they arrived.
    pub path: PathBuf,
    /// Bytes, when it was last looked at.
    pub size: u64,
    /// Modification time then, ns since 1970.
    pub mtime_ns: i64,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// Attempts begun before this one.
    pub attempts: i64,
    /// When to stop waiting for it to become complete.
    pub give_up_at: Timestamp,
    /// Who says that the file is whole.
    pub said_whole: SaidWhole,
}

/// A decided inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Inspection id.
    pub id: i64,
    /// Hash of the file's bytes, hexadecimal.
    pub content_hash: String,
    /// The bank that judged it.
    pub bank_id: i64,
    /// The largest patch distance; NaN is stored as NULL and makes the decision `ng`.
    pub image_score: f64,
    /// Threshold of the bank.
    pub image_tau: f64,
    /// Threshold of the bank.
    pub pixel_tau: f64,
    /// Pixels in the mask.
    pub mask_pixels: u64,
    /// Connected regions of the mask.
    pub mask_regions: u64,
    /// The verdict.
    pub decision: Decision,
    /// The mask, if written.
    pub mask_path: Option<PathBuf>,
    /// The overlay, if written.
    pub overlay_path: Option<PathBuf>,
    /// The heat map, if written.
    pub heat_path: Option<PathBuf>,
    /// The side by side, if written.
    pub side_by_side_path: Option<PathBuf>,
    /// The scores, if written.
    pub scores_path: Option<PathBuf>,
    /// The latest modification time among these files, ns since 1970, by the clock of their file system.
    pub outputs_newest_ns: Option<i64>,
    /// Reading and decoding, ms.
    pub decode_ms: f64,
    /// Resizing, network and search, ms.
    pub engine_ms: f64,
    /// Writing the outputs, ms.
    pub write_ms: f64,
    /// When.
    pub decided_at: Timestamp,
    /// What is to follow.
    pub follow_up: FollowUp,
}

/// What is to follow from a decision; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FollowUp {
    /// An `ng` is to be acted on; its age is counted from this time.
    pub act_since: Option<Timestamp>,
    /// Which decision is to be published.
    pub publish: Option<Publish>,
}

/// `arrived = done + failed + pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All rows.
    pub arrived: i64,
    /// Decided.
    pub done: i64,
    /// Given up.
    pub failed: i64,
    /// Still to do.
    pub pending: i64,
}

/// The counts of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProductCounts {
    /// Its name; `None` for the unrouted.
    pub product: Option<String>,
    /// Its rows.
    pub counts: Counts,
}

/// How an inspection stands, in the word that lists show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InspectionResult {
    /// Decided: a good part.
    Ok,
    /// Decided: not good.
    Ng,
    /// Given up.
    Failed,
    /// To be inspected.
    Pending,
}

impl InspectionResult {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Ng => "ng",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

/// A distance from `image_tau`; scores above it have positive ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distance {
    /// In the unit of the scores.
    Score(f64),
    /// A share of `image_tau`: 0.05 is 5 %.
    OfTau(f64),
}

impl Distance {
    /// The same on the other side of tau.
    pub fn opposite(self) -> Self {
        match self {
            Self::Score(value) => Self::Score(-value),
            Self::OfTau(share) => Self::OfTau(-share),
        }
    }
}

/// Which inspections to list; `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InspectionFilter {
    /// Of this product.
    pub product: Option<String>,
    /// With one of these results; empty = all.
    pub results: Vec<InspectionResult>,
    /// Failed or waiting for this reason.
    pub reason: Option<ReasonCode>,
    /// Seen at or after this time.
    pub since: Option<Timestamp>,
    /// Seen before this time.
    pub until: Option<Timestamp>,
    /// `image_score - image_tau` at least this. Images without a score have no distance and are left out.
    pub margin_from: Option<Distance>,
    /// `image_score - image_tau` at most this.
    pub margin_to: Option<Distance>,
    /// At most this many, the newest.
    pub limit: Option<u32>,
}

/// A row of `inspections`; fields are its columns, in the order in which reports show them. Times are text as in the database.
#[allow(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, sqlx::FromRow)]
pub struct InspectionRow {
    pub id: i64,
    pub product: Option<String>,
    pub image_path: String,
    pub state: String,
    pub decision: Option<String>,
    pub reason: Option<String>,
    pub image_score: Option<f64>,
    pub image_tau: Option<f64>,
    pub pixel_tau: Option<f64>,
    pub mask_pixels: Option<i64>,
    pub mask_regions: Option<i64>,
    pub seen_at: String,
    pub started_at: Option<String>,
    pub decided_at: Option<String>,
    pub attempts: i64,
    pub bank_id: Option<i64>,
    pub bank_version: Option<i64>,
    pub mask_path: Option<String>,
    pub overlay_path: Option<String>,
    pub decode_ms: Option<f64>,
    pub engine_ms: Option<f64>,
    pub write_ms: Option<f64>,
    pub file_size: i64,
    pub mtime_ns: i64,
    pub content_hash: Option<String>,
    pub heat_path: Option<String>,
    pub side_by_side_path: Option<String>,
    pub scores_path: Option<String>,
    pub outputs_deleted_at: Option<String>,
    pub image_deleted_at: Option<String>,
    pub reason_code: Option<String>,
}

/// `2026-11-23T08:42:00.123Z`: one width, so that text order is time order.
pub(super) fn time_text(time: Timestamp) -> String {
    format!("{time:.3}")
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp, sqlx::Error> {
    text.parse().map_err(|e: jiff::Error| sqlx::Error::Decode(e.into()))
}

/// The two columns that keep a path: what people read, and the bytes when they are not UTF-8.
#[derive(Clone)]
pub(super) struct PathColumns {
    pub(super) shown: String,
    pub(super) raw: Option<Vec<u8>>,
}

impl PathColumns {
    pub(super) fn of(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { shown: text.to_owned(), raw: None },
            Err(_) => {
                let mut shown = String::new();
                for chunk in bytes.utf8_chunks() {
                    shown.push_str(chunk.valid());
                    shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
                }
                Self { shown, raw: Some(bytes.to_owned()) }
            }
        }
    }

    pub(super) fn into_path(self) -> PathBuf {
        match self.raw {
            Some(bytes) => OsString::from_vec(bytes).into(),
            None => OsStr::new(&self.shown).into(),
        }
    }
}

#[cfg(test)]
impl Arrival {
    /// A whole image of product `p` that waits, whose name and time tell it from others.
    pub(super) fn sample(number: i64) -> Self {
        Self {
            path: format!("/drop/{number}.jpg").into(),
            product: Some("p".into()),
            size: 1,
            mtime_ns: number,
            seen_at: Timestamp::UNIX_EPOCH,
            give_up_at: Timestamp::UNIX_EPOCH,
            state: ArrivalState::Pending,
            reason: None,
            file_id: None,
            said_whole: true,
            evidence: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text_of_one_width_in_order() {
        let text = |t: &str| time_text(t.parse().unwrap());
        assert_eq!(text("2026-11-23T08:42:00.1239Z"), "2026-11-23T08:42:00.123Z");
        assert_eq!(text("2026-11-23T08:42:00Z"), "2026-11-23T08:42:00.000Z");
        assert_eq!(text("2026-11-23T10:42:00.5+02:00"), "2026-11-23T08:42:00.500Z");
    }

    #[test]
    fn a_path_comes_back_byte_for_byte() {
        for bytes in [&b"/a/b.jpg"[..], b"/a/\xff\xfe b\\xFF.jpg", "/ä/ö.png".as_bytes()] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(PathColumns::of(path).into_path(), path);
        }
        assert_eq!(PathColumns::of(Path::new(OsStr::from_bytes(b"/a\xffb"))).shown, "/a\\xFFb");
    }
}
