//! Files that are gone, but not yet in the history.

use crate::domain::FileKind;
use crate::history::{DeletableFiles, HistoryError, HistoryErrorKind};
use crate::platform::crash_point;

/// This many may wait while the database's disk is full. Then the deletion stops.
const MOST: usize = 10_000;
/// The number noted in one transaction: a new image waits a few milliseconds at most.
const AT_ONCE: usize = 256;

/// Inspections whose files of one kind are gone.
#[derive(Debug, Default)]
pub struct Gone {
    inspections: Vec<(FileKind, i64)>,
}

impl Gone {
    /// The files of this inspection are gone.
    pub fn add(&mut self, kind: FileKind, id: i64) {
        self.inspections.push((kind, id));
    }

    /// Notes them in the history. While the database's disk is full they wait, and the deletion continues, because it makes room.
    ///
    /// # Errors
    /// When the history cannot be written for another reason, or too many wait.
    pub async fn note(&mut self, deletable: &DeletableFiles) -> Result<(), HistoryError> {
        for kind in FileKind::ALL {
            let ids: Vec<i64> = self.inspections.iter().filter(|(of, _)| of == kind).map(|(_, id)| *id).collect();
            for ids in ids.chunks(AT_ONCE) {
                match deletable.files_deleted(*kind, ids).await {
                    Ok(()) => {
                        self.inspections.retain(|(of, id)| of != kind || !ids.contains(id));
                        crash_point::reach("deletion_recorded");
                    }
                    Err(error) if error.kind == HistoryErrorKind::DiskFull && self.inspections.len() < MOST => {
                        tracing::debug!(%error, images = ids.len(), "deletions not recorded yet");
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
