//! The queue of pending images: due images, waiting images, and attempts.

use super::ages::Ages;
use super::rows::{PathColumns, parse_time, time_text};
use crate::codes::{Reason, ReasonCode};
use crate::database::{Connections, HistoryError};
use crate::domain::{PendingImage, SaidWhole};
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The reason of rows that wait for the first bank of their product.
///
/// Such a row is not due until it is released. Publishing a bank releases the rows of its product in the same transaction, so no crash can
/// leave a bank in use while images wait for it. Releasing rows that do not wait changes nothing.
pub const NO_BANK: &str = ReasonCode::NoBank.as_str();

/// How long an image is live. Longer than the line needs for an image and its neighbours of one burst, so these stay in order; short enough
/// for a person who waits at the line.
const LIVE: SignedDuration = SignedDuration::from_secs(10);

/// One in this many images is from the backlog while live images are due as well.
const BACKLOG_SHARE: u32 = 4;

macro_rules! due_images {
    ($seen:literal) => {
        concat!(
            "SELECT id, image_path, image_path_raw, file_size, mtime_ns, seen_at, attempts, give_up_at, said_whole
             FROM inspections
             WHERE state = 'pending' AND product = ?1 AND reason IS NOT ?2 AND deaths IS NULL AND (retry_at IS NULL OR retry_at <= ?3)
               AND seen_at ",
            $seen,
            " ?4
               AND id NOT IN (SELECT value FROM json_each(?5))
               AND NOT EXISTS (SELECT 1 FROM json_each(?6) AS f WHERE substr(image_path, 1, length(f.value)) = f.value)
             ORDER BY seen_at, id
             LIMIT ?7"
        )
    };
}

/// Parameters: product, [`NO_BANK`], now, the time where live images begin, ids and folders to leave out, limit.
const LIVE_IMAGES: &str = due_images!(">");
/// The same parameters as [`LIVE_IMAGES`].
const BACKLOG: &str = due_images!("<=");

/// The pending images: which is next, and how each attempt ends.
#[derive(Debug, Clone)]
pub struct InspectionQueue {
    pub(super) database: Connections,
    /// Tells which arrivals of earlier times are too long ago to be the same as another.
    pub(super) ages: Ages,
    /// Somebody asked the daemon to stop; all handles of one store know it.
    pub(super) stops: Arc<AtomicBool>,
}

impl InspectionQueue {
    /// The products among `products` that have due images, in the given order. Each costs one index look-up, even with a long backlog.
    pub async fn due_products(&self, products: &[&str], now: Timestamp) -> Result<Vec<String>, HistoryError> {
        sqlx::query_scalar(
            "SELECT p.value FROM json_each(?) AS p
             WHERE EXISTS (SELECT 1 FROM inspections AS i
                           WHERE i.state = 'pending' AND i.product = p.value AND i.reason IS NOT ? AND i.deaths IS NULL
                             AND (i.retry_at IS NULL OR i.retry_at <= ?))
             ORDER BY p.key",
        )
        .bind(serde_json::Value::from(products).to_string())
        .bind(NO_BANK)
        .bind(time_text(now))
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))
    }

    /// The due images of a product in the order in which to inspect them, without the images in `exclude` (already in work) and those below
    /// a folder in `avoid`.
    ///
    /// Only this function defines the order: first live images, then the backlog, each from the oldest on. An image is live when it was
    /// first seen less than `LIVE` ago. The backlog has waited longer: after an outage, for a bank, or because somebody requeued it. One of
    /// the `limit` images in `BACKLOG_SHARE` is from the backlog, however many live images there are, so no image starves. Images that are
    /// tried alone (see [`InspectionQueue::next_suspect`]) are left out.
    pub async fn next_pending(
        &self,
        product: &str,
        now: Timestamp,
        limit: u32,
        exclude: &[i64],
        avoid: &[PathBuf],
    ) -> Result<Vec<PendingImage>, HistoryError> {
        let avoid_folders = folders(avoid);
        let border = time_text(now.checked_sub(LIVE).unwrap_or(Timestamp::MIN));
        let find = async |of: &'static str, limit: u32| -> Result<Vec<PendingColumns>, HistoryError> {
            sqlx::query_as(of)
                .bind(product)
                .bind(NO_BANK)
                .bind(time_text(now))
                .bind(&border)
                .bind(serde_json::Value::from(exclude).to_string())
                .bind(&avoid_folders)
                .bind(limit)
                .fetch_all(self.database.read())
                .await
                .map_err(|e| self.database.error(e))
        };
        let mut rows = find(LIVE_IMAGES, limit).await?;
        let room = limit - rows.len() as u32;
        let backlog = find(BACKLOG, room.max(limit / BACKLOG_SHARE)).await?;
        rows.truncate(limit as usize - backlog.len().min(limit as usize));
        rows.extend(backlog);
        rows.into_iter().map(PendingColumns::into_image).collect::<Result<_, _>>().map_err(|e| self.database.error(e))
    }

    /// Begins an attempt; call it before reading the file. False when the row is no longer pending.
    ///
    /// [`InspectionQueue::finish`] and [`InspectionQueue::fail`] count only if the file did not change during the attempt.
    pub async fn start_attempt(&self, id: i64) -> Result<bool, HistoryError> {
        self.start(id, "with_others").await
    }

    pub(super) async fn start(&self, id: i64, in_hand: &str) -> Result<bool, HistoryError> {
        let query = "UPDATE inspections SET attempts = attempts + 1, started_at = ?, in_hand = ? WHERE id = ? AND state = 'pending'";
        let stops = self.stops.load(Ordering::Acquire);
        let changed = sqlx::query(query)
            .bind(time_text(Timestamp::now()))
            .bind((!stops).then_some(in_hand))
            .bind(id)
            .execute(self.database.write())
            .await;
        Ok(changed.map_err(|e| self.database.error(e))?.rows_affected() == 1)
    }

    /// The attempt ended without a result, and the row is due again at `retry_at`. False when the row is no longer pending.
    pub async fn retry_later(&self, id: i64, reason: &Reason, retry_at: Timestamp) -> Result<bool, HistoryError> {
        let query = "UPDATE inspections SET reason = ?, reason_code = ?, retry_at = ?, in_hand = NULL, deaths = NULL
                     WHERE id = ? AND state = 'pending'";
        let changed = sqlx::query(query)
            .bind(&reason.text)
            .bind(reason.code.as_str())
            .bind(time_text(retry_at))
            .bind(id)
            .execute(self.database.write())
            .await;
        Ok(changed.map_err(|e| self.database.error(e))?.rows_affected() == 1)
    }

    /// The product has no bank: all its pending images wait for one, and the attempt at this one ends.
    pub async fn wait_for_bank(&self, id: i64, product: &str) -> Result<(), HistoryError> {
        let changed = sqlx::query(WAIT_FOR_BANK).bind(NO_BANK).bind(product).execute(self.database.write()).await;
        changed.map_err(|e| self.database.error(e))?;
        self.put_down(id).await
    }

    /// The attempt ended without a change of the row's state.
    pub async fn put_down(&self, id: i64) -> Result<(), HistoryError> {
        let put_down = sqlx::query("UPDATE inspections SET in_hand = NULL, deaths = NULL WHERE id = ?").bind(id);
        put_down.execute(self.database.write()).await.map(|_| ()).map_err(|e| self.database.error(e))
    }
}

/// Parameters: [`NO_BANK`], product.
pub(super) const WAIT_FOR_BANK: &str =
    "UPDATE inspections SET reason = ?1, reason_code = ?1, retry_at = NULL WHERE state = 'pending' AND product = ?2 AND reason IS NOT ?1";

/// Parameters: product, [`NO_BANK`].
pub(super) const RELEASE: &str =
    "UPDATE inspections SET reason = NULL, reason_code = NULL WHERE state = 'pending' AND product = ? AND reason = ?";

/// The columns of [`PendingColumns`].
pub(super) const PENDING_COLUMNS: &str = "id, image_path, image_path_raw, file_size, mtime_ns, seen_at, attempts, give_up_at, said_whole";

#[derive(sqlx::FromRow)]
pub(super) struct PendingColumns {
    id: i64,
    image_path: String,
    image_path_raw: Option<Vec<u8>>,
    file_size: i64,
    mtime_ns: i64,
    seen_at: String,
    attempts: i64,
    give_up_at: String,
    said_whole: i64,
}

impl PendingColumns {
    pub(super) fn into_image(self) -> Result<PendingImage, sqlx::Error> {
        Ok(PendingImage {
            id: self.id,
            path: PathColumns { shown: self.image_path, raw: self.image_path_raw }.into_path(),
            size: self.file_size as u64,
            mtime_ns: self.mtime_ns,
            seen_at: parse_time(&self.seen_at)?,
            attempts: self.attempts,
            give_up_at: parse_time(&self.give_up_at)?,
            said_whole: SaidWhole::from_number(self.said_whole),
        })
    }
}

/// The SQL condition that an image is below none of the [`folders`], which are bound to `parameter`.
pub(super) fn outside(parameter: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM json_each({parameter}) AS f WHERE substr(image_path, 1, length(f.value)) = f.value)")
}

/// The folders as one parameter.
pub(super) fn folders(folders: &[PathBuf]) -> String {
    let shown: Vec<String> = folders.iter().map(|folder| PathColumns::of(folder).shown + "/").collect();
    serde_json::Value::from(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Arrival, HistoryStore};

    fn arrival(number: i64, seen_at: Timestamp) -> Arrival {
        Arrival { seen_at, give_up_at: seen_at, ..Arrival::sample(number) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[tokio::test]
    async fn live_images_come_before_the_backlog_which_keeps_its_share() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        // Ids 1 to 100 have waited long, 101 to 120 arrive now; the clock is at 1000 s.
        let arrivals: Vec<_> = (1..=100).map(|i| arrival(i, at(i))).chain((101..=120).map(|i| arrival(i, at(891 + i)))).collect();
        store.arrivals().record_arrivals(&arrivals).await.unwrap();
        let next = async |limit, exclude: &[i64], now| {
            let images = store.queue().next_pending("p", at(now), limit, exclude, &[]).await.unwrap();
            images.iter().map(|image| image.id).collect::<Vec<_>>()
        };
        assert_eq!(next(4, &[], 1000).await, [101, 102, 103, 1]);
        assert_eq!(next(4, &[101, 102, 103, 1], 1000).await, [104, 105, 106, 2]);
        assert_eq!(next(16, &[], 1000).await, [101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 1, 2, 3, 4]);
        assert_eq!(next(1, &[], 1000).await, [101]);
        // By then, the 120 images are too old to be live.
        assert_eq!(next(4, &[], 1100).await, [1, 2, 3, 4]);
        let old: Vec<i64> = (1..=100).collect();
        assert_eq!(next(4, &old, 1000).await, [101, 102, 103, 104], "without a backlog all are live");
        // The clock was set back: images from the future count as live, and come after those that arrive now.
        assert_eq!(next(4, &[], 0).await, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn the_queue_is_read_from_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        for query in [LIVE_IMAGES, BACKLOG] {
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"))).fetch_all(store.read()).await.unwrap();
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            let compared = steps.iter().filter(|step| step.contains("inspections_queue (product=? AND seen_at"));
            assert_eq!(compared.count(), 1, "{steps:?}");
            // Only images of the same millisecond are sorted, never the whole backlog.
            assert!(!steps.iter().any(|step| step.starts_with("SCAN inspections") || *step == "USE TEMP B-TREE FOR ORDER BY"), "{steps:?}");
        }
    }
}
