//! `patchcored profile`: what the line is set up for, and the change-over to another product.

use super::UsageError;
use super::exit::Exit;
use super::output::say;
use crate::codes::EventKind;
use crate::config::Config;
use crate::database::{Holder, database_holder};
use crate::history::{HistoryErrorKind, HistoryStore};
use crate::line::profile;
use crate::routing::rules::check_routing;
use anyhow::Context;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a running daemon has to change over: it finishes the images in hand first.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `profile`.
#[derive(clap::Args)]
pub struct ProfileArgs {
    /// The profile to change over to; without it the profiles are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The configuration file: its profiles, and its database
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
}

/// Lists the profiles, or changes over; a running daemon is told, a stopped one finds it at its next start.
///
/// # Errors
/// A profile that is not in the configuration, a database that cannot be read or changed, or a daemon that does not change over.
pub fn run(args: &ProfileArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config)?;
    check_routing(&config)?;
    if config.profiles.is_empty() {
        return Err(UsageError(format!("{}: has no `profiles`; all products are on", args.config.display())).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    match &args.name {
        None => runtime.block_on(list(config)),
        Some(name) if !config.profiles.contains_key(name) => {
            let known = config.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(UsageError(format!("{}: has no profile `{name}`; choose one of: {known}", args.config.display())).into())
        }
        Some(name) => runtime.block_on(change_over(config, name)),
    }
}

async fn list(mut config: Config) -> anyhow::Result<Exit> {
    let mut note = "will be in use at the first start".to_owned();
    let mut asked_for = None;
    match HistoryStore::open_read_only(&config.database).await {
        Ok(store) => {
            profile::look_up(&mut config, &store.profiles()).await.context("history database")?;
            if let Some(in_use) = store.profiles().profile_in_use().await.context("history database")? {
                note = format!("in use since {}", in_use.in_use_since.unwrap_or_default());
            }
            asked_for =
                store.profiles().profile_asked_for().await.context("history database")?.filter(|asked| asked.in_use_since.is_none());
            store.close().await.context("history database")?;
        }
        Err(error) if error.kind == HistoryErrorKind::Missing => {}
        Err(error) => return Err(anyhow::Error::new(error).context("history database")),
    }
    let width = config.profiles.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, products) in &config.profiles {
        let in_use = config.profile.as_ref() == Some(name);
        let (mark, note) = if in_use { ('*', format!("   {note}")) } else { (' ', String::new()) };
        text += &format!("{mark} {name:<width$}   {}{note}\n", products.join(", "));
    }
    let of_none = |product: &&str| !config.profiles.values().flatten().any(|member| member == product);
    let always: Vec<&str> = config.products.iter().map(|product| product.name.as_str()).filter(of_none).collect();
    if !always.is_empty() {
        text += &format!("always on: {}\n", always.join(", "));
    }
    if let Some(asked) = asked_for.filter(|asked| config.profile.as_ref() != Some(&asked.profile)) {
        text += &format!("{} is asked for and will be used when the daemon reads its configuration\n", asked.profile);
    }
    say(&text)?;
    Ok(Exit::SUCCESS)
}

async fn change_over(mut config: Config, name: &str) -> anyhow::Result<Exit> {
    config.profile = Some(name.to_owned());
    let what = profile::on_and_off(&config);
    let store = HistoryStore::open_to_change(&config.database).await.context("history database")?;
    let outcome = ask(&config, &store, name).await;
    store.close().await.context("history database")?;
    match outcome? {
        Outcome::Already => say(&format!("profile {name} is in use already: {what}\n"))?,
        Outcome::InUse => say(&format!("profile {name} is in use: {what}\n"))?,
        Outcome::AtStart => say(&format!("profile {name} will be in use when the daemon starts: {what}\n"))?,
    }
    Ok(Exit::SUCCESS)
}

enum Outcome {
    Already,
    InUse,
    AtStart,
}

async fn ask(config: &Config, store: &HistoryStore, name: &str) -> anyhow::Result<Outcome> {
    let asked = store.profiles().profile_asked_for().await.context("history database")?.filter(|asked| asked.profile == name);
    if asked.as_ref().is_some_and(|asked| asked.in_use_since.is_some()) {
        return Ok(Outcome::Already);
    }
    let holder = database_holder(&config.database)?;
    let id = match asked {
        Some(asked) => asked.id,
        None => store.profiles().ask_for_profile(name).await.context("history database")?,
    };
    match holder {
        None => Ok(Outcome::AtStart),
        Some(holder) => tell(holder, store, id).await.map(|()| Outcome::InUse),
    }
}

/// Has the daemon read its configuration, and waits until the line works with the profile.
async fn tell(holder: Holder, store: &HistoryStore, id: i64) -> anyhow::Result<()> {
    let asked_at = format!("{:.3}", Timestamp::now());
    let process = holder.process.and_then(|process| Pid::from_raw(process.cast_signed())).context(
        "the profile is asked for, but it is not known which process the daemon is; `systemctl reload patchcored` makes it change over",
    )?;
    kill_process(process, Signal::HUP).with_context(|| {
        format!(
            "the profile is asked for, but the daemon (process {}) cannot be told; `sudo systemctl reload patchcored` makes it change over",
            process.as_raw_nonzero()
        )
    })?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        match store.profiles().profile_asked_for().await.context("history database")? {
            Some(asked) if asked.id != id => anyhow::bail!("profile {} was asked for by somebody else meanwhile", asked.profile),
            Some(asked) if asked.in_use_since.is_some() => return Ok(()),
            _ => {}
        }
        let events = store.events().since_start(&[EventKind::ReloadRefused]).await.context("history database")?;
        if let Some(refused) = events.iter().rfind(|event| event.at >= asked_at) {
            anyhow::bail!("the daemon did not change over; it will when its configuration can be used again: {}", refused.detail);
        }
        tokio::time::sleep(LOOK).await;
    }
    anyhow::bail!("the daemon has not changed over within {PATIENCE:?}; it will when the images in hand are done: see `patchcored status`")
}
