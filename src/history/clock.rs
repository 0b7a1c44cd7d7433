//! What the history stores about the wall clock: when the daemon last ran, and every jump. With them the daemon can tell the age of a row.

use super::rows::{parse_time, time_text};
use crate::database::{Connections, HistoryError};
use crate::domain::{ClockJump, ClockRecord, ClockStamp};
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

/// Rows changed in one hold of the write lock.
const BATCH: usize = 500;

/// The record of the wall clock.
#[derive(Debug, Clone)]
pub struct StoredClock {
    pub(super) database: Connections,
}

impl StoredClock {
    /// What is known about the wall clock.
    pub async fn clock_record(&self) -> Result<ClockRecord, HistoryError> {
        let read = async {
            let jumps: Vec<(String, String, i64, bool)> =
                sqlx::query_as("SELECT wall_before, wall_after, shift_ms, witnessed FROM clock_jumps ORDER BY id")
                    .fetch_all(self.database.read())
                    .await?;
            let stamp: Option<(String, String, i64)> =
                sqlx::query_as("SELECT wall, boot_id, since_boot_ms FROM clock_stamp").fetch_optional(self.database.read()).await?;
            let newest: Option<String> = sqlx::query_scalar(
                "SELECT max(at) FROM (SELECT max(seen_at) AS at FROM inspections UNION ALL SELECT max(decided_at) FROM inspections
                                      UNION ALL SELECT max(at) FROM events)",
            )
            .fetch_one(self.database.read())
            .await?;
            let jump = |(before, after, shift_ms, witnessed): (String, String, i64, bool)| {
                Ok(ClockJump { before: parse_time(&before)?, after: parse_time(&after)?, shift_ms, witnessed })
            };
            let seen = |(wall, boot_id, since_boot_ms): (String, String, i64)| {
                Ok::<_, sqlx::Error>(ClockStamp { wall: parse_time(&wall)?, boot_id, since_boot_ms })
            };
            Ok(ClockRecord {
                jumps: jumps.into_iter().map(jump).collect::<Result<_, sqlx::Error>>()?,
                stamp: stamp.map(seen).transpose()?,
                newest: newest.map(|time| parse_time(&time)).transpose()?,
            })
        };
        read.await.map_err(|e: sqlx::Error| self.database.error(e))
    }

    /// Writes the jumps of the wall clock, and that the daemon runs now. It writes both or neither, because a stamp hides the jumps before
    /// it from the next start.
    pub async fn record_clock(&self, jumps: &[ClockJump], stamp: &ClockStamp) -> Result<(), HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = record(&mut connection, jumps, stamp).await;
        self.database.settle(connection, result).await
    }

    /// Limits the waits of pending images: the next attempt to `retry`, the end of waiting to `give_up`. Later times were written before
    /// the wall clock was set back. Returns how many rows changed.
    pub async fn mend_waits(&self, retry: Timestamp, give_up: Timestamp) -> Result<u64, HistoryError> {
        let ids: Vec<i64> =
            // Without this index, SQLite reads every row of the history.
            sqlx::query_scalar(
                "SELECT id FROM inspections INDEXED BY inspections_queue WHERE state = 'pending' AND (retry_at > ? OR give_up_at > ?)",
            )
                .bind(time_text(retry))
                .bind(time_text(give_up))
                .fetch_all(self.database.read())
                .await
                .map_err(|e| self.database.error(e))?;
        let mut changed = 0;
        for batch in ids.chunks(BATCH) {
            changed += sqlx::query(
                "UPDATE inspections SET retry_at = iif(retry_at > ?1, NULL, retry_at), give_up_at = min(give_up_at, ?2)
                 WHERE id IN (SELECT value FROM json_each(?3)) AND state = 'pending'",
            )
            .bind(time_text(retry))
            .bind(time_text(give_up))
            .bind(serde_json::Value::from(batch).to_string())
            .execute(self.database.write())
            .await
            .map_err(|e| self.database.error(e))?
            .rows_affected();
        }
        Ok(changed)
    }
}

async fn record(connection: &mut SqliteConnection, jumps: &[ClockJump], stamp: &ClockStamp) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for jump in jumps {
        sqlx::query("INSERT INTO clock_jumps (wall_before, wall_after, shift_ms, witnessed) VALUES (?, ?, ?, ?)")
            .bind(time_text(jump.before))
            .bind(time_text(jump.after))
            .bind(jump.shift_ms)
            .bind(jump.witnessed)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("INSERT OR REPLACE INTO clock_stamp (one, wall, boot_id, since_boot_ms) VALUES (1, ?, ?, ?)")
        .bind(time_text(stamp.wall))
        .bind(&stamp.boot_id)
        .bind(stamp.since_boot_ms)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryStore;

    #[tokio::test]
    async fn what_is_written_of_the_clock_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        assert_eq!(store.clock().clock_record().await.unwrap(), ClockRecord::default());
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (old, new) = (time("2000-01-01T00:10:00.123Z"), time("2026-11-23T08:00:00Z"));
        let jumps = [
            ClockJump { before: old, after: new, shift_ms: 7, witnessed: true },
            ClockJump { before: new, after: old, shift_ms: -7, witnessed: false },
        ];
        let stamp = |ms| ClockStamp { wall: old, boot_id: "x".into(), since_boot_ms: ms };
        store.clock().record_clock(&jumps[..1], &stamp(1)).await.unwrap();
        store.clock().record_clock(&jumps[1..], &stamp(2)).await.unwrap();
        assert_eq!(store.clock().clock_record().await.unwrap(), ClockRecord { jumps: jumps.into(), stamp: Some(stamp(2)), newest: None });
        store.events().record_event(&crate::telemetry::Event::new(crate::codes::EventKind::Start, "")).await.unwrap();
        assert!(store.clock().clock_record().await.unwrap().newest.is_some());
    }
}
