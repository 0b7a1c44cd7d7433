//! Acts on defects: the command of `on_ng`.
//!
//! An action is a row that the history writes in the transaction of the decision. A task of its own runs it, so no image waits for a
//! command. The daemon starts a command at most once.

mod command;
mod families;
mod runner;

pub use families::{adopt_orphans, end_all as end_commands, watch as watch_families};
pub use runner::{ActionContext, Ends, LOOK, clear_up, run};
