//! Which files count as new arrivals, and which are known. Only this file decides that.
//!
//! A part has one row, one inspection and one action, however often its file is touched. A file that a scan or an event reports is
//!
//! 1. **known** when a row or a sighting has its path, size and time;
//! 2. **the arrival that waits** when its path has a pending row, which then takes its size and time. Also when it is the very file
//!    (device, inode, size and time) of a pending row whose path is gone: somebody renamed it, and the row takes its new name;
//! 3. **the same arrival** as a decided image of the same product when its bytes are the same (size and BLAKE3, never the inode alone:
//!    shares change inodes, and every file system gives the inode of a removed file to the next file) and
//!    - it has the path of the decided image, which was decided not longer than [`WINDOW`] ago and was the last one there: an uploader
//!      set the time afterwards, somebody copied it over itself or touched it; or
//!    - it has its device and inode, and its time is not later than the decided one, however long ago: somebody moved or renamed it, gave
//!      it a second name, or set its time back. A camera that writes an image again gives it a later time;
//! 4. else **new**.
//!
//! So these files are new: other bytes under the same name; the same bytes under the same name with a later time after the window; a copy
//! (another inode under another name); every file that comes into a folder of another product, which must inspect it itself; a file under a
//! name that no product takes; and a file that is touched after its row failed, since nothing was decided about it.
//!
//! The same arrival leaves a sighting: where the file of the row is from now on, and with which time. Only the bytes tell, so a caller with
//! a possibly known arrival gets [`Recorded::Unclear`], reads the file and records it again with its [`Evidence`]. The file may change,
//! hang or vanish meanwhile. The decision finds every case that slips through, because the hash is known then: the later row fails as a
//! duplicate, and nothing follows from it.

use super::rows::{Arrival, ArrivalState, PathColumns, time_text};
use crate::domain::{Evidence, Kin, Recorded};
use sqlx::{Row, SqliteConnection};
use std::time::Duration;

/// How long after the decision the same bytes under the same name are the same arrival. Uploaders set times within seconds. A slow link, or
/// a person, takes minutes.
pub const WINDOW: Duration = Duration::from_secs(600);

/// Identifies a file that may be known.
pub(super) struct Key<'a> {
    pub(super) path: &'a PathColumns,
    pub(super) product: &'a str,
    pub(super) size: i64,
    pub(super) mtime_ns: i64,
    /// Device and inode.
    pub(super) id: Option<(i64, i64)>,
    /// The row of the file itself; 0 when it has none.
    pub(super) own: i64,
}

/// `None` for a file that is refused at once: it is nobody's image.
pub(super) fn key<'a>(arrival: &'a Arrival, path: &'a PathColumns) -> Option<Key<'a>> {
    let product = arrival.product.as_deref().filter(|_| arrival.state == ArrivalState::Pending)?;
    let id = arrival.file_id.map(|(device, inode)| (device as i64, inode as i64));
    Some(Key { path, product, size: arrival.size as i64, mtime_ns: arrival.mtime_ns, id, own: 0 })
}

/// Rules 2 (renamed) and 3, without the bytes. Of each path and each inode only the newest version counts: a path holds the image that was
/// written or moved there last. `long_ago` are the times that are further back than [`WINDOW`].
pub(super) async fn kin(connection: &mut SqliteConnection, key: &Key<'_>, long_ago: &str) -> Result<Vec<Kin>, sqlx::Error> {
    // Each branch is one index look-up, because a camera that always writes the same name makes one path with a million rows. For the same
    // reason the query finds later versions of the path, of another size, among the newest rows and not by the path (hence the `+`).
    let rows = sqlx::query(
        "WITH newest (id, by_path) AS (
             SELECT id, 1 FROM (SELECT id FROM inspections
                                WHERE image_path = ?1 AND ifnull(image_path_raw, x'') = ifnull(?2, x'') AND file_size = ?3
                                  AND product = ?6 AND id <> ?7
                                ORDER BY mtime_ns DESC LIMIT 1)
             UNION ALL
             SELECT inspection_id, 1 FROM (SELECT inspection_id FROM sightings
                                           WHERE image_path = ?1 AND ifnull(image_path_raw, x'') = ifnull(?2, x'') AND file_size = ?3
                                           ORDER BY mtime_ns DESC LIMIT 1)
             UNION ALL
             SELECT id, 0 FROM (SELECT id FROM inspections WHERE inode = ?5 AND device = ?4 AND product = ?6 AND id <> ?7
                                ORDER BY id DESC LIMIT 1)),
         last_sighting (inspection_id, seen_at) AS (
             SELECT inspection_id, seen_at FROM sightings
             WHERE image_path = ?1 AND ifnull(image_path_raw, x'') = ifnull(?2, x'') ORDER BY id DESC LIMIT 1)
         SELECT i.id, i.image_path, i.image_path_raw, i.mtime_ns, i.content_hash, i.state = 'pending' AS waits
         FROM newest JOIN inspections AS i ON i.id = newest.id
         WHERE i.product = ?6 AND i.id <> ?7 AND i.file_size = ?3
           AND (i.state = 'pending' AND NOT by_path AND i.mtime_ns = ?8
                OR i.state = 'done' AND i.content_hash IS NOT NULL
                   AND CASE WHEN NOT by_path THEN i.mtime_ns >= ?8
                            WHEN EXISTS (SELECT 1 FROM json_each(?9) WHERE i.decided_at BETWEEN value ->> 0 AND value ->> 1) THEN FALSE
                            ELSE NOT EXISTS (SELECT 1 FROM inspections AS l
                                             WHERE l.id > i.id AND l.id <> ?7 AND +l.image_path = ?1
                                               AND ifnull(l.image_path_raw, x'') = ifnull(?2, x'') AND +l.product = ?6
                                               AND NOT EXISTS (SELECT 1 FROM last_sighting AS s
                                                               WHERE s.inspection_id = i.id AND s.seen_at > l.seen_at))
                                 AND NOT EXISTS (SELECT 1 FROM last_sighting AS s
                                                 WHERE s.inspection_id <> i.id AND s.seen_at > i.seen_at) END)
         ORDER BY i.id DESC",
    )
    .bind(&key.path.shown)
    .bind(&key.path.raw)
    .bind(key.size)
    .bind(key.id.map(|(device, _)| device))
    .bind(key.id.map(|(_, inode)| inode))
    .bind(key.product)
    .bind(key.own)
    .bind(key.mtime_ns)
    .bind(long_ago)
    .fetch_all(connection)
    .await?;
    let kin = |row: &sqlx::sqlite::SqliteRow| {
        let path = PathColumns { shown: row.try_get("image_path")?, raw: row.try_get("image_path_raw")? };
        Ok(Kin {
            id: row.try_get("id")?,
            path: path.into_path(),
            mtime_ns: row.try_get("mtime_ns")?,
            content_hash: row.try_get("content_hash")?,
            waits: row.try_get("waits")?,
        })
    };
    rows.iter().map(kin).collect()
}

/// What to do with an arrival that has no row and no sighting.
pub(super) enum Standing {
    /// It is new.
    New,
    /// Only its bytes can tell.
    Unclear,
    /// The pending row with this id takes its name.
    Renamed(i64),
    /// It is the image of this row.
    Same(i64),
}

pub(super) async fn standing(
    connection: &mut SqliteConnection,
    arrival: &Arrival,
    path: &PathColumns,
    long_ago: &str,
) -> Result<Standing, sqlx::Error> {
    let Some(key) = key(arrival, path) else { return Ok(Standing::New) };
    let kin = kin(connection, &key, long_ago).await?;
    Ok(match &arrival.evidence {
        _ if kin.is_empty() => Standing::New,
        None => Standing::Unclear,
        Some(Evidence { content_hash, gone }) => {
            let same = kin.iter().find(|kin| !kin.waits && content_hash.is_some() && kin.content_hash == *content_hash);
            let renamed = kin.iter().find(|kin| kin.waits && *gone == Some(kin.id));
            match (same, renamed) {
                (Some(same), _) => Standing::Same(same.id),
                (None, Some(renamed)) => Standing::Renamed(renamed.id),
                (None, None) => Standing::New,
            }
        }
    })
}

/// A decided image that is the same arrival as this pending row; its bytes have this hash.
pub(super) async fn twin(
    connection: &mut SqliteConnection,
    own: i64,
    content_hash: &str,
    long_ago: &str,
) -> Result<Option<i64>, sqlx::Error> {
    type Columns = (Option<String>, String, Option<Vec<u8>>, i64, i64, Option<i64>, Option<i64>);
    let row: Option<Columns> = sqlx::query_as(
        "SELECT product, image_path, image_path_raw, file_size, mtime_ns, device, inode FROM inspections WHERE id = ? AND state = 'pending'",
    )
    .bind(own)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((Some(product), shown, raw, size, mtime_ns, device, inode)) = row else { return Ok(None) };
    let path = PathColumns { shown, raw };
    let key = Key { path: &path, product: &product, size, mtime_ns, id: device.zip(inode), own };
    let kin = kin(connection, &key, long_ago).await?;
    Ok(kin.into_iter().find(|kin| !kin.waits && kin.content_hash.as_deref() == Some(content_hash)).map(|kin| kin.id))
}

/// The file of this row was found here.
pub(super) async fn sight(
    connection: &mut SqliteConnection,
    id: i64,
    arrival: &Arrival,
    path: &PathColumns,
) -> Result<Recorded, sqlx::Error> {
    // Replaces an earlier sighting, so that the newest says where the file is.
    sqlx::query(
        "INSERT OR REPLACE INTO sightings (inspection_id, image_path, image_path_raw, file_size, mtime_ns, seen_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(&path.shown)
    .bind(&path.raw)
    .bind(arrival.size as i64)
    .bind(arrival.mtime_ns)
    .bind(time_text(arrival.seen_at))
    .execute(connection)
    .await?;
    Ok(Recorded::Known(id))
}

/// The row whose file was sighted here, with this size and time.
pub(super) async fn sighted(connection: &mut SqliteConnection, arrival: &Arrival, path: &PathColumns) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT inspection_id FROM sightings
         WHERE image_path = ? AND ifnull(image_path_raw, x'') = ifnull(?, x'') AND file_size = ? AND mtime_ns = ?",
    )
    .bind(&path.shown)
    .bind(&path.raw)
    .bind(arrival.size as i64)
    .bind(arrival.mtime_ns)
    .fetch_optional(connection)
    .await
}

/// True when the row's file was found elsewhere, or with another time, since it was recorded; or when another image was moved to this path.
pub(super) async fn was_sighted(connection: &mut SqliteConnection, id: i64, path: &PathColumns) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sightings WHERE inspection_id = ?1)
             OR ifnull((SELECT s.seen_at > (SELECT seen_at FROM inspections WHERE id = ?1) FROM sightings AS s
                        WHERE s.image_path = ?2 AND ifnull(s.image_path_raw, x'') = ifnull(?3, x'') ORDER BY s.id DESC LIMIT 1), FALSE)",
    )
    .bind(id)
    .bind(&path.shown)
    .bind(&path.raw)
    .fetch_one(connection)
    .await
}
