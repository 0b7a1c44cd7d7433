//! `patchcored rollback`: an earlier bank version in use again.

use super::bank_request::{RequestArgs, wait};
use super::exit::Exit;
use super::output::say;
use crate::banks::{current_version, roll_back, rollback_target, version_in_use};
use crate::config::{Config, ProductConfig};
use crate::database::{DatabaseLock, LockError, database_holder};
use crate::domain::printable::printable_lines;
use crate::history::{BankRequest, BankRequestKind, HistoryStore, RequestEnd};
use anyhow::Context;
use jiff::Timestamp;

/// Arguments of `rollback`.
#[derive(clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// The bank version to use, as `patchcored status` and the table `banks` show it [default: the one used before the present one]
    #[arg(value_name = "VERSION")]
    version: Option<u64>,
}

/// Asks the daemon for it and waits until it is done; without a daemon, does it.
///
/// # Errors
/// A product or a version that is not there, a damaged version, or a database or bank folder that cannot be changed.
pub fn run(args: &RollbackArgs) -> anyhow::Result<Exit> {
    let (config, product) = args.request.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let store = HistoryStore::open_to_change(&config.database).await.context("history database")?;
        let outcome = ask(args, &config, &product, &store).await;
        store.close().await.context("history database")?;
        outcome
    })
}

async fn ask(args: &RollbackArgs, config: &Config, product: &ProductConfig, store: &HistoryStore) -> anyhow::Result<Exit> {
    let (rows, requests) = (store.banks(), store.bank_requests());
    // Settled now: what was built meanwhile is left as well.
    let version = rollback_target(&rows, product, args.version).await?;
    if version_in_use(&rows, product).await? == Some(version) && current_version(product).await? == Some(version) {
        say(&format!("{}: bank version {version} is in use already\n", product.name))?;
        return Ok(Exit::SUCCESS);
    }
    let kind = BankRequestKind::Rollback { version: version as i64 };
    let id = requests.ask(&product.name, kind).await.context("history database")?;
    if database_holder(&config.database)?.is_none() {
        // Held until it is done: a line that is started meanwhile must not find it half done.
        match DatabaseLock::take(&config.database) {
            Ok(_lock) => {
                let request = BankRequest { id, at: Timestamp::now(), product: product.name.clone(), kind };
                let done = match roll_back(&rows, product, &request, version).await {
                    Ok(done) => done,
                    Err(error) => {
                        // Said here and now, it is not to be done behind anybody's back at the next start.
                        let end = RequestEnd { done: false, outcome: error.to_string() };
                        requests.end_request(id, &end).await.context("history database")?;
                        return Err(error.into());
                    }
                };
                say(&format!("{}: {}; the line is stopped\n", product.name, printable_lines(&done.outcome)))?;
                return Ok(Exit::SUCCESS);
            }
            // It was started this moment, and does it.
            Err(LockError::InUse { .. }) => {}
            Err(error) => return Err(anyhow::Error::from(error).context("history database")),
        }
    }
    if args.request.no_wait {
        say(&format!("{}: bank version {version} is put in use (request {id})\n", product.name))?;
        return Ok(Exit::SUCCESS);
    }
    wait(store, &product.name, id).await
}
