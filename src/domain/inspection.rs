//! One inspection as plain data: the image that is to be inspected, and what becomes of it.

use super::{DecidedBy, Decision, Publish, SaidWhole};
use jiff::Timestamp;
use std::path::PathBuf;

/// An image to inspect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingImage {
    /// Inspection id.
    pub id: i64,
    /// The file, bytes as they arrived.
    pub path: PathBuf,
    /// Bytes, when the daemon last looked.
    pub size: u64,
    /// The modification time then, ns since 1970.
    pub mtime_ns: i64,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// The number of attempts before this one.
    pub attempts: i64,
    /// When the daemon stops waiting for the complete file.
    pub give_up_at: Timestamp,
    /// Who says that the file is whole.
    pub said_whole: SaidWhole,
}

/// A decided inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Inspection id.
    pub id: i64,
    /// The hash of the file's bytes, hexadecimal.
    pub content_hash: String,
    /// The bank that decided the image.
    pub bank_id: i64,
    /// The largest patch distance. NaN is stored as NULL and makes the decision `ng`.
    pub image_score: f64,
    /// The image threshold that the score was compared with.
    pub image_tau: f64,
    /// The pixel threshold of the mask.
    pub pixel_tau: f64,
    /// Both are the thresholds of the bank, divided by this.
    pub sensitivity: f64,
    /// Pixels in the mask.
    pub mask_pixels: u64,
    /// Connected regions of the mask.
    pub mask_regions: u64,
    /// `ok` or `ng`.
    pub decision: Decision,
    /// What decided.
    pub decided_by: DecidedBy,
    /// The mask, if written.
    pub mask_path: Option<PathBuf>,
    /// The overlay, if written.
    pub overlay_path: Option<PathBuf>,
    /// The heat map, if written.
    pub heat_path: Option<PathBuf>,
    /// The side-by-side image, if written.
    pub side_by_side_path: Option<PathBuf>,
    /// The scores, if written.
    pub scores_path: Option<PathBuf>,
    /// The latest modification time of these files, ns since 1970, by the clock of their file system.
    pub outputs_newest_ns: Option<i64>,
    /// Reading and decoding, ms.
    pub decode_ms: f64,
    /// Resizing, network and search, ms.
    pub engine_ms: f64,
    /// Writing the outputs, ms.
    pub write_ms: f64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What follows from the decision.
    pub follow_up: FollowUp,
}

/// What follows from a decision; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FollowUp {
    /// Act on an `ng`; its age counts from this time.
    pub act_since: Option<Timestamp>,
    /// Which decisions the daemon must publish.
    pub publish: Option<Publish>,
}
