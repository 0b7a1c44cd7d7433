//! What `rebuild` and `rollback` have in common: whose bank, and waiting for what becomes of a request.

use super::Coded;
use super::exit::Exit;
use super::output::say;
use crate::codes::ErrorCode;
use crate::config::{Config, ProductConfig};
use crate::database::database_holder;
use crate::domain::printable::printable_lines;
use crate::history::HistoryStore;
use anyhow::Context;
use futures::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the history is asked what became of a request.
const LOOK: Duration = Duration::from_millis(200);
/// A daemon that is gone for this long does not come back by itself: systemd starts it again after 2 s.
const RESTART: Duration = Duration::from_secs(10);

/// Whose bank.
#[derive(clap::Args)]
pub struct RequestArgs {
    /// The product, as the configuration names it
    #[arg(value_name = "PRODUCT")]
    pub product: String,
    /// The configuration file: its products, and its database
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    pub config: PathBuf,
    /// Ask the running daemon and do not wait for what becomes of it
    #[arg(long)]
    pub no_wait: bool,
}

impl RequestArgs {
    /// The configuration and the product.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a product that is not in it.
    pub fn load(&self) -> anyhow::Result<(Config, ProductConfig)> {
        let config = Config::load(&self.config)?;
        match config.products.iter().find(|product| product.name == self.product).cloned() {
            Some(product) => Ok((config, product)),
            None => Err(Coded::unknown_product(&self.config, &config, &self.product).into()),
        }
    }
}

/// Waits until the daemon has ended a request, and prints what became of it.
///
/// # Errors
/// A request that could not be done, or that nobody does at present; being interrupted leaves it in place.
pub async fn wait(store: &HistoryStore, product: &str, id: i64) -> anyhow::Result<Exit> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen to signals")?;
    let mut without_daemon: Option<Instant> = None;
    let waits = |why: &str, when: &str| {
        Err(Coded::new(ErrorCode::RequestWaits, format!("{product}: {why}; request {id} stays, and is done {when}")).into())
    };
    loop {
        if let Some(end) = store.bank_requests().request_end(id).await.context("history database")? {
            if !end.done {
                return Err(Coded::new(ErrorCode::RequestFailed, format!("{product}: {}", end.outcome)).into());
            }
            say(&format!("{product}: {}\n", printable_lines(&end.outcome)))?;
            return Ok(Exit::SUCCESS);
        }
        match (database_holder(store.database().file())?, without_daemon) {
            (Some(_), _) => without_daemon = None,
            (None, Some(since)) if since.elapsed() >= RESTART => return waits("the line was stopped", "when it is started"),
            (None, since) => without_daemon = since.or_else(|| Some(Instant::now())),
        }
        tokio::select! {
            _ = signals.next() => return waits("interrupted", "by the daemon all the same"),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
