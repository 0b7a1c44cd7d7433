//! Which configuration the report goes by: the one that the daemon works with, which need not be what the file says now.

use crate::config::Config;
use crate::daemon::{InUse, config_in_use};
use crate::database::database_holder;
use serde::Serialize;
use std::path::Path;

/// The configuration file, and whether the daemon works with what it says.
#[derive(Debug, Serialize)]
pub struct Configuration {
    /// Absolute, if it could be told.
    pub path: String,
    /// `null` when the daemon does not run.
    pub in_use: Option<bool>,
    /// Why it is not in use.
    pub reason: Option<String>,
}

/// The configuration to go by, and what is to be said of the file.
///
/// # Errors
/// When the file has mistakes and it is not known what the daemon works with, or it does not run.
pub fn known(path: &Path) -> anyhow::Result<(Config, Configuration)> {
    let on_disk = Config::load(path);
    let database = on_disk.as_ref().map_or_else(|_| Config::database_of(path), |config| Some(config.database.clone()));
    let running = match &database {
        Some(database) => database_holder(database)?.is_some(),
        None => false,
    };
    let in_use = database.filter(|_| running).and_then(|database| config_in_use(&database));
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let described =
        |reason: Option<String>| Configuration { path: path.display().to_string(), in_use: running.then_some(reason.is_none()), reason };
    Ok(match (on_disk, in_use) {
        (Ok(config), None) => (config, described(None)),
        (Ok(config), Some(in_use)) if config.changes_to(&in_use.config).is_empty() => (config, described(None)),
        (Ok(_), Some(InUse { config, file, read_at })) if file != path => {
            (config, described(Some(format!("the daemon works with {}, read at {read_at}", file.display()))))
        }
        (Ok(_), Some(InUse { config, read_at, .. })) => {
            let reason = format!("it was changed after the daemon read it at {read_at}; `systemctl reload patchcored` puts it in use");
            (config, described(Some(reason)))
        }
        (Err(error), Some(InUse { config, read_at, .. })) => {
            (config, described(Some(format!("it cannot be used, and the daemon works with what it said at {read_at}: {error}"))))
        }
        (Err(error), None) => return Err(error.into()),
    })
}
