//! Loaded banks (LRU), their versions on disk, and when to rebuild them.

mod library;
mod ok_folder;
mod rebuild;
mod versions;

pub use library::BankLibrary;
pub use ok_folder::{OkFolder, list_images};
pub use rebuild::{Debounce, DebounceTimes, refuse_build};
pub use versions::{BANK_FILES, BankFolder, BankFolderError};
