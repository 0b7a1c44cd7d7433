//! Makes a backup.

use super::copying::{digest, save_copy, save_json};
use super::error::BackupError;
use super::manifest::{
    BackupManifest, CONFIG, HISTORY, MANIFEST, NotSaved, OkImageList, SavedBank, SavedFile, SavedOkFolder, SavedOkImage, ok_list,
};
use super::place::{UnfinishedBackup, check_folder, check_room};
use crate::banks::{BANK_FILES, BankFolder, OkFolder};
use crate::config::{Config, ProductConfig};
use crate::database::{check_copy, history_size};
use crate::history::HistoryStore;
use crate::platform::{crash_point, files, folder_io};
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A backup that was made.
#[derive(Debug)]
pub struct Backup {
    /// Its folder.
    pub folder: PathBuf,
    /// What is in it.
    pub manifest: BackupManifest,
}

/// The bank of a product that is to be saved.
struct BankToSave {
    version: u64,
    dir: PathBuf,
    /// The digests of `memory_bank.pt` and `bank_config.json` that the history has.
    recorded: [Option<String>; 2],
}

/// Saves the line of a configuration into a new folder in `place`, whether or not its daemon runs.
///
/// # Errors
/// A place that cannot be used, or a history or configuration that cannot be saved. A bank or ok folder that cannot be read is left out;
/// the manifest says so.
pub async fn save(config: &Config, config_file: &Path, place: &Path) -> Result<Backup, BackupError> {
    let place = check_folder(place, config)?;
    let store = HistoryStore::open_read_only(&config.database).await?;
    check_room(&place, size_of_all(config)?)?;
    let unfinished = UnfinishedBackup::begin(&place)?;
    crash_point::reach("backup_begun");
    let at = Timestamp::now();
    let whole = std::path::absolute(config_file).unwrap_or_else(|_| config_file.to_owned());
    let mut saver = Saver { root: unfinished.path().to_owned(), manifest: BackupManifest::new(at, &whole) };

    let copy = saver.root.join(HISTORY);
    store.database().copy_to(&copy).await?;
    let closed = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&copy, closed).map_err(|error| BackupError::Write { file: copy.clone(), error })?;
    store.close().await?;
    crash_point::reach("backup_copied");
    saver.history(&copy).await?;
    saver.config(config_file)?;
    for folder in ["banks", "ok-images"] {
        saver.make_folder(folder)?;
    }
    // The banks of the copy: the daemon may put another one in use meanwhile.
    let copied = HistoryStore::open_read_only(&copy).await?;
    for product in &config.products {
        if let Some(bank) = bank_to_save(product, &copied).await? {
            saver.bank(product, &bank)?;
        }
        saver.ok_folder(product).await?;
    }
    copied.close().await?;
    let manifest = saver.finish()?;
    crash_point::reach("backup_written");
    let folder = unfinished.finish(&place, at)?;
    crash_point::reach("backup_named");
    Ok(Backup { folder, manifest })
}

/// About the bytes of all that is saved.
fn size_of_all(config: &Config) -> Result<u64, BackupError> {
    let database = history_size(&config.database).map_err(|error| BackupError::Read { file: config.database.clone(), error })?;
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
    // The plain names lead to the bank in use.
    let banks = config.products.iter().flat_map(|product| BANK_FILES.map(|name| size(product.bank.join(name))));
    Ok(database + banks.sum::<u64>())
}

/// The bank that the copied history says is in use, or else the one that lies in the bank folder.
async fn bank_to_save(product: &ProductConfig, copied: &HistoryStore) -> Result<Option<BankToSave>, BackupError> {
    let folder = BankFolder::new(&product.bank);
    if let Some(row) = copied.banks().active_bank(&product.name).await? {
        let version = row.version.cast_unsigned();
        return Ok(Some(BankToSave { version, dir: folder.version_dir(version), recorded: [Some(row.sha256), row.config_sha256] }));
    }
    let survey = folder.survey().map_err(|error| BackupError::Bank { product: product.name.clone(), error })?;
    Ok(match survey.current {
        Some(version) => Some(BankToSave { version, dir: folder.version_dir(version), recorded: [None, None] }),
        // The daemon would make a version of it.
        None if survey.plain => {
            let version = survey.versions.last().map_or(1, |last| last + 1);
            Some(BankToSave { version, dir: product.bank.clone(), recorded: [None, None] })
        }
        None => None,
    })
}

/// Writes into the folder of a backup, and writes down what it wrote.
struct Saver {
    root: PathBuf,
    manifest: BackupManifest,
}

impl Saver {
    async fn history(&mut self, copy: &Path) -> Result<(), BackupError> {
        check_copy(copy).await?;
        let (bytes, sha256) = digest(copy).map_err(|error| BackupError::Read { file: copy.to_owned(), error })?;
        self.manifest.files.push(SavedFile { path: HISTORY.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// With the mode that it has: it may be readable for few.
    fn config(&mut self, file: &Path) -> Result<(), BackupError> {
        let saved = save_copy(file, &self.root, CONFIG)?;
        let mode = std::fs::metadata(file).map_or(0o640, |meta| meta.permissions().mode() & 0o777);
        let target = self.root.join(CONFIG);
        let set = std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode));
        set.map_err(|error| BackupError::Write { file: target, error })?;
        self.manifest.files.push(saved);
        Ok(())
    }

    fn make_folder(&self, path: &str) -> Result<(), BackupError> {
        let target = self.root.join(path);
        std::fs::create_dir(&target).map_err(|error| BackupError::Write { file: target, error })
    }

    fn bank(&mut self, product: &ProductConfig, bank: &BankToSave) -> Result<(), BackupError> {
        let saved = SavedBank { product: product.name.clone(), version: bank.version };
        let folder = saved.folder();
        self.make_folder(&folder)?;
        let mut files = Vec::new();
        let mut why = None;
        for (number, name) in BANK_FILES.into_iter().enumerate() {
            let from = bank.dir.join(name);
            match save_copy(&from, &self.root, &format!("{folder}{name}")) {
                Ok(file) => {
                    let recorded = bank.recorded.get(number).and_then(Option::as_ref);
                    if recorded.is_some_and(|recorded| *recorded != file.sha256) {
                        why = Some(format!("{} is not the file that was recorded", from.display()));
                    }
                    files.push(file);
                }
                Err(BackupError::Read { file, error }) => why = Some(format!("{}: {error}", file.display())),
                Err(error) => return Err(error),
            }
        }
        let path = self.root.join(&folder);
        let write = |error| BackupError::Write { file: path.clone(), error };
        match why {
            None => {
                files::sync_folder(&path).map_err(write)?;
                self.manifest.files.extend(files);
                self.manifest.banks.push(saved);
            }
            Some(why) => {
                std::fs::remove_dir_all(&path).map_err(write)?;
                self.not_saved(product, format!("bank version {} is not saved: {why}", bank.version));
            }
        }
        Ok(())
    }

    async fn ok_folder(&mut self, product: &ProductConfig) -> Result<(), BackupError> {
        let ok = product.ok.clone();
        let listed = match folder_io::work_in_time(&product.ok, move || OkFolder::list(&ok)).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => {
                self.not_saved(product, format!("the list of its OK images is not saved: {}: {error}", product.ok.display()));
                return Ok(());
            }
            Err(error) => {
                self.not_saved(product, format!("the list of its OK images is not saved: {error}"));
                return Ok(());
            }
        };
        let list = OkImageList { folder: product.ok.display().to_string(), images: saved_images(&listed) };
        self.manifest.files.push(save_json(&list, &self.root, &ok_list(&product.name))?);
        let bytes = list.images.iter().map(|image| image.bytes).sum();
        self.manifest.ok_folders.push(SavedOkFolder { product: product.name.clone(), images: list.images.len(), bytes });
        Ok(())
    }

    fn not_saved(&mut self, product: &ProductConfig, why: String) {
        self.manifest.not_saved.push(NotSaved { product: product.name.clone(), why });
    }

    /// Writes the manifest, and syncs every folder.
    fn finish(self) -> Result<BackupManifest, BackupError> {
        save_json(&self.manifest, &self.root, MANIFEST)?;
        for folder in ["banks", "ok-images", ""] {
            let path = self.root.join(folder);
            files::sync_folder(&path).map_err(|error| BackupError::Write { file: path, error })?;
        }
        Ok(self.manifest)
    }
}

/// The images as the backup lists them.
pub(super) fn saved_images(listed: &OkFolder) -> Vec<SavedOkImage> {
    let saved = listed.files().iter().map(|file| SavedOkImage {
        path: file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: file.size,
        mtime_ns: file.mtime_ns,
        modified: Timestamp::from_nanosecond(i128::from(file.mtime_ns)).map_or_else(|_| String::new(), |at| format!("{at:.3}")),
    });
    saved.collect()
}
