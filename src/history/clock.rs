//! What the history keeps of the wall clock: when the daemon last ran, and every jump, so that the age of a row can be told.

use super::rows::{parse_time, time_text};
use super::{HistoryError, HistoryStore};
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

/// Rows changed under one hold of the write lock.
const BATCH: usize = 500;

/// The wall clock went from one time to another without time having passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The last time that it can have shown before.
    pub before: Timestamp,
    /// The first time that it can have shown after.
    pub after: Timestamp,
    /// By how much it was set, ms; a time from before is this much later on the clock of after.
    pub shift_ms: i64,
    /// False: the computer was started anew meanwhile, and nothing tells how much time has passed.
    pub witnessed: bool,
}

/// The clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockStamp {
    /// The wall clock.
    pub wall: Timestamp,
    /// Which start of the computer; empty when the system does not tell.
    pub boot_id: String,
    /// Since that start, ms.
    pub since_boot_ms: i64,
}

/// All that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// Oldest first.
    pub jumps: Vec<ClockJump>,
    /// When a daemon last ran; `None` before the first one that kept it.
    pub stamp: Option<ClockStamp>,
    /// The newest time of an arrival, a decision or an event; `None` in an empty history.
    pub newest: Option<Timestamp>,
}

/// Times of rows, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

impl HistoryStore {
    /// What is known of the wall clock.
    pub async fn clock_record(&self) -> Result<ClockRecord, HistoryError> {
        let read = async {
            let jumps: Vec<(String, String, i64, bool)> =
                sqlx::query_as("SELECT wall_before, wall_after, shift_ms, witnessed FROM clock_jumps ORDER BY id")
                    .fetch_all(&self.read)
                    .await?;
            let stamp: Option<(String, String, i64)> =
                sqlx::query_as("SELECT wall, boot_id, since_boot_ms FROM clock_stamp").fetch_optional(&self.read).await?;
            let newest: Option<String> = sqlx::query_scalar(
                "SELECT max(at) FROM (SELECT max(seen_at) AS at FROM inspections UNION ALL SELECT max(decided_at) FROM inspections
                                      UNION ALL SELECT max(at) FROM events)",
            )
            .fetch_one(&self.read)
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
        read.await.map_err(|e: sqlx::Error| self.error(e))
    }

    /// Writes what happened to the wall clock, and that the daemon runs now: both or neither, since a stamp makes the jumps before it
    /// invisible to the next start.
    pub async fn record_clock(&self, jumps: &[ClockJump], stamp: &ClockStamp) -> Result<(), HistoryError> {
        let mut connection = self.writer().await?;
        let result = record(&mut connection, jumps, stamp).await;
        self.settle(connection, result).await
    }

    /// No pending image waits for its next attempt longer than until `retry`, or is waited for longer than until `give_up`: what lies
    /// further ahead was written before the wall clock was set back. Returns how many rows changed.
    pub async fn mend_waits(&self, retry: Timestamp, give_up: Timestamp) -> Result<u64, HistoryError> {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM inspections WHERE state = 'pending' AND (retry_at > ? OR give_up_at > ?) ORDER BY id")
                .bind(time_text(retry))
                .bind(time_text(give_up))
                .fetch_all(&self.read)
                .await
                .map_err(|e| self.error(e))?;
        let mut changed = 0;
        for batch in ids.chunks(BATCH) {
            changed += sqlx::query(
                "UPDATE inspections SET retry_at = iif(retry_at > ?1, NULL, retry_at), give_up_at = min(give_up_at, ?2)
                 WHERE id IN (SELECT value FROM json_each(?3)) AND state = 'pending'",
            )
            .bind(time_text(retry))
            .bind(time_text(give_up))
            .bind(serde_json::Value::from(batch).to_string())
            .execute(&self.write)
            .await
            .map_err(|e| self.error(e))?
            .rows_affected();
        }
        Ok(changed)
    }
}

/// As a parameter for `json_each`.
pub(super) fn spans_json(spans: &[TimeSpan]) -> String {
    let spans: Vec<[String; 2]> = spans.iter().map(|span| [time_text(span.from), time_text(span.until)]).collect();
    serde_json::json!(spans).to_string()
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

    #[tokio::test]
    async fn what_is_written_of_the_clock_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
        assert_eq!(store.clock_record().await.unwrap(), ClockRecord::default());
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (old, new) = (time("2000-01-01T00:10:00.123Z"), time("2026-11-23T08:00:00Z"));
        let jumps = [
            ClockJump { before: old, after: new, shift_ms: 7, witnessed: true },
            ClockJump { before: new, after: old, shift_ms: -7, witnessed: false },
        ];
        let stamp = |ms| ClockStamp { wall: old, boot_id: "x".into(), since_boot_ms: ms };
        store.record_clock(&jumps[..1], &stamp(1)).await.unwrap();
        store.record_clock(&jumps[1..], &stamp(2)).await.unwrap();
        assert_eq!(store.clock_record().await.unwrap(), ClockRecord { jumps: jumps.into(), stamp: Some(stamp(2)), newest: None });
        store.record_event(crate::codes::EventKind::Start, None, "").await.unwrap();
        assert!(store.clock_record().await.unwrap().newest.is_some());
    }
}
