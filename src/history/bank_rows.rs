//! The plain data of banks that goes into the history and comes out of it.

use jiff::Timestamp;
use std::path::PathBuf;

/// A bank that was published.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBank {
    /// Whose bank.
    pub product: String,
    /// The folder `versions/NNNNNN`.
    pub version: i64,
    /// What set the build off, in words.
    pub trigger: String,
    /// OK images it was built from; `None` for a bank that does not say (made by the Python scripts).
    pub images: Option<i64>,
    /// Patches they gave, if it says so.
    pub patches: Option<i64>,
    /// Rows kept in the bank, if it says so.
    pub rows: Option<i64>,
    /// Threshold.
    pub pixel_tau: f64,
    /// Threshold.
    pub image_tau: f64,
    /// Good parts of 1000 that `image_tau` will reject, to be expected; `None` when nothing is promised.
    pub expected_false_alarms: Option<f64>,
    /// The same with 95 % confidence at most.
    pub false_alarms_bound: Option<f64>,
    /// Why tau may not do what was asked for.
    pub warning: Option<String>,
    /// Duration of the build; `None` for a bank that was found.
    pub seconds: Option<f64>,
    /// Its version folder.
    pub path: PathBuf,
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The same of `bank_config.json`.
    pub config_sha256: String,
    /// The same of `tau.json`.
    pub tau_sha256: String,
    /// Short side that images are resized to, pixels.
    pub shorter: u32,
    /// What the ok folder was like that it was built from, if it says so.
    pub ok_fingerprint: Option<String>,
    /// When it was built.
    pub created_at: Timestamp,
}

/// The bank in use for a product.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct ActiveBank {
    /// Row id, for [`super::Finished::bank_id`].
    pub id: i64,
    /// The folder `versions/NNNNNN`.
    pub version: i64,
    /// After a rollback: the fingerprint of the ok folder of which no bank is built by itself; empty when it was not known.
    pub held_ok: Option<String>,
    /// When it was built, as in the database.
    pub created_at: String,
    /// OK images it was built from, if it says so.
    pub images: Option<i64>,
    /// Threshold.
    pub pixel_tau: f64,
    /// Threshold.
    pub image_tau: f64,
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The same of `bank_config.json`; `None`, as the two below, in a row of an earlier release.
    pub config_sha256: Option<String>,
    /// The same of `tau.json`.
    pub tau_sha256: Option<String>,
    /// Short side that images are resized to, pixels.
    pub shorter: Option<u32>,
    /// What the ok folder was like that it was built from, if it says so.
    pub ok_fingerprint: Option<String>,
}

/// The files of a bank version that was in use, as far as its row names them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordedFiles {
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The same of `bank_config.json`; `None` in a row of an earlier release.
    pub config_sha256: Option<String>,
}

/// A bank that gave way to a newer one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct EarlierBank {
    /// The folder `versions/NNNNNN`, if it is still there.
    pub version: i64,
    /// Of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
}
