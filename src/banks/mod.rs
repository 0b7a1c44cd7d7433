//! Loaded banks (LRU), their versions on disk, and when to rebuild them.

mod library;
mod ok_folder;
mod rebuild;
mod survey;
mod versions;

pub use library::{BankKey, BankLibrary};
pub use ok_folder::{OkFolder, list_images};
pub use rebuild::{Debounce, DebounceTimes, refuse_build};
pub use survey::{Edit, Findings, RecordedDigests, RowsSeen, Stamp, Survey, read_ahead};
pub use versions::{BANK_FILES, BankFolder, BankFolderError, Pruned, has_no_links, try_links};
