//! Keeps the banks of the products up to date: looks at ok folders, builds when they change or when a person asks, and watches the files
//! of the banks in use.

mod asked;
mod bank_keeper;
mod build;
mod comparison;
mod context;
mod rebuilder;
mod requests;
mod run;
mod self_test;
mod serve;

pub use requests::{LOOK as REQUESTS_LOOK, Requests};

use crate::banks::BanksInUse;
use crate::config::Config;
use crate::history::{BankRequest, BankRequests};
use crate::supervisor::{Stage, Supervisor, Wakes, Worker};
use bank_keeper::BankKeeper;
use context::RebuildContext;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Starts a keeper and a rebuilder for each product.
pub fn start(
    supervisor: &mut Supervisor,
    config: &Arc<Config>,
    banks: &BanksInUse,
    (asked, requests): (watch::Sender<Vec<BankRequest>>, BankRequests),
    stop: &CancellationToken,
) {
    let keeper = BankKeeper { banks: banks.clone(), reading: Arc::new(Semaphore::new(1)) };
    let turn = || Arc::new(Semaphore::new(1));
    let context =
        RebuildContext { banks: banks.clone(), config: Arc::clone(config), build_turn: turn(), test_turn: turn(), asked, requests };
    for product in &config.products {
        let name = &product.name;
        let worker = Worker::new(format!("bank keeper of {name}"), Stage::Banks, Wakes::Every(bank_keeper::LOOK));
        supervisor.start(worker, keeper.clone().run(product.clone(), stop.clone()));
        let wakes = Wakes::OnOrEvery("a request", run::look(product));
        let worker = Worker::new(format!("rebuilder of {name}"), Stage::Banks, wakes);
        supervisor.start(worker, run::run(context.clone(), product.clone(), stop.clone()));
    }
}
