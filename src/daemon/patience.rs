//! Waits for a database that another program has locked: a person's open transaction must not end a start.

use super::error::FatalError;
use crate::database::{HistoryError, HistoryErrorKind};
use crate::telemetry::Pulse;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two tries; SQLite itself waits much longer in each.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries for as long as the database is locked. Each answer is a step: the database is alive, and another start would not help.
pub(crate) async fn while_locked<T>(pulse: &Arc<Pulse>, mut attempt: impl AsyncFnMut() -> Result<T, FatalError>) -> Result<T, FatalError> {
    loop {
        match attempt().await {
            Err(error) if is_locked(&error) => {
                tracing::warn!(error = %format!("{error:#}"), "the start waits for the database");
                pulse.step();
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_locked(error: &FatalError) -> bool {
    let FatalError::History(cause) = error else { return false };
    cause.downcast_ref::<HistoryError>().is_some_and(|error| error.kind == HistoryErrorKind::Busy)
}
