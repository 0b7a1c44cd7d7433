//! Time zone and shifts of the plant, for the views that count by local days and shifts.

use super::rows::time_text;
use crate::database::{Connections, HistoryError};
use crate::domain::LocalTime;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, SqliteConnection};

/// No row is older.
const FIRST: i64 = 1_577_836_800;

/// The changes of the clocks are written so far ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(20 * 366 * 24);

/// Time zone and shifts, as the views see them.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub(super) database: Connections,
}

impl Calendar {
    /// Writes them down in place of those of before.
    pub async fn set(&self, local: &LocalTime) -> Result<(), HistoryError> {
        let mut connection = self.database.writer().await?;
        let result = set(&mut connection, local).await;
        self.database.settle(connection, result).await
    }
}

async fn set(connection: &mut SqliteConnection, local: &LocalTime) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM local_offsets").execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM shifts").execute(&mut *transaction).await?;
    let from = Timestamp::from_second(FIRST).unwrap_or(Timestamp::UNIX_EPOCH);
    let until = Timestamp::now().checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    for (since, seconds) in local.offsets(from, until) {
        let insert = sqlx::query("INSERT INTO local_offsets (since, seconds) VALUES (?, ?)");
        insert.bind(time_text(since)).bind(seconds).execute(&mut *transaction).await?;
    }
    for shift in local.shifts() {
        let insert = sqlx::query("INSERT INTO shifts (name, begin_minute) VALUES (?, ?)");
        insert.bind(&shift.name).bind(shift.begin_minute).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
