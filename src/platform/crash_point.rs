//! Named points at which the daemon, a backup or a restore dies as by SIGKILL, so that tests can see what a crash leaves behind at that point.
//!
//! For tests only: `PATCHCORED_CRASH_AT=NAME` (or `NAME:3` for the third time at the point) chooses one, and the daemon warns of it when
//! it starts. Without it, each point costs one look at a variable in memory, which only [`arm`] ever sets.
//!
//! It is safe in a released program: whoever can set the daemon's environment can also kill it; the daemon reaches a point once per image
//! or file, never in a loop over pixels; and it must survive a death at any point anyway. Other processes than these do not call
//! [`arm`], so the build that the daemon starts passes all points.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The environment variable that chooses a point.
pub const VARIABLE: &str = "PATCHCORED_CRASH_AT";

/// Every point, in the order that a daemon reaches them: it opens an old database, inspects an image, builds a bank, deletes old files.
pub const NAMES: [&str; 46] = [
    // The database is opened and brought up to date.
    "log_set_aside",
    "migration_before_copy",
    "migration_copied",
    "migration_step_done",
    // An image is inspected.
    "row_recorded",
    "arrival_compared",
    "attempt_started",
    "file_written",
    "file_renamed",
    "outputs_written",
    "decision_recorded",
    // What follows the decision: a command is run, a message is published.
    "action_started",
    "action_ended",
    "message_sent",
    "message_acknowledged",
    "messages_forgotten",
    // A bank is built, published and put in use, and an old one removed.
    "build_begun",
    "build_ended",
    "version_synced",
    "version_named",
    "link_made",
    "link_swapped",
    "version_published",
    "bank_recorded",
    "version_retired",
    "version_removed",
    // Somebody asks for a rebuild or a rollback.
    "request_taken",
    "rollback_swapped",
    "rollback_recorded",
    // Old files are deleted.
    "file_set_aside",
    "file_deleted",
    "deletions_synced",
    "deletion_recorded",
    // Old rows are moved out of the history.
    "rows_copied",
    "rows_deleted",
    // The clock is noted.
    "clock_recorded",
    // The daemon is asked to stop.
    "close_before_checkpoint",
    "close_checkpointed",
    // Somebody makes a backup.
    "backup_begun",
    "backup_copied",
    "backup_written",
    "backup_named",
    // Somebody restores one.
    "config_put_back",
    "bank_set_aside",
    "history_set_aside",
    "history_put_back",
];

/// The chosen point, and how many more times it must be reached.
static CHOSEN: OnceLock<(String, AtomicU32)> = OnceLock::new();

/// The chosen point does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={0}: there is no such crash point; unset the variable, which is for tests alone")]
pub struct NoSuchPoint(String);

/// Reads the choice from the environment and applies it to this process. Returns the chosen point.
///
/// # Errors
/// When there is no such point.
pub fn arm() -> Result<Option<&'static str>, NoSuchPoint> {
    let Some(choice) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let choice = choice.to_string_lossy();
    let (name, times) = choice.split_once(':').unwrap_or((&choice, "1"));
    match times.parse() {
        Ok(times) if NAMES.contains(&name) => Ok(Some(CHOSEN.get_or_init(|| (name.to_owned(), AtomicU32::new(times))).0.as_str())),
        _ => Err(NoSuchPoint(choice.into_owned())),
    }
}

/// Dies here if this point was chosen: nothing is flushed, dropped or cleaned up.
pub fn reach(name: &str) {
    if let Some((chosen, times)) = CHOSEN.get()
        && chosen == name
        && times.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
