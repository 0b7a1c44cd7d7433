//! `patchcored demo`: a small synthetic line on this machine, end to end.

use super::exit::Exit;
use clap::Args;
use std::path::PathBuf;

/// Run a small synthetic line on this machine, end to end, in about a minute.
///
/// Draws two products with known defects, starts the daemon on them, plays their cameras, and prints the decisions against
/// the truth. Exit code 1 when a file was lost.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for the line; a former demo there is replaced, any other folder refused
    #[arg(long, value_name = "FOLDER", default_value = "demo-line")]
    pub dir: PathBuf,
    /// Seed of every random choice; the same seed draws the same pictures
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
}

/// Runs the demo; exit code 1 when something was lost.
///
/// # Errors
/// When the folder, the daemon or the history cannot be used.
pub fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let complete = crate::demo::run(&args.dir, args.seed, &mut std::io::stdout().lock())?;
    Ok(if complete { Exit::SUCCESS } else { Exit::FAILURE })
}
