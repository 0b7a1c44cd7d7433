//! The plain data that goes into the history and out of it.

use crate::codes::{Reason, ReasonCode};
pub(super) use crate::database::columns::{PathColumns, parse_time, time_text};
use crate::domain::{Distance, Evidence, InspectionResult};
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;

/// A file that was seen in a drop folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The file, absolute.
    pub path: PathBuf,
    /// The product that takes it; `None` (unrouted) only with [`ArrivalState::Failed`].
    pub product: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Modification time, ns since 1970.
    pub mtime_ns: i64,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When the daemon stops waiting for the complete file.
    pub give_up_at: Timestamp,
    /// Whether the daemon inspects it at all.
    pub state: ArrivalState,
    /// Why it is pending, if not just for its turn.
    pub reason: Option<Reason>,
    /// Device and inode.
    pub file_id: Option<(u64, u64)>,
    /// Whether the daemon saw the writer finish the file.
    pub said_whole: bool,
    /// The result of a closer look, which the caller needs after [`Recorded::Unclear`](crate::domain::Recorded::Unclear).
    pub evidence: Option<Evidence>,
}

/// How an arrival enters the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArrivalState {
    /// The daemon will inspect it.
    Pending,
    /// The daemon refused it at once.
    Failed {
        /// The reason.
        reason: Reason,
    },
}

/// Which inspections to list; `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InspectionFilter {
    /// Only this product.
    pub product: Option<String>,
    /// Only these results; empty = all.
    pub results: Vec<InspectionResult>,
    /// Only images that failed or wait for this reason.
    pub reason: Option<ReasonCode>,
    /// Seen at or after this time.
    pub since: Option<Timestamp>,
    /// Seen before this time.
    pub until: Option<Timestamp>,
    /// `image_score - image_tau` is at least this. Images without a score have no distance and are left out.
    pub margin_from: Option<Distance>,
    /// `image_score - image_tau` is at most this.
    pub margin_to: Option<Distance>,
    /// Only the newest images, at most this many.
    pub limit: Option<u32>,
}

/// A row of `inspections`. The fields are its columns, in the order of the reports. Times are text like in the database.
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
    pub sensitivity: f64,
    pub image_ratio: Option<f64>,
    pub decided_by: Option<String>,
}

#[cfg(test)]
impl Arrival {
    /// A whole, waiting image of product `p`; its name and time tell it from others.
    pub(crate) fn sample(number: i64) -> Self {
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
