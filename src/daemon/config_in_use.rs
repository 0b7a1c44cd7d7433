//! A copy of the configuration in use, beside the database, for commands that report the state of the line: the file may have changed
//! since, or be full of mistakes.

use crate::config::Config;
use crate::platform::files;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The same mode as the installed file: the copy may hold passwords.
const MODE: u32 = 0o640;

/// The copy.
#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    /// The absolute path of the file.
    file: PathBuf,
    read_at: String,
    configuration: serde_json::Value,
}

/// The configuration in use.
#[derive(Debug)]
pub struct InUse {
    /// The file that it was read from.
    pub file: PathBuf,
    /// When it was read.
    pub read_at: String,
    /// Its content at that time.
    pub config: Config,
}

/// Writes the copy. Without it the commands can only read the file.
pub(crate) fn write(config: &Config, file: &Path) {
    if let Err(error) = try_write(config, file) {
        tracing::warn!(%error, database = %config.database.display(), "no copy of the configuration in use is kept beside the database");
    }
}

fn try_write(config: &Config, file: &Path) -> io::Result<()> {
    let copy =
        Copy { file: std::path::absolute(file)?, read_at: format!("{:.3}", Timestamp::now()), configuration: config.document().clone() };
    let place = place(&config.database);
    let mut whole = files::temporary(place.parent().unwrap_or(Path::new("/")))?;
    whole.as_file().set_permissions(Permissions::from_mode(MODE))?;
    whole.write_all(&serde_json::to_vec_pretty(&copy)?)?;
    whole.persist(place)?;
    Ok(())
}

/// The configuration of the daemon that works with this database; `None` when there is no readable copy.
pub fn config_in_use(database: &Path) -> Option<InUse> {
    let copy: Copy = serde_json::from_slice(&std::fs::read(place(database)).ok()?).ok()?;
    let config = Config::parse_in(&copy.configuration.to_string(), copy.file.parent()).ok()?;
    Some(InUse { file: copy.file, read_at: copy.read_at, config })
}

fn place(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".config.json");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_reads_as_the_file_did_and_only_the_group_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        let text = "database: history.db\ndefaults: {build: {preset: guide}, mask: {open: 2}}\nproducts:\n- {name: a, drop: [{path: a, regex: '^\\d'}], ok: ok, bank: bank}\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap();
        write(&config, &file);
        let in_use = config_in_use(&config.database).unwrap();
        assert_eq!((&in_use.config, &in_use.file), (&config, &file));
        let mode = std::fs::metadata(place(&config.database)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert!(config_in_use(&folder.path().join("other.db")).is_none());
    }
}
