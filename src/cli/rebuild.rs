//! `patchcored rebuild`: a new bank from the ok folder as it is.

use super::Coded;
use super::bank_request::{RequestArgs, wait};
use super::exit::Exit;
use super::output::say;
use crate::banks::folder_answers;
use crate::codes::ErrorCode;
use crate::database::database_holder;
use crate::history::{BankRequestKind, HistoryStore};
use anyhow::Context;

/// Arguments of `rebuild`.
#[derive(clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Start from the beginning, whatever became of the bank in use: also when its folder is empty, or when over half of the OK images that it was
    /// built from are gone for good
    #[arg(long)]
    anew: bool,
}

/// Asks the daemon for it and waits for what becomes of it. Without a daemon, the next one does it.
///
/// # Errors
/// A product that is not in the configuration, a database that cannot be changed, or a build that was refused or failed.
pub fn run(args: &RebuildArgs) -> anyhow::Result<Exit> {
    let RequestArgs { product, no_wait, .. } = &args.request;
    let (config, config_of_product) = args.request.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let store = HistoryStore::open_to_change(&config.database).await.context("history database")?;
        let outcome = async {
            if !args.anew
                && let Err(error) = folder_answers(&store.banks(), &config_of_product).await
            {
                return Err(Coded::new(ErrorCode::BankFolder, format!("{product}: {error}")).into());
            }
            let kind = BankRequestKind::Rebuild { anew: args.anew };
            let id = store.bank_requests().ask(product, kind).await.context("history database")?;
            if database_holder(&config.database)?.is_none() {
                say(&format!("{product}: the line is stopped; the bank is built when it is started (request {id})\n"))?;
                return Ok(Exit::SUCCESS);
            }
            if *no_wait {
                say(&format!("{product}: the bank is built (request {id})\n"))?;
                return Ok(Exit::SUCCESS);
            }
            wait(&store, product, id).await
        };
        let outcome = outcome.await;
        store.close().await.context("history database")?;
        outcome
    })
}
