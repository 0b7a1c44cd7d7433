//! How an attempt at an image ends without a verdict.

use crate::codes::{Reason, ReasonCode};
use crate::history::HistoryError;
use crate::imaging::{ImageError, NOT_CLOSED, NOT_MARKED};
use crate::intake::{FileId, FileVersion};
use std::time::Duration;
use tokio::task::JoinError;

/// How an attempt ended without a verdict.
pub(super) enum Setback {
    /// The image failed for good, for this reason.
    Failed(Reason),
    /// Like `Failed`, because the image was incomplete for too long.
    GaveUp(Reason),
    /// Its row stays pending for this reason, and the next try comes after this time.
    Later(Reason, Duration),
    /// A newer version of the file has replaced the recorded one.
    Changed(FileVersion, Option<FileId>),
    /// The product has no bank.
    NoBank,
    /// The history cannot be written.
    History(HistoryError),
    /// The daemon is stopping.
    Stopping,
}

/// The reason without the file, which the row names already.
pub(super) fn reason(error: &ImageError) -> Reason {
    let text = match error {
        ImageError::Incomplete { reason, .. } => format!("incomplete: {reason}"),
        ImageError::NotClosed { .. } => format!("incomplete: {NOT_CLOSED}"),
        ImageError::NotMarked { .. } => format!("incomplete: {NOT_MARKED}"),
        ImageError::Rejected { reason, .. } => reason.clone(),
        ImageError::Read { source, .. } => format!("cannot be read: {source}"),
        ImageError::Write { .. } | ImageError::Engine(_) => error.to_string(),
    };
    Reason::new(error.reason_code(), text)
}

pub(super) fn written_again() -> Reason {
    Reason::new(ReasonCode::Changing, "it was written to again")
}

/// A panic in work outside the runtime fails this image alone.
pub(super) fn unless_panicked<T>(ended: Result<T, JoinError>) -> Result<T, Setback> {
    ended.map_err(|error| {
        let panicked = || Reason::new(ReasonCode::Engine, "a library panicked on this image; see the log");
        if error.is_panic() { Setback::Failed(panicked()) } else { Setback::Stopping }
    })
}
