//! The time zone and the shifts of the configuration, for the views of the history.

use crate::domain::LocalTime;
use crate::history::Calendar;

/// Writes them down. Nothing but the views depends on it.
pub async fn note(local: &LocalTime, calendar: &Calendar) {
    if let Err(error) = calendar.set(local).await {
        tracing::error!(%error, "time zone and shifts were not written; views count by those of before");
    }
}
