//! `patchcored run`

use super::exit::Exit;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
}

/// Runs the daemon until SIGTERM.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    crate::daemon::run(&args.config)?;
    Ok(Exit::SUCCESS)
}
