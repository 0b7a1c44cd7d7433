//! The profiles that the line changed over to.

use super::rows::time_text;
use crate::database::{Connections, HistoryError};
use jiff::Timestamp;
use serde::Serialize;

/// A change-over; fields are columns of `profile_changes`.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ProfileChange {
    #[serde(skip)]
    pub id: i64,
    pub profile: String,
    pub asked_at: String,
    pub in_use_since: Option<String>,
}

/// The change-overs between profiles.
#[derive(Debug, Clone)]
pub struct Profiles {
    pub(super) database: Connections,
}

impl Profiles {
    /// The newest request for a profile; `None` before the first start with profiles.
    pub async fn profile_asked_for(&self) -> Result<Option<ProfileChange>, HistoryError> {
        let row = sqlx::query_as("SELECT * FROM profile_changes ORDER BY id DESC LIMIT 1").fetch_optional(self.database.read()).await;
        row.map_err(|e| self.database.error(e))
    }

    /// The profile that the daemon last changed over to.
    pub async fn profile_in_use(&self) -> Result<Option<ProfileChange>, HistoryError> {
        let row = sqlx::query_as("SELECT * FROM profile_changes WHERE in_use_since IS NOT NULL ORDER BY id DESC LIMIT 1");
        row.fetch_optional(self.database.read()).await.map_err(|e| self.database.error(e))
    }

    /// Requests a change-over. The daemon makes it when it next reads its configuration. Returns the row id.
    pub async fn ask_for_profile(&self, profile: &str) -> Result<i64, HistoryError> {
        sqlx::query_scalar("INSERT INTO profile_changes (profile, asked_at) VALUES (?, ?) RETURNING id")
            .bind(profile)
            .bind(time_text(Timestamp::now()))
            .fetch_one(self.database.write())
            .await
            .map_err(|e| self.database.error(e))
    }

    /// The line now works with the profile of this row. A second call changes nothing.
    pub async fn profile_taken_up(&self, id: i64) -> Result<(), HistoryError> {
        sqlx::query("UPDATE profile_changes SET in_use_since = ? WHERE id = ? AND in_use_since IS NULL")
            .bind(time_text(Timestamp::now()))
            .bind(id)
            .execute(self.database.write())
            .await
            .map(|_| ())
            .map_err(|e| self.database.error(e))
    }
}
