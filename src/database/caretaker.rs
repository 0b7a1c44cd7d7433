//! Checks the files of the history for as long as the daemon works with them.

use super::lock::DatabaseLock;
use super::opened::Database;
use std::sync::Arc;
use std::time::Duration;

/// How often the caretaker checks that the files are still there.
pub const LOOK: Duration = Duration::from_secs(1);
/// One in this many checks also writes down what is known of the history.
const NOTE: u32 = 10;

/// Runs until it is aborted. Any trouble it finds ends the line through [`Database::lost`].
pub async fn look_after(database: Database, lock: Arc<DatabaseLock>) {
    tokio::join!(files(&database, &lock), contents(&database));
}

/// Reports a database that was moved, and makes the lock file again if somebody removed it.
async fn files(database: &Database, lock: &Arc<DatabaseLock>) {
    for look in 0u32.. {
        let (asked, held) = (database.clone(), Arc::clone(lock));
        // Only this thread waits for a disk that does not answer.
        let looked = tokio::task::spawn_blocking(move || (asked.in_place(), held.restore())).await;
        match looked {
            Ok((Err(error), _)) => return tracing::error!(%error, "the database is not in its place any more; the daemon ends"),
            Ok((Ok(()), true)) => tracing::warn!(file = %lock.file().display(), "somebody removed the lock file; it is there again"),
            _ => {}
        }
        if look % NOTE == 0 {
            database.note().await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Checks the contents that the start did not check.
async fn contents(database: &Database) {
    match database.check_the_rest().await {
        Ok(true) => tracing::info!("all of the database was looked at, beside the line: it is whole"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the contents of the database could not be looked at"),
    }
}
