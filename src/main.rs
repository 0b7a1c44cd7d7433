//! Arguments → command, logging, exit code.

use clap::Parser;
use patchcored::cli::Cli;
use patchcored::telemetry::start_log;

fn main() {
    let cli = Cli::parse();
    start_log(cli.is_daemon());
    cli.run()
}
