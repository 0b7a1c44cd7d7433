//! Files that arrived: one row each, however often they are reported. [`super::sightings`] says which files are new and which are known.

use super::ages::Ages;
use super::queue::InspectionQueue;
use super::rows::{Arrival, ArrivalState, PathColumns, time_text};
use super::sightings::{Standing, WINDOW, key, kin, sight, sighted, standing, was_sighted};
use crate::codes::{Reason, ReasonCode};
use crate::database::{Connections, HistoryError};
use crate::domain::{Kin, Recorded, SaidWhole};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use std::collections::HashMap;

/// Arrivals per query: few round trips, and the JSON text stays small.
const LOOKUP: usize = 2000;

/// The files that arrive.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pub(super) database: Connections,
    /// Tells which images were decided too long ago to be the same as an arrival.
    pub(super) ages: Ages,
}

impl Arrivals {
    /// Records the files that a scan or a watcher saw; one answer per arrival, in order. New and changed rows are written in one
    /// transaction. The caller records [`Recorded::Unclear`] ones again.
    ///
    /// Readers find the known files without the write lock, so a scan of a full folder does not hold up decisions. Each new file holds the
    /// lock for about 0.1 ms, so callers keep batches to some hundreds.
    pub async fn record_arrivals(&self, arrivals: &[Arrival]) -> Result<Vec<Recorded>, HistoryError> {
        let mut recorded: Vec<Option<Recorded>> = Vec::with_capacity(arrivals.len());
        for batch in arrivals.chunks(LOOKUP) {
            let known = self.known(batch).await?;
            recorded.extend((0..batch.len()).map(|i| known.get(&i).copied().map(Recorded::Known)));
        }
        if recorded.iter().any(Option::is_none) {
            let mut connection = self.database.writer().await?;
            let long_ago = self.ages.long_ago(WINDOW);
            let result = record(&mut connection, arrivals, &mut recorded, &long_ago).await;
            self.database.settle(connection, result).await?;
        }
        Ok(recorded.into_iter().flatten().collect())
    }

    /// Index in `batch` → inspection id, for arrivals whose row stays as it is.
    async fn known(&self, batch: &[Arrival]) -> Result<HashMap<usize, i64>, HistoryError> {
        let keys: Vec<_> = batch
            .iter()
            .map(|arrival| {
                let path = PathColumns::of(&arrival.path);
                let raw: String = path.raw.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
                json!([path.shown, arrival.size, arrival.mtime_ns, raw, arrival.said_whole])
            })
            .collect();
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT a.key, i.id
             FROM json_each(?1) AS a
             CROSS JOIN inspections AS i
               ON i.image_path = a.value ->> 0 AND i.file_size = a.value ->> 1 AND i.mtime_ns = a.value ->> 2
              AND ifnull(i.image_path_raw, x'') = unhex(a.value ->> 3)
             WHERE (i.state <> 'failed' OR i.reason_code NOT IN (?2, ?3)) AND (i.state <> 'pending' OR i.said_whole OR NOT a.value ->> 4)
               AND NOT EXISTS (SELECT 1 FROM sightings AS s WHERE s.inspection_id = i.id)
               AND NOT ifnull((SELECT s.seen_at > i.seen_at FROM sightings AS s
                               WHERE s.image_path = i.image_path AND ifnull(s.image_path_raw, x'') = ifnull(i.image_path_raw, x'')
                               ORDER BY s.id DESC LIMIT 1), FALSE)
             UNION ALL
             SELECT a.key, s.inspection_id
             FROM json_each(?1) AS a
             CROSS JOIN sightings AS s
               ON s.image_path = a.value ->> 0 AND s.file_size = a.value ->> 1 AND s.mtime_ns = a.value ->> 2
              AND ifnull(s.image_path_raw, x'') = unhex(a.value ->> 3)
             WHERE s.id = (SELECT max(id) FROM sightings WHERE inspection_id = s.inspection_id)
               AND s.id = (SELECT id FROM sightings AS l
                           WHERE l.image_path = s.image_path AND ifnull(l.image_path_raw, x'') = ifnull(s.image_path_raw, x'')
                           ORDER BY id DESC LIMIT 1)",
        )
        .bind(serde_json::Value::from(keys).to_string())
        .bind(ReasonCode::NotClosed.as_str())
        .bind(ReasonCode::Incomplete.as_str())
        .fetch_all(self.database.read())
        .await
        .map_err(|e| self.database.error(e))?;
        Ok(rows.into_iter().map(|(key, id)| (key as usize, id)).collect())
    }

    /// The images that may be the same as this arrival, newest first.
    pub async fn kin(&self, arrival: &Arrival) -> Result<Vec<Kin>, HistoryError> {
        let mut connection = self.database.read().acquire().await.map_err(|e| self.database.error(e))?;
        let path = PathColumns::of(&arrival.path);
        match key(arrival, &path) {
            Some(key) => kin(&mut connection, &key, &self.ages.long_ago(WINDOW)).await.map_err(|e| self.database.error(e)),
            None => Ok(Vec::new()),
        }
    }
}

impl InspectionQueue {
    /// A pending file was found with another size and time (bytes, ns since 1970). It may be another file (device, inode). Its row takes
    /// these values. False when the row is no longer pending.
    ///
    /// When the file is back at a version that already has a row, this row fails as a duplicate of it, and the answer is false.
    pub async fn touch(
        &self,
        id: i64,
        version: (u64, i64),
        file_id: Option<(u64, u64)>,
        give_up_at: Timestamp,
    ) -> Result<bool, HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = touch(&mut connection, id, version, file_id, give_up_at).await;
        self.database.settle(connection, result).await
    }
}

/// Fills the empty places in `recorded`.
async fn record(
    connection: &mut SqliteConnection,
    arrivals: &[Arrival],
    recorded: &mut [Option<Recorded>],
    long_ago: &str,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (arrival, slot) in arrivals.iter().zip(recorded) {
        if slot.is_none() {
            *slot = Some(record_one(&mut transaction, arrival, long_ago).await?);
        }
    }
    transaction.commit().await
}

/// 1. the arrival has a row. The row stays, unless it failed as unfinished and the writer has finished the file since;
/// 2. or the pending row of its path takes the change; 3. or it is the file of another row; 4. or it is new.
async fn record_one(connection: &mut SqliteConnection, arrival: &Arrival, long_ago: &str) -> Result<Recorded, sqlx::Error> {
    let path = PathColumns::of(&arrival.path);
    // Two look-ups, each with its own index: a camera that always writes the same name makes one path with a million rows. An insert first
    // would leave gaps in the ids, and gaps look like lost images.
    let found: Option<(i64, bool, i64)> = sqlx::query_as(
        "WITH pending AS (SELECT id FROM inspections
                          WHERE image_path = ?1 AND ifnull(image_path_raw, x'') = ifnull(?2, x'') AND state = 'pending')
         SELECT id, state <> 'failed' OR NOT (reason_code = ?5 OR reason_code = ?6 AND ?7 AND said_whole = 0)
                    OR EXISTS (SELECT 1 FROM pending) AS stays, 1 AS choice FROM inspections
         WHERE image_path = ?1 AND ifnull(image_path_raw, x'') = ifnull(?2, x'') AND file_size = ?3 AND mtime_ns = ?4
         UNION ALL
         SELECT id, FALSE AS stays, 2 AS choice FROM pending
         ORDER BY choice LIMIT 1",
    )
    .bind(&path.shown)
    .bind(&path.raw)
    .bind(arrival.size as i64)
    .bind(arrival.mtime_ns)
    .bind(ReasonCode::NotClosed.as_str())
    .bind(ReasonCode::Incomplete.as_str())
    .bind(arrival.said_whole)
    .fetch_optional(&mut *connection)
    .await?;
    match found {
        Some((id, true, _)) => {
            if was_sighted(connection, id, &path).await? {
                sight(connection, id, arrival, &path).await?;
            }
            say_whole(connection, id, arrival).await
        }
        Some((id, false, _)) => change(connection, id, arrival, &path).await,
        None => match sighted(connection, arrival, &path).await? {
            Some(id) => sight(connection, id, arrival, &path).await,
            None => match standing(connection, arrival, &path, long_ago).await? {
                Standing::New => insert(connection, &path, arrival).await.map(Recorded::New),
                Standing::Unclear => Ok(Recorded::Unclear),
                Standing::Renamed(id) => change(connection, id, arrival, &path).await,
                Standing::Same(id) => sight(connection, id, arrival, &path).await,
            },
        },
    }
}

/// The row exists, but the close by its writer may be news.
async fn say_whole(connection: &mut SqliteConnection, id: i64, arrival: &Arrival) -> Result<Recorded, sqlx::Error> {
    if arrival.said_whole {
        let said = sqlx::query("UPDATE inspections SET said_whole = ? WHERE id = ? AND state = 'pending' AND said_whole = 0");
        said.bind(SaidWhole::Writer as i64).bind(id).execute(connection).await?;
    }
    Ok(Recorded::Known(id))
}

fn said_whole(arrival: &Arrival) -> i64 {
    (if arrival.said_whole { SaidWhole::Writer } else { SaidWhole::Nobody }) as i64
}

/// The columns state, reason and decided_at of a new arrival.
fn entry(arrival: &Arrival) -> (&'static str, Option<&Reason>, Option<String>) {
    match &arrival.state {
        ArrivalState::Pending => ("pending", arrival.reason.as_ref(), None),
        ArrivalState::Failed { reason } => ("failed", Some(reason), Some(time_text(arrival.seen_at))),
    }
}

async fn insert(connection: &mut SqliteConnection, path: &PathColumns, arrival: &Arrival) -> Result<i64, sqlx::Error> {
    let (state, reason, decided_at) = entry(arrival);
    sqlx::query_scalar(
        "INSERT INTO inspections (product, image_path, image_path_raw, file_size, mtime_ns, state, reason, reason_code, seen_at, give_up_at,
                                  decided_at, device, inode, said_whole)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         RETURNING id",
    )
    .bind(&arrival.product)
    .bind(&path.shown)
    .bind(&path.raw)
    .bind(arrival.size as i64)
    .bind(arrival.mtime_ns)
    .bind(state)
    .bind(reason.map(|reason| reason.text.as_str()))
    .bind(reason.map(|reason| reason.code.as_str()))
    .bind(time_text(arrival.seen_at))
    .bind(time_text(arrival.give_up_at))
    .bind(decided_at)
    .bind(arrival.file_id.map(|(device, _)| device as i64))
    .bind(arrival.file_id.map(|(_, inode)| inode as i64))
    .bind(said_whole(arrival))
    .fetch_one(connection)
    .await
}

async fn change(connection: &mut SqliteConnection, id: i64, arrival: &Arrival, path: &PathColumns) -> Result<Recorded, sqlx::Error> {
    let (state, reason, decided_at) = entry(arrival);
    // Clearing started_at cancels a running attempt on the old contents. A row that waits for a bank continues to wait.
    sqlx::query(
        "UPDATE inspections
         SET product = ?1, file_size = ?2, mtime_ns = ?3, state = ?4, give_up_at = ?5, decided_at = ?6, started_at = NULL, retry_at = NULL,
             reason = CASE WHEN ?7 IS NULL AND reason_code = ?9 THEN reason ELSE ?7 END,
             reason_code = CASE WHEN ?7 IS NULL AND reason_code = ?9 THEN reason_code ELSE ?8 END,
             image_path = ?11, image_path_raw = ?12, device = ?13, inode = ?14, said_whole = ?15
         WHERE id = ?10",
    )
    .bind(&arrival.product)
    .bind(arrival.size as i64)
    .bind(arrival.mtime_ns)
    .bind(state)
    .bind(time_text(arrival.give_up_at))
    .bind(decided_at)
    .bind(reason.map(|reason| reason.text.as_str()))
    .bind(reason.map(|reason| reason.code.as_str()))
    .bind(ReasonCode::NoBank.as_str())
    .bind(id)
    .bind(&path.shown)
    .bind(&path.raw)
    .bind(arrival.file_id.map(|(device, _)| device as i64))
    .bind(arrival.file_id.map(|(_, inode)| inode as i64))
    .bind(said_whole(arrival))
    .execute(connection)
    .await
    .map(|_| Recorded::Changed(id))
}

async fn touch(
    connection: &mut SqliteConnection,
    id: i64,
    (size, mtime_ns): (u64, i64),
    file_id: Option<(u64, u64)>,
    give_up_at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // OR IGNORE: a row with this path, size and time stays the only one.
    let updated =
        // The writer reported nothing about this version, unless intake saw that too.
        sqlx::query(
            "UPDATE OR IGNORE inspections
             SET file_size = ?1, mtime_ns = ?2, give_up_at = ?3, said_whole = iif(file_size = ?1 AND mtime_ns = ?2, said_whole, 0),
                 device = ?5, inode = ?6
             WHERE id = ?4 AND state = 'pending'",
        )
        .bind(size as i64)
        .bind(mtime_ns)
        .bind(time_text(give_up_at))
        .bind(id)
        .bind(file_id.map(|(device, _)| device as i64))
        .bind(file_id.map(|(_, inode)| inode as i64))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if updated == 0 {
        sqlx::query(
            "UPDATE inspections
             SET state = 'failed', retry_at = NULL, decided_at = ?1, in_hand = NULL, deaths = NULL, reason = 'same file as inspection ' || twin.id,
                 reason_code = ?5
             FROM (SELECT o.id FROM inspections AS o JOIN inspections AS i
                     ON o.image_path = i.image_path AND ifnull(o.image_path_raw, x'') = ifnull(i.image_path_raw, x'')
                   WHERE i.id = ?2 AND o.file_size = ?3 AND o.mtime_ns = ?4) AS twin
             WHERE inspections.id = ?2 AND inspections.state = 'pending'",
        )
        .bind(time_text(Timestamp::now()))
        .bind(id)
        .bind(size as i64)
        .bind(mtime_ns)
        .bind(ReasonCode::Duplicate.as_str())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(updated == 1)
}
