//! Puts a backup back in place.

use super::checked::CheckedBackup;
use super::copying::{give_to_group_of, give_to_owner_of_folder, make_folder};
use super::error::BackupError;
use super::manifest::{CONFIG, HISTORY, SavedOkImage};
use super::plan::{BankPlan, Plan, PlannedConfig, PlannedHistory, configuration};
use super::save::saved_images;
use crate::banks::{BANK_FILES, BankFolder, BankFolderError, BankInPlace, OkFolder};
use crate::config::Config;
use crate::database::{DatabaseLock, LockError, database_holder, history_file, set_history_aside};
use crate::platform::{crash_point, files, folder_io};
use jiff::Timestamp;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A restore that was done.
#[derive(Debug)]
pub struct Restored {
    /// When the history was copied.
    pub at: String,
    /// The database.
    pub database: PathBuf,
    /// What was found, and so what was done.
    pub plan: Plan,
    /// What was replaced, under the names that it has now.
    pub set_aside: Vec<PathBuf>,
    /// The ok folder of each product that has a list in the backup.
    pub ok_folders: Vec<(String, OkFolderNow)>,
}

/// An ok folder, compared with the list in the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OkFolderNow {
    /// Names, sizes and times are those of the list: the daemon builds no bank.
    Same,
    /// Images of the list are missing or changed, or others came in addition.
    #[allow(missing_docs)]
    Differs { missing: usize, changed: usize, added: usize },
    /// It cannot be read, for this reason.
    Unknown(String),
}

/// Puts the backup in `folder` back where the configuration says. With `replace`, whatever else is there gets another name.
///
/// # Errors
/// When the backup is damaged, a daemon works with the database, something would be replaced without `replace`, or a file cannot be
/// written. After the last of these, and after a kill, the same restore can be run again.
pub async fn restore(folder: &Path, config_file: &Path, replace: bool) -> Result<Restored, BackupError> {
    let backup = CheckedBackup::read(folder).await?;
    let (config, config_plan) = configuration(&backup, config_file)?;
    let database = &config.database;
    if let Ok(Some(holder)) = database_holder(database) {
        let holder = holder.process.map_or_else(|| "of an unknown number".to_owned(), |process| format!("process {process}"));
        return Err(LockError::InUse { database: database.clone(), holder }.into());
    }
    Plan::make(&backup, &config, config_plan)?.check(database, replace)?;
    let place = history_file(database);
    make_folder(place.parent().unwrap_or(Path::new("/")))?;
    // From here on no daemon starts. The lock makes an empty database where there is none.
    let lock = DatabaseLock::take(database)?;
    for made in [lock.file(), &place] {
        give_to_owner_of_folder(made).map_err(|error| BackupError::Write { file: made.to_owned(), error })?;
    }
    let plan = Plan::make(&backup, &config, config_plan)?;
    plan.check(database, replace)?;
    let mut put = Putting {
        backup: &backup,
        suffix: format!(".replaced-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ")),
        set_aside: Vec::new(),
    };
    if plan.config == PlannedConfig::Put {
        put.config(config_file, &place)?;
        crash_point::reach("config_put_back");
    }
    for bank in &plan.banks {
        put.bank(bank).map_err(|error| error.of(&bank.bank.product))?;
    }
    // Last: with it the line is whole.
    put.history(&plan.history, database)?;
    let set_aside = put.set_aside;
    let ok_folders = compare_ok_folders(&backup, &config).await?;
    Ok(Restored { at: backup.manifest.at.clone(), database: database.clone(), plan, set_aside, ok_folders })
}

/// Why a bank is not put back.
enum BankError {
    Folder(BankFolderError),
    Backup(BackupError),
}

impl BankError {
    fn of(self, product: &str) -> BackupError {
        match self {
            Self::Folder(error) => BackupError::Bank { product: product.to_owned(), error },
            Self::Backup(error) => error,
        }
    }
}

impl From<BankFolderError> for BankError {
    fn from(error: BankFolderError) -> Self {
        Self::Folder(error)
    }
}

impl From<BackupError> for BankError {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

/// Puts files back.
struct Putting<'a> {
    backup: &'a CheckedBackup,
    /// The end of the name of what is set aside.
    suffix: String,
    set_aside: Vec<PathBuf>,
}

impl Putting<'_> {
    fn config(&self, file: &Path, history: &Path) -> Result<(), BackupError> {
        let write = |error| BackupError::Write { file: file.to_owned(), error };
        let whole = std::path::absolute(file).map_err(write)?;
        make_folder(whole.parent().unwrap_or(Path::new("/")))?;
        self.put(CONFIG, &whole)?;
        give_to_group_of(&whole, history.parent().unwrap_or(Path::new("/"))).map_err(write)
    }

    fn bank(&mut self, plan: &BankPlan) -> Result<(), BankError> {
        let folder = BankFolder::new(&plan.product.bank);
        let version = plan.bank.version;
        let mut has_version = plan.in_place == BankInPlace::Same;
        if let BankInPlace::Other { has_version: has, .. } = plan.in_place {
            has_version = has;
            self.set_aside.extend(folder.set_aside(version, has_version, &self.suffix)?);
            crash_point::reach("bank_set_aside");
        }
        if has_version {
            // The links may be missing after a kill.
            folder.switch_to(version)?;
        } else {
            make_folder(&plan.product.bank)?;
            let staging = folder.begin_version()?;
            let filled = self.fill(&plan.bank.folder(), &staging);
            if filled.is_err() {
                let _ = std::fs::remove_dir_all(&staging);
            }
            filled?;
            folder.put_back(version, &staging)?;
        }
        for path in folder.names_of(version) {
            give_to_owner_of_folder(&path).map_err(|error| BackupError::Write { file: path, error })?;
        }
        Ok(())
    }

    fn fill(&self, from: &str, staging: &Path) -> Result<(), BackupError> {
        for name in BANK_FILES {
            let target = staging.join(name);
            let mut to = File::create_new(&target).map_err(|error| BackupError::Write { file: target.clone(), error })?;
            self.backup.copy(&format!("{from}{name}"), &mut to, &target)?;
        }
        Ok(())
    }

    fn history(&mut self, plan: &PlannedHistory, database: &Path) -> Result<(), BackupError> {
        if let PlannedHistory::Replace(_) = plan {
            let aside = set_history_aside(database, &self.suffix);
            self.set_aside.push(aside.map_err(|error| BackupError::Write { file: database.to_owned(), error })?);
        }
        if *plan != PlannedHistory::Same {
            self.put(HISTORY, &history_file(database))?;
            crash_point::reach("history_put_back");
        }
        Ok(())
    }

    /// The file appears whole or not at all, with the mode that it has in the backup.
    fn put(&self, path: &str, target: &Path) -> Result<(), BackupError> {
        let write = |error| BackupError::Write { file: target.to_owned(), error };
        let folder = target.parent().unwrap_or(Path::new("/"));
        let mut temporary = files::temporary(folder).map_err(write)?;
        let name = temporary.path().to_owned();
        self.backup.copy(path, temporary.as_file_mut(), &name)?;
        let mode = std::fs::metadata(self.backup.path(path)).map_err(write)?.permissions();
        temporary.as_file().set_permissions(mode).map_err(write)?;
        give_to_owner_of_folder(&name).map_err(write)?;
        temporary.persist(target).map_err(|error| write(error.error))?;
        files::sync_folder(folder).map_err(write)
    }
}

async fn compare_ok_folders(backup: &CheckedBackup, config: &Config) -> Result<Vec<(String, OkFolderNow)>, BackupError> {
    let mut compared = Vec::new();
    for product in &config.products {
        let Some(saved) = backup.ok_images(&product.name) else { continue };
        let ok = product.ok.clone();
        let now = match folder_io::work_in_time(&product.ok, move || OkFolder::list(&ok)).await {
            Ok(Ok(listed)) => compare(&saved.images, &saved_images(&listed)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => compare(&saved.images, &[]),
            Ok(Err(error)) => OkFolderNow::Unknown(format!("{}: {error}", product.ok.display())),
            Err(error) => OkFolderNow::Unknown(error.to_string()),
        };
        compared.push((product.name.clone(), now));
    }
    Ok(compared)
}

/// By what a build of a bank depends on: name, size and time.
fn compare(saved: &[SavedOkImage], now: &[SavedOkImage]) -> OkFolderNow {
    let mut left: HashMap<&str, &SavedOkImage> = now.iter().map(|image| (image.path.as_str(), image)).collect();
    let (mut missing, mut changed) = (0, 0);
    for image in saved {
        match left.remove(image.path.as_str()) {
            None => missing += 1,
            Some(found) if (found.bytes, found.mtime_ns) != (image.bytes, image.mtime_ns) => changed += 1,
            Some(_) => {}
        }
    }
    match (missing, changed, left.len()) {
        (0, 0, 0) => OkFolderNow::Same,
        (missing, changed, added) => OkFolderNow::Differs { missing, changed, added },
    }
}
