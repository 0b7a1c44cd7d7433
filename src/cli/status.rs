//! `patchcored status`: how each product stands, for people or as JSON.

mod report;
mod space;
mod table;

use super::UsageError;
use crate::config::Config;
use crate::daemon::rules::check_routing;
use crate::daemon::{database_holder, folder_event_kinds};
use crate::history::{HistoryStore, Snapshot};
use anyhow::Context;
use jiff::Timestamp;
use report::{Daemon, Report, Sources, folders};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `status`.
#[derive(clap::Args)]
pub struct StatusArgs {
    /// The configuration file: its products, and its database
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// Only this product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Print one JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// Prints it, whether or not the daemon runs. Changes nothing.
///
/// # Errors
/// A product that is not in the configuration, or a history that cannot be read.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let report = report(args, &config)?;
    let mut out = io::stdout().lock();
    let printed = if args.json { json(&report, &mut out) } else { table::print(&report, &mut out) };
    match printed.and_then(|()| out.flush()) {
        // `patchcored status | head` has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot print the status")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report(args: &StatusArgs, config: &Config) -> anyhow::Result<Report> {
    let roots = check_routing(config)?.roots();
    let wanted = |name: &str| args.product.as_deref().is_none_or(|product| product == name);
    let products: Vec<_> = config.products.iter().filter(|product| wanted(&product.name)).collect();
    if let (true, Some(name)) = (products.is_empty(), &args.product) {
        return Err(UsageError(format!("{}: has no product `{name}`", args.config.display())).into());
    }
    let now = Timestamp::now();
    let names: Vec<&str> = products.iter().map(|product| product.name.as_str()).collect();
    let Snapshot { products: seen, events, messages_waiting } = read(&config.database, &names, now).context("history database")?;
    let daemon = Daemon::of(database_holder(&config.database)?);
    let database_folder = config.database.parent().unwrap_or(Path::new("/"));
    let asked = products.iter().flat_map(|product| folders(product)).chain([database_folder]).map(Path::to_owned).collect();
    let sources = Sources { now, events: &events, roots: &roots, free: space::free_bytes(asked), running: daemon.running };
    Ok(Report {
        at: format!("{now:.3}"),
        database: sources.place(&config.database, database_folder),
        daemon,
        messages_waiting,
        products: products.into_iter().zip(seen).map(|(product, seen)| sources.product(product, seen)).collect(),
    })
}

fn read(database: &Path, products: &[&str], now: Timestamp) -> anyhow::Result<Snapshot> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let store = HistoryStore::open_read_only(database).await?;
        let snapshot = store.snapshot(products, &folder_event_kinds(), now).await;
        store.close().await?;
        Ok(snapshot?)
    })
}

fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
