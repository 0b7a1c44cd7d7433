//! A backup of what a line cannot make again: its history, its configuration, the bank of each product and the list of its OK images.
//!
//! ```text
//! DIR/patchcored-20261130T142500Z/manifest.json          what is saved, with the SHA-256 of every file
//!                                 history.db             the database, whole
//!                                 config.yaml            the configuration as it is
//!                                 banks/PRODUCT/{memory_bank.pt,bank_config.json,tau.json}
//!                                 ok-images/PRODUCT.json name, size and time of each OK image; the images themselves are not saved
//! ```
//! The folder gets its name when everything in it is written and synced, so half a backup is never taken for one. A restore checks every
//! file before it changes anything, puts the history back last, and can be run again wherever it was interrupted.

mod checked;
mod copying;
mod error;
mod manifest;
mod place;
mod plan;
mod restore;
mod save;

pub use error::BackupError;
pub use manifest::{BackupManifest, NotSaved, SavedBank, SavedFile, SavedOkFolder};
pub use plan::{BankPlan, Plan, PlannedConfig, PlannedHistory};
pub use restore::{OkFolderNow, Restored, restore};
pub use save::{Backup, save};
