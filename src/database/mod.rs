//! The database file of the history: where it is, who may work with it, how it is opened and closed, and whether it is sound.
//!
//! [`Database`] is the opened file. What is in its rows is the matter of [`crate::history`], which hands out a handle for each concern; only
//! these two folders name sqlx. There is one writing connection, so writers wait for one another here and not in SQLite. A few more
//! connections only read.

mod caretaker;
pub(crate) mod columns;
mod connecting;
mod connections;
mod copies;
mod error;
mod health;
mod known;
mod lock;
mod open;
mod opened;
mod place;
mod readers;
mod schema;
mod soundness;

pub use caretaker::{LOOK as CARETAKER_LOOK, look_after};
pub(crate) use connections::Connections;
pub use copies::{check_copy, history_file, history_size, set_history_aside};
pub use error::{HistoryError, HistoryErrorKind};
pub use lock::{DatabaseLock, Holder, LockError, database_holder};
pub use opened::Database;
