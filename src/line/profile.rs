//! Which profile the line uses: the last one that a person asked for, which the history keeps; before that, the one in the file.
//!
//! A product of another profile is off: the daemon takes no new images for it. Its bank is still kept and rebuilt, so that it is ready
//! when the line changes over. Images that were recorded for the product still get their decision from it.

use crate::codes::EventKind;
use crate::config::Config;
use crate::history::{HistoryError, Profiles};
use crate::telemetry::{Event, Events};

/// Why the line cannot use the profile that it is set up for.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is not in the configuration.
    #[error(
        "profiles: `{asked}` is missing, and the line is set up for it; put it back, or change over with `patchcored profile NAME` to one of: {known}"
    )]
    Missing {
        /// The profile that was asked for last.
        asked: String,
        /// The profiles of the configuration.
        known: String,
    },
    /// The history does not say which one it is.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Sets the profile that the line must use; at the first start, records the one in the file.
///
/// # Errors
/// [`ProfileError::Missing`] when the last requested profile is not in the configuration: with a guess, the wrong bank would decide.
pub async fn settle(config: &mut Config, profiles: &Profiles) -> Result<(), ProfileError> {
    let Some(first) = config.profile.clone() else { return Ok(()) };
    match profiles.profile_asked_for().await? {
        None => {
            profiles.ask_for_profile(&first).await?;
        }
        Some(asked) if config.profiles.contains_key(&asked.profile) => config.profile = Some(asked.profile),
        Some(asked) => {
            let known = config.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(ProfileError::Missing { asked: asked.profile, known });
        }
    }
    Ok(())
}

/// Records, once, that the line has started with its profile.
pub async fn taken_up(config: &Config, profiles: &Profiles, events: &Events) {
    let Some(profile) = &config.profile else { return };
    let noted = async {
        match profiles.profile_asked_for().await? {
            // A person asked for another one meanwhile; the signal for it will come soon.
            Some(asked) if asked.profile != *profile => Ok(()),
            Some(asked) if asked.in_use_since.is_none() => {
                profiles.profile_taken_up(asked.id).await?;
                let detail = format!("{profile} is in use: {}", on_and_off(config));
                events.tell(Event::new(EventKind::Profile, detail)).await;
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

/// For a command beside the daemon: the profile in use, or the one after the next start.
///
/// # Errors
/// When the history cannot be read.
pub async fn look_up(config: &mut Config, profiles: &Profiles) -> Result<(), HistoryError> {
    let known = match profiles.profile_in_use().await? {
        Some(in_use) => Some(in_use),
        None => profiles.profile_asked_for().await?,
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
