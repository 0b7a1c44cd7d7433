//! SIGHUP: the configuration is read again, with all that it needs, before anything is stopped for it.

use super::kept::{Kept, OwnHistory};
use super::line::Line;
use super::progress::Pulse;
use super::{profile, rules};
use crate::config::{Config, describe};
use crate::error::FatalError;
use std::path::Path;
use std::sync::Arc;

/// What a reload leads to.
pub struct Reload {
    pub config: Config,
    /// The history that takes the place of the present one, if the file names another.
    pub history: Option<OwnHistory>,
    /// What changes, and what that means.
    pub changes: String,
}

/// Reads the file again. The line goes on meanwhile, and is not changed by an error.
///
/// # Errors
/// Everything that is wrong with the new configuration.
pub(super) async fn read_again(config_path: &Path, line: &Line, kept: &Kept, pulse: &Arc<Pulse>) -> Result<Reload, FatalError> {
    let path = config_path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let config = Config::load(&path)?;
        rules::check_routing(&config).map(|_| config)
    });
    let ended = |e: tokio::task::JoinError| FatalError::Worker { worker: "configuration", reason: e.to_string() };
    let mut config = reading.await.map_err(ended)??;
    let history = if kept.needs_other_history(&config) { Some(OwnHistory::open(&config.database, pulse).await?) } else { None };
    profile::settle(&mut config, history.as_ref().map_or(&line.store, OwnHistory::store)).await?;
    let changes = changes(line, &config).await;
    Ok(Reload { config, history, changes })
}

async fn changes(line: &Line, new: &Config) -> String {
    let mut changes = line.config.changes_to(new);
    let pending = line.store.pending_by_product().await.unwrap_or_default();
    for change in &mut changes {
        let waiting = pending.iter().find(|waiting| Some(&waiting.product) == change.removed.as_ref());
        if let Some(waiting) = waiting {
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
