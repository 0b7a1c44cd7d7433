//! Files that are gone and of which the history does not know it yet.

use crate::crash_point;
use crate::history::{HistoryError, HistoryErrorKind, HistoryStore};
use crate::inspection::FileKind;

/// So many may wait for a full disk of the database; more are not deleted.
const MOST: usize = 10_000;
/// Noted in one transaction: an image to be recorded waits for a few milliseconds at most.
const AT_ONCE: usize = 256;

/// Inspections whose files of a kind are gone.
#[derive(Debug, Default)]
pub struct Gone {
    inspections: Vec<(FileKind, i64)>,
}

impl Gone {
    /// The files of this inspection are gone.
    pub fn add(&mut self, kind: FileKind, id: i64) {
        self.inspections.push((kind, id));
    }

    /// Notes them in the history. While the disk of the database is full they wait, and deleting goes on: it is what makes room.
    ///
    /// # Errors
    /// When the history cannot be written for another reason, or too many wait.
    pub async fn note(&mut self, store: &HistoryStore) -> Result<(), HistoryError> {
        for kind in FileKind::ALL {
            let ids: Vec<i64> = self.inspections.iter().filter(|(of, _)| of == kind).map(|(_, id)| *id).collect();
            for ids in ids.chunks(AT_ONCE) {
                match store.files_deleted(*kind, ids).await {
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
