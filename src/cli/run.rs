//! `patchcored run`

use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
}

/// Runs the daemon until SIGTERM.
///
/// # Errors
/// See [`crate::daemon::run`].
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    crate::daemon::run(&args.config)?;
    Ok(ExitCode::SUCCESS)
}
