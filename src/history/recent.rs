//! The images that show what another bank would change.

use super::banks::Banks;
use super::rows::PathColumns;
use crate::database::HistoryError;
use crate::domain::{Decision, RecentImage};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

impl Banks {
    /// The newest decided images of a product whose files retention has not deleted: at most `limit` defects and as many good parts, in
    /// turn, a defect first.
    ///
    /// Images with a name that is not UTF-8 are left out: their names cannot travel as JSON.
    pub async fn recent_images(&self, product: &str, limit: u32) -> Result<Vec<RecentImage>, HistoryError> {
        let mut images = [Vec::new(), Vec::new()];
        for (decision, images) in [Decision::Ng, Decision::Ok].into_iter().zip(&mut images) {
            let rows = sqlx::query(
                "SELECT iif(s.id IS NULL, i.image_path, s.image_path) AS image_path,
                        iif(s.id IS NULL, i.image_path_raw, s.image_path_raw) AS image_path_raw,
                        iif(s.id IS NULL, i.mtime_ns, s.mtime_ns) AS mtime_ns, i.file_size
                 FROM inspections AS i INDEXED BY inspections_image_kept
                 LEFT JOIN sightings AS s ON s.id = (SELECT max(id) FROM sightings WHERE inspection_id = i.id)
                 WHERE i.state = 'done' AND i.image_deleted_at IS NULL AND i.product = ? AND i.decision = ?
                 ORDER BY i.decided_at DESC
                 LIMIT ?",
            );
            let rows = rows.bind(product).bind(decision.as_str()).bind(limit).fetch_all(self.database.read()).await;
            let found: Result<Vec<_>, sqlx::Error> = rows.and_then(|rows| rows.iter().map(|row| recent(row, decision)).collect());
            *images = found.map_err(|e| self.database.error(e))?;
        }
        let [ng, ok] = images;
        let longest = ng.len().max(ok.len());
        let in_turn = (0..longest).flat_map(|i| [ng.get(i), ok.get(i)]).flatten();
        Ok(in_turn.filter(|image| image.path.to_str().is_some()).cloned().collect())
    }
}

fn recent(row: &SqliteRow, decision: Decision) -> Result<RecentImage, sqlx::Error> {
    let path = PathColumns { shown: row.try_get("image_path")?, raw: row.try_get("image_path_raw")? };
    let size: i64 = row.try_get("file_size")?;
    Ok(RecentImage { path: path.into_path(), size: size as u64, mtime_ns: row.try_get("mtime_ns")?, decision })
}
