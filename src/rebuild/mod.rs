//! Keeps the banks of the products up to date: looks at ok folders, builds when they change or when a person asks, and watches the files
//! of the banks in use.

mod asked;
mod bank_keeper;
mod build;
mod context;
mod rebuilder;
mod requests;
mod run;
mod serve;

pub use bank_keeper::{BankKeeper, LOOK as KEEPER_LOOK};
pub use context::RebuildContext;
pub use requests::{LOOK as REQUESTS_LOOK, Requests};
pub use run::{look, run};
