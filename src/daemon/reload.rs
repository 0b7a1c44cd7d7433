//! SIGHUP: the daemon reads the configuration again, with everything that it needs, before it stops anything.

use super::error::FatalError;
use super::line::Line;
use super::long_lived::{LockedHistory, LongLived};
use crate::config::{Config, describe};
use crate::history::Scope;
use crate::line::profile;
use crate::routing::rules;
use crate::supervisor::WorkerEnded;
use crate::telemetry::Pulse;
use std::path::Path;
use std::sync::Arc;

/// The outcome of a reload.
pub struct Reload {
    pub config: Config,
    /// The history that replaces the current one, if the file names another.
    pub history: Option<LockedHistory>,
    /// The changes and their consequences.
    pub changes: String,
}

/// Reads the file again. The line continues meanwhile, and an error does not change it.
///
/// # Errors
/// Everything that is wrong with the new configuration.
pub(crate) async fn read_again(config_path: &Path, line: &Line, long_lived: &LongLived, pulse: &Arc<Pulse>) -> Result<Reload, FatalError> {
    let path = config_path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let config = Config::load(&path)?;
        rules::check_routing(&config)?;
        Ok::<_, FatalError>(config)
    });
    let ended = |error: tokio::task::JoinError| WorkerEnded { worker: "configuration".to_owned(), reason: error.to_string() };
    let mut config = reading.await.map_err(ended)??;
    let history = if long_lived.needs_other_history(&config) { Some(LockedHistory::open(&config.database, pulse).await?) } else { None };
    profile::settle(&mut config, &history.as_ref().map_or(&line.store, LockedHistory::store).profiles()).await?;
    let changes = changes(line, &config).await;
    Ok(Reload { config, history, changes })
}

async fn changes(line: &Line, new: &Config) -> String {
    let mut changes = line.config.changes_to(new);
    let recorded = line.view.records.take(Scope::Brief).await.unwrap_or_default();
    for change in &mut changes {
        if let Some(waiting) = change.removed.as_ref().and_then(|product| recorded.pending_of(product)) {
            change.text += &format!(": {} pending images wait until it is back", waiting.pending);
        }
    }
    let mut text = describe(&changes);
    if let (Some(before), Some(after)) = (&line.config.profile, &new.profile)
        && before != after
    {
        text += if text.is_empty() { "" } else { "; " };
        text += &format!("change-over from profile {before} to {after}: {}", profile::on_and_off(new));
    }
    if text.is_empty() {
        text = "the file says the same as before; what the environment or the unit file sets (RUST_LOG, PATCHCORED_WEIGHTS) counts after \
                `systemctl restart patchcored`"
            .to_owned();
    }
    text
}
