//! `patchcored backup`: saves the line into a new folder, beside a running daemon or without one.

use super::exit::Exit;
use super::output::{complain, say};
use crate::backup::{Backup, save};
use crate::config::Config;
use crate::domain::printable::printable_lines;
use crate::platform::crash_point;
use crate::retention::size;
use anyhow::Context;
use std::path::PathBuf;

/// Arguments of `backup`.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// The folder for backups; each backup is a new folder in it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The configuration file: it is saved, and so is what it names
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
}

/// Saves the database, the configuration, the banks and the lists of OK images. Exit code 1 when a part of it is left out.
///
/// # Errors
/// A configuration, a database or a folder that cannot be used.
pub fn run(args: &BackupArgs) -> anyhow::Result<Exit> {
    crash_point::arm()?;
    let config = Config::load(&args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let saved = runtime.block_on(save(&config, &args.config, &args.dir));
    // A folder that hangs must not keep the command.
    runtime.shutdown_background();
    let saved = saved?;
    say(&printable_lines(&summary(&saved)))?;
    for left_out in &saved.manifest.not_saved {
        complain(&format!("{}: {}", left_out.product, left_out.why));
    }
    Ok(if saved.manifest.not_saved.is_empty() { Exit::SUCCESS } else { Exit::FAILURE })
}

fn summary(saved: &Backup) -> String {
    let manifest = &saved.manifest;
    let mut text = format!("saved {} to {}\n", size(manifest.bytes()), saved.folder.display());
    text += &format!("  history: {}\n  configuration: {}\n", size(manifest.bytes_of("history.db")), manifest.config);
    for bank in &manifest.banks {
        text += &format!("  {}: bank version {}, {}\n", bank.product, bank.version, size(manifest.bytes_of(&bank.folder())));
    }
    for ok in &manifest.ok_folders {
        text += &format!(
            "  {}: the list of its {} OK images; save the images themselves ({}) as well\n",
            ok.product,
            ok.images,
            size(ok.bytes)
        );
    }
    text
}
