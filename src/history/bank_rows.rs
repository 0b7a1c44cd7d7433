//! The plain data of banks that goes into the history and out of it.

use crate::domain::{BankTrigger, Comparison, EngineSize};
use jiff::Timestamp;
use std::path::PathBuf;

/// A bank that was published.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBank {
    /// Its product.
    pub product: String,
    /// The folder `versions/NNNNNN`.
    pub version: i64,
    /// Why it was put in use.
    pub trigger: BankTrigger,
    /// The ok images it was built from; `None` when the bank does not say (made by the Python scripts).
    pub images: Option<i64>,
    /// Their patches, if the bank says so.
    pub patches: Option<i64>,
    /// The number of rows in the bank, if it says so.
    pub rows: Option<i64>,
    /// Pixel threshold.
    pub pixel_tau: f64,
    /// Image threshold.
    pub image_tau: f64,
    /// How many of 1000 good parts `image_tau` is expected to reject; `None` when there is no estimate.
    pub expected_false_alarms: Option<f64>,
    /// Its upper bound, with 95 % confidence.
    pub false_alarms_bound: Option<f64>,
    /// Why tau may miss its target.
    pub warning: Option<String>,
    /// What it changes for recent images; `None` when none were judged again.
    pub comparison: Option<Comparison>,
    /// How long the build took; `None` for a bank that the daemon found.
    pub seconds: Option<f64>,
    /// Its version folder.
    pub path: PathBuf,
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The SHA-256 of `bank_config.json`.
    pub config_sha256: String,
    /// The SHA-256 of `tau.json`.
    pub tau_sha256: String,
    /// The size of resized images.
    pub size: EngineSize,
    /// The fingerprint of the ok folder it was built from, if the bank says so.
    pub ok_fingerprint: Option<String>,
    /// When it was built.
    pub created_at: Timestamp,
}

/// The bank in use for a product.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct ActiveBankRow {
    /// The row id, for [`Finished::bank_id`](super::Finished::bank_id).
    pub id: i64,
    /// The folder `versions/NNNNNN`.
    pub version: i64,
    /// After a rollback: the fingerprint of the ok folder from which the daemon builds no bank by itself; empty when not known.
    pub held_ok: Option<String>,
    /// When it was built, as text like in the database.
    pub created_at: String,
    /// The ok images it was built from, if the bank says so.
    pub images: Option<i64>,
    /// Pixel threshold.
    pub pixel_tau: f64,
    /// Image threshold.
    pub image_tau: f64,
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The SHA-256 of `bank_config.json`. Like the two below, `None` in a row of an earlier release.
    pub config_sha256: Option<String>,
    /// The SHA-256 of `tau.json`.
    pub tau_sha256: Option<String>,
    /// The short side of resized images, in pixels.
    pub shorter: Option<u32>,
    /// What both sides of resized images are multiples of, in pixels; 1 in a row of an earlier release.
    pub side_multiple: u32,
    /// The fingerprint of the ok folder it was built from, if the bank says so.
    pub ok_fingerprint: Option<String>,
}

/// The files of a bank version that was in use, as far as its row has them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordedFiles {
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
    /// The SHA-256 of `bank_config.json`; `None` in a row of an earlier release.
    pub config_sha256: Option<String>,
}

/// A bank that a newer one replaced.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct EarlierBank {
    /// The folder `versions/NNNNNN`; it may be gone.
    pub version: i64,
    /// Of `memory_bank.pt`, hexadecimal.
    pub sha256: String,
}
