//! Files that are gone and of which the history does not know it yet.

use crate::crash_point;
use crate::history::{HistoryError, HistoryErrorKind, HistoryStore};
use crate::inspection::FileKind;

/// So many may wait for a full disk of the database; more are not deleted.
const MOST: usize = 10_000;

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
            if ids.is_empty() {
                continue;
            }
            match store.files_deleted(*kind, &ids).await {
                Ok(()) => {
                    self.inspections.retain(|(of, _)| of != kind);
                    crash_point::reach("deletion_recorded");
                }
                Err(error) if error.kind == HistoryErrorKind::DiskFull && self.inspections.len() < MOST => {
                    tracing::debug!(%error, images = ids.len(), "deletions not recorded yet");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
