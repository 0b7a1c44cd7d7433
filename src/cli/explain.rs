//! `patchcored explain`: what a code means and what to do, or why an image was decided as it was.

mod inspection;

use super::Coded;
use super::exit::Exit;
use super::output::say;
use crate::codes::{self, ErrorCode};
use crate::config::Config;
use crate::domain::LocalTime;
use crate::history::HistoryStore;
use anyhow::Context;
use std::path::PathBuf;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct ExplainArgs {
    /// A code, e.g. drop_folder_lost, or the number of an inspection (its id), e.g. 4711; without one, all codes are listed
    #[arg(value_name = "CODE|ID")]
    asked: Option<String>,
    /// Configuration whose `database:` is read for an inspection
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml", conflicts_with = "database")]
    config: PathBuf,
    /// Database to read, instead of the one in the configuration
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// Show times in UTC, not in the time zone of the plant
    #[arg(long)]
    utc: bool,
}

/// Prints it.
///
/// # Errors
/// A code or an inspection that there is not; a configuration or a history that cannot be read.
pub fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let text = match &args.asked {
        None => codes::list(),
        Some(asked) => match asked.parse() {
            Ok(id) => explain_inspection(args, id)?,
            Err(_) => codes::explain(asked).ok_or_else(|| {
                let message = format!("there is no code `{asked}`; `patchcored explain` lists them all");
                Coded::new(ErrorCode::UnknownCode, message)
            })?,
        },
    };
    say(&text)?;
    Ok(Exit::SUCCESS)
}

fn explain_inspection(args: &ExplainArgs, id: i64) -> anyhow::Result<String> {
    let (database, config) = match &args.database {
        Some(file) => (file.clone(), None),
        None => Config::load(&args.config).map(|config| (config.database.clone(), Some(config)))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let account = runtime.block_on(async {
        let store = HistoryStore::open_read_only(&database).await?;
        let account = store.lists().account(id).await;
        store.close().await?;
        account
    });
    let Some(account) = account.context("history database")? else {
        let message = format!("there is no inspection {id}; `patchcored history` lists them, with their numbers in the first column");
        return Err(Coded::new(ErrorCode::UnknownInspection, message).into());
    };
    let product = config.as_ref().zip(account.row.product.as_deref()).and_then(|(config, name)| config.product(name)).cloned();
    let local = config.map_or_else(LocalTime::of_machine, |config| config.local);
    let local = if args.utc { local.in_utc() } else { local };
    Ok(inspection::text(&account, product.as_ref(), &local))
}
