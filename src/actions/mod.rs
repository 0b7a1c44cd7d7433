//! Acts on defects: the command of `on_ng`.
//!
//! An action is a row that the history writes in the transaction of the decision. A task of its own runs it, so no image waits for a
//! command. The daemon starts a command at most once.

mod command;
mod families;
mod runner;

pub use families::end_all as end_commands;
pub use runner::{ActionContext, Ends, clear_up};

use crate::config::ProductConfig;
use crate::supervisor::{Stage, Supervisor, Wakes, Worker};

/// Starts a worker for each product that has a command, and one that watches the processes of all commands.
pub fn start(supervisor: &mut Supervisor, context: &ActionContext, products: &[ProductConfig], ends: &Ends) {
    if products.iter().any(|product| product.on_ng.is_some()) {
        families::adopt_orphans();
    }
    supervisor.start(Worker::new("processes of on_ng", Stage::Watch, Wakes::On("the end of a command")), families::watch());
    for product in products {
        if let Some(on_ng) = product.on_ng.clone() {
            let worker = Worker::new(format!("on_ng of {}", product.name), Stage::FollowUp, Wakes::OnOrEvery("a decision", runner::LOOK));
            supervisor.start(worker, runner::run(context.clone(), product.name.clone(), on_ng, ends.clone()));
        }
    }
}
