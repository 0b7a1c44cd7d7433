//! `patchcored run`

use super::errors;
use super::output::complain;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/patchcored/config.yaml")]
    config: PathBuf,
}

/// Runs the daemon until SIGTERM, and ends the process. The destructors of libraries do not run: a thread that is still in libtorch, or in a
/// hung system call, would find them gone and crash. Everything that matters is on disk.
pub fn run(args: &RunArgs) -> ! {
    let code = match crate::daemon::run(&args.config) {
        Ok(()) => 0,
        Err(error) => {
            let error = error.into();
            complain(&errors::shown(&error));
            errors::exit_code(&error)
        }
    };
    signal_hook::low_level::exit(code.into())
}
