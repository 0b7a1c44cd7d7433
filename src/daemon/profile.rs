//! Which profile the line works with: the one asked for last, which the history keeps; before that, the one in the file.
//!
//! A product of another profile is off: no new images are taken for it. Its bank is kept and rebuilt all the same, so that it is ready
//! when the line changes over, and images that were recorded for it are still decided by it.

use super::line::Line;
use crate::codes::EventKind;
use crate::config::Config;
use crate::error::FatalError;
use crate::history::{HistoryError, HistoryStore};

/// Sets the profile that the line is to work with; at the first start, puts that of the file down.
///
/// # Errors
/// [`FatalError::Config`] when the profile that was asked for last is not in the configuration: guessing another would judge parts by the
/// wrong bank.
pub(super) async fn settle(config: &mut Config, store: &HistoryStore) -> Result<(), FatalError> {
    let Some(first) = config.profile.clone() else { return Ok(()) };
    let unusable = |error: HistoryError| FatalError::History(error.into());
    match store.profile_asked_for().await.map_err(unusable)? {
        None => {
            store.ask_for_profile(&first).await.map_err(unusable)?;
        }
        Some(asked) if config.profiles.contains_key(&asked.profile) => config.profile = Some(asked.profile),
        Some(asked) => {
            return Err(FatalError::Config(format!(
                "profiles: `{0}` is missing, and the line is set up for it; put it back, or change over with `patchcored profile NAME` to one of: {1}",
                asked.profile,
                config.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(())
}

/// The line has started with its profile: the history says so, once.
pub(super) async fn taken_up(line: &Line) {
    let Some(profile) = &line.config.profile else { return };
    let noted = async {
        match line.store.profile_asked_for().await? {
            // Another one was asked for meanwhile; the signal for it is on its way.
            Some(asked) if asked.profile != *profile => Ok(()),
            Some(asked) if asked.in_use_since.is_none() => {
                line.store.profile_taken_up(asked.id).await?;
                line.event(EventKind::Profile, None, &format!("{profile} is in use: {}", on_and_off(&line.config))).await;
                Ok(())
            }
            _ => Ok(()),
        }
    };
    let noted: Result<(), HistoryError> = noted.await;
    if let Err(error) = noted {
        tracing::error!(%error, %profile, "history not written; the profile is in use");
    }
}

/// For a command beside the daemon: the profile in use, or the one that will be after the next start.
///
/// # Errors
/// When the history cannot be read.
pub async fn look_up(config: &mut Config, store: &HistoryStore) -> Result<(), HistoryError> {
    let known = match store.profile_in_use().await? {
        Some(in_use) => Some(in_use),
        None => store.profile_asked_for().await?,
    };
    if let Some(known) = known.filter(|known| config.profiles.contains_key(&known.profile)) {
        config.profile = Some(known.profile);
    }
    Ok(())
}

/// `on: a, b; off: c`
pub fn on_and_off(config: &Config) -> String {
    let names = |on: bool| {
        let products = config.products.iter().map(|product| product.name.as_str()).filter(|product| config.is_on(product) == on);
        products.collect::<Vec<_>>().join(", ")
    };
    let (on, off) = (names(true), names(false));
    if off.is_empty() { format!("on: {on}") } else { format!("on: {on}; off: {off}") }
}
