//! `patchcored status`: how each product stands, for people or as JSON.

mod configuration;
mod report;
mod space;
mod table;

use super::Coded;
use super::exit::Exit;
use crate::config::Config;
use crate::database::database_holder;
use crate::history::{HistoryStore, LineRecord, PendingOf, Scope};
use crate::line::profile;
use crate::platform::clock::LineClock;
use crate::routing::rules::check_routing;
use crate::snapshot::{Witness, event_kinds, take};
use anyhow::Context;
use configuration::{Configuration, known};
use jiff::Timestamp;
use report::{DaemonReport, Profile, Report, Sources, folders};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// Show times in UTC, not in the time zone of the plant; --json always has UTC
    #[arg(long)]
    utc: bool,
}

/// Prints it, whether or not the daemon runs. Changes nothing.
///
/// # Errors
/// A product that is not in the configuration, or a history that cannot be read.
pub fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let (config, configuration) = known(&args.config)?;
    let local = if args.utc { config.local.clone().in_utc() } else { config.local.clone() };
    let report = report(args, config, configuration)?;
    let mut out = io::stdout().lock();
    let printed = if args.json { json(&report, &mut out) } else { table::print(&report, &local, &mut out) };
    match printed.and_then(|()| out.flush()) {
        // `patchcored status | head` has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot print the status")?,
    }
    Ok(Exit::SUCCESS)
}

fn report(args: &StatusArgs, mut config: Config, configuration: Configuration) -> anyhow::Result<Report> {
    let now = Timestamp::now();
    let Known { recorded, profile, clock } = read(&mut config, now).context("history database")?;
    let roots = check_routing(&config)?.roots();
    let wanted = |name: &str| args.product.as_deref().is_none_or(|product| product == name);
    let products: Vec<_> = config.products.iter().zip(&recorded.details.products).filter(|(product, _)| wanted(&product.name)).collect();
    let is_gone = |waiting: &&PendingOf| config.products.iter().all(|product| product.name != waiting.product) && wanted(&waiting.product);
    let gone: Vec<&PendingOf> = recorded.pending.iter().filter(is_gone).collect();
    if let (true, true, Some(name)) = (products.is_empty(), gone.is_empty(), &args.product) {
        return Err(Coded::unknown_product(&args.config, &config, name).into());
    }
    let daemon = DaemonReport::of(database_holder(&config.database)?);
    let database_folder = config.database.parent().unwrap_or(Path::new("/"));
    let asked = products.iter().flat_map(|(product, _)| folders(product)).chain([database_folder]).map(Path::to_owned).collect();
    let free = space::free_bytes(asked);
    let witness = Witness::Events { config: &config, clock: &clock, roots: &roots, running: daemon.running };
    let snapshot = take(Ok(recorded.clone()), witness);
    let sources = Sources { clock: &clock, config: &config, recorded: &recorded, snapshot: &snapshot, free, running: daemon.running };
    Ok(Report {
        at: format!("{now:.3}"),
        database: sources.place(&config.database, database_folder),
        daemon,
        configuration,
        profile: profile.filter(|_| !config.profiles.is_empty()),
        messages_waiting: recorded.messages_waiting,
        products: products.into_iter().map(|(product, seen)| sources.product(product, seen)).collect(),
        not_in_configuration: gone.into_iter().map(|waiting| sources.other(waiting)).collect(),
    })
}

/// What the history knows.
struct Known {
    clock: Arc<LineClock>,
    recorded: LineRecord,
    profile: Option<Profile>,
}

/// Reads it, and sets the profile in use.
fn read(config: &mut Config, now: Timestamp) -> anyhow::Result<Known> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let store = HistoryStore::open_read_only(&config.database).await?;
        let known = async {
            let profiles = store.profiles();
            profile::look_up(config, &profiles).await?;
            let (in_use, asked) = (profiles.profile_in_use().await?, profiles.profile_asked_for().await?);
            let names: Vec<&str> = config.products.iter().map(|product| product.name.as_str()).collect();
            let recorded = store.records().take(Scope::Full { products: &names, events: &event_kinds(), now }).await?;
            let clock = Arc::new(LineClock::resume(store.clock().clock_record().await?));
            Ok(Known { clock, recorded, profile: Profile::of(in_use, asked) })
        };
        let known = known.await;
        store.close().await?;
        known
    })
}

fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
