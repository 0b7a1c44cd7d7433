//! The banks of products: versions on disk, the version in use, the ok folder and its fingerprint, the build, and the rollback.

mod active;
mod build;
mod build_job;
mod build_process;
mod compare;
mod debounce;
mod fingerprint;
mod guards;
mod in_use;
mod int8_cost;
mod ok_folder;
mod ok_images;
mod ok_listing;
mod put_back;
mod rollback;
mod rows;
mod self_test;
mod survey;
mod versions;

pub use active::{ActiveBank, ActiveBanks, BankState};
pub use build::{build, step_back};
pub use build_job::{BackgroundJob, BuildJob, BuildPercent, BuildReport, CompareJob, EngineJob, SelfTestJob};
pub use build_process::{Built, Killed, NotStarted, run as run_build_process, run_comparison, run_self_test};
pub use compare::compare;
pub use debounce::{Debounce, DebounceTimes};
pub use fingerprint::Fingerprint;
pub use guards::{BankAway, ImagesToBuildFrom, Refused, allow_build, folder_answers};
pub use in_use::{BanksInUse, Origin};
pub use ok_folder::{OkFile, OkFolder, list_images};
pub use ok_listing::OkListing;
pub use put_back::BankInPlace;
pub use rollback::{RollbackError, RolledBack, current_version, roll_back, rollback_target, version_in_use};
pub use rows::{active_bank, bank_row, describe, new_bank, rows_sha256};
pub use self_test::self_test_bank;
pub use survey::{Edit, Findings, RecordedDigests, RowsSeen, Stamp, Survey, read_ahead};
pub use versions::{BANK_FILES, BankFolder, BankFolderError, Pruned, has_no_links, try_links};
