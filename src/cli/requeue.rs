//! `patchcored requeue`: failed images are tried again.

use super::exit::Exit;
use super::output::say;
use super::{Coded, UsageError};
use crate::config::Config;
use crate::domain::duration::parse_duration;
use crate::history::{HistoryError, HistoryStore, InspectionLists, RequeueFilter, Requeued};
use crate::line::profile;
use crate::routing::rules::Owners;
use anyhow::Context;
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `requeue`. What is given together restricts together.
#[derive(clap::Args)]
pub struct RequeueArgs {
    /// Ids of failed inspections, as `patchcored history` shows them
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    /// The configuration file: its database, and its rules for whose an image is
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// Failed images of this product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// All failed images
    #[arg(long)]
    failed: bool,
    /// Images that failed within this time, e.g. 30s, 10m, 24h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
}

/// Makes them pending; the daemon, running or started later, inspects them. An image is routed anew, so that one that was `unrouted`
/// finds its product after the configuration was corrected.
///
/// # Errors
/// No choice, a product that is not in the configuration, or a database that cannot be changed.
pub fn run(args: &RequeueArgs) -> anyhow::Result<Exit> {
    if args.ids.is_empty() && args.product.is_none() && !args.failed && args.since.is_none() {
        return Err(UsageError("say which images: ids, --product, --since or --failed for all".to_owned()).into());
    }
    let mut config = Config::load(&args.config)?;
    if let Some(name) = &args.product
        && !config.products.iter().any(|product| product.name == *name)
    {
        return Err(Coded::unknown_product(&args.config, &config, name).into());
    }
    let since = args.since.map(|since| Timestamp::now().checked_sub(since)).transpose().context("--since reaches back too far")?;
    let filter = RequeueFilter { ids: args.ids.clone(), product: args.product.clone(), since };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let (Requeued { requeued, unrouted, replaced }, others) = runtime.block_on(async {
        let store = HistoryStore::open_to_change(&config.database).await.context("history database")?;
        profile::look_up(&mut config, &store.profiles()).await.context("history database")?;
        let owners = Owners::new(&config)?;
        let others = not_failed(&store.lists(), &args.ids).await.context("history database")?;
        let outcome =
            store.failed_images().requeue(&filter, |path, before| owners.product(path, before), config.intake.give_up_after).await;
        store.close().await.context("history database")?;
        anyhow::Ok((outcome.context("history database")?, others))
    })?;
    let mut text = format!("{requeued} images are tried again\n");
    if unrouted > 0 {
        text += &format!("{unrouted} stay failed: no product of {} takes them\n", args.config.display());
    }
    if replaced > 0 {
        text += &format!("{replaced} stay failed: their file was written again, and that image is pending\n");
    }
    text += &others;
    say(&text)?;
    Ok(Exit::SUCCESS)
}

/// A line for each of these inspections that has not failed, and why it is not tried again.
async fn not_failed(lists: &InspectionLists, ids: &[i64]) -> Result<String, HistoryError> {
    let mut text = String::new();
    for &id in ids {
        text += &match lists.account(id).await?.map(|account| account.row) {
            None => format!("there is no inspection {id}\n"),
            Some(row) if row.state == "failed" => continue,
            Some(row) if row.state == "pending" => format!("{id} is pending: it is inspected without being asked for\n"),
            Some(row) => {
                let decision = row.decision.unwrap_or_default();
                format!(
                    "{id} stays {decision}: only failed images are tried again, and a decision never changes; to inspect it anew, copy its file\n"
                )
            }
        };
    }
    Ok(text)
}
