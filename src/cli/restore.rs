//! `patchcored restore`: puts a backup back in place.

use super::exit::Exit;
use super::output::{complain, say};
use crate::backup::{BankPlan, OkFolderNow, PlannedConfig, PlannedHistory, Restored, restore};
use crate::banks::BankInPlace;
use crate::domain::printable::printable_lines;
use crate::platform::crash_point;
use anyhow::Context;
use std::path::PathBuf;

/// Arguments of `restore`.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The backup: a folder that `patchcored backup` made
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The configuration file, which says where everything belongs; if it is missing, that of the backup is put there
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
    /// Replace a history and banks that are there; they are kept under other names
    #[arg(long)]
    replace: bool,
}

/// Checks every file of the backup, then puts it back while no daemon works with the database.
///
/// # Errors
/// A damaged backup, a running daemon, something that would be replaced, or a folder that cannot be changed.
pub fn run(args: &RestoreArgs) -> anyhow::Result<Exit> {
    crash_point::arm()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let restored = runtime.block_on(restore(&args.backup, &args.config, args.replace));
    // A folder that hangs must not keep the command.
    runtime.shutdown_background();
    let restored = restored?;
    say(&printable_lines(&summary(&restored, args)))?;
    for product in &restored.plan.unknown_products {
        complain(&format!("{product}: is not in {}, so its bank is not restored", args.config.display()));
    }
    Ok(Exit::SUCCESS)
}

fn summary(restored: &Restored, args: &RestoreArgs) -> String {
    let Restored { at, database, plan, set_aside, ok_folders } = restored;
    let mut text = format!("restored the backup of {at}\n");
    let config = args.config.display();
    text += &match plan.config {
        PlannedConfig::Put => format!("  configuration: {config}\n"),
        PlannedConfig::Same => format!("  configuration: {config} is that of the backup\n"),
        PlannedConfig::Differs => {
            format!("  configuration: {config} stays; the backup has another one, {}\n", args.backup.join("config.yaml").display())
        }
    };
    for BankPlan { bank, in_place, .. } in &plan.banks {
        let was = if *in_place == BankInPlace::Same { ", which was there already" } else { "" };
        text += &format!("  {}: bank version {}{was}\n", bank.product, bank.version);
    }
    let was = if plan.history == PlannedHistory::Same { ", which was there already" } else { "" };
    text += &format!("  history: {}{was}\n", database.display());
    for path in set_aside {
        text += &format!("  what was there is now {}\n", path.display());
    }
    for (product, now) in ok_folders {
        text += &match now {
            OkFolderNow::Same => format!("  {product}: its ok folder is as it was\n"),
            OkFolderNow::Differs { missing, changed, added } => format!(
                "  {product}: its ok folder is not as it was: {missing} images are missing, {changed} changed, {added} added; to keep the bank, \
                 put the images back with their times before you start the daemon\n"
            ),
            OkFolderNow::Unknown(why) => format!("  {product}: its ok folder cannot be compared: {why}\n"),
        };
    }
    text
}
