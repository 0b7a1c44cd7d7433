//! The command line: one thin file per command.

mod build;
mod check;
mod demo;
mod engine_args;
mod environment;
mod eval;
pub mod history;
mod infer;
mod log;
mod metrics;
mod requeue;
mod run;
mod status;

pub use log::start_log;

use crate::error::FatalError;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Visual inspection of production lines: PatchCore memory banks per product, watched camera folders, SQL history.
#[derive(Parser)]
#[command(name = "patchcored", version, about, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 bad configuration.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: watch the drop folders, inspect, record, rebuild banks
    Run(run::RunArgs),
    /// Check the configuration, folders, weights, inotify limits and database; list every problem at once
    Check(check::CheckArgs),
    /// Build one memory bank from a folder of OK images
    Build(build::BuildArgs),
    /// Inspect one image, or a folder of images, against a bank
    Infer(infer::InferArgs),
    /// Measure a bank on OK and NG images: AUROC, AUPRO, false alarms and recall at tau
    Eval(eval::EvalArgs),
    /// Tell how each product stands: bank, backlog, last decision, ng-rate, folders, disk space
    Status(status::StatusArgs),
    /// Read the inspection history
    History(history::HistoryArgs),
    /// Have failed images inspected again
    Requeue(requeue::RequeueArgs),
    /// Play a small synthetic line on this machine, end to end
    Demo(demo::DemoArgs),
}

impl Cli {
    /// True when the command runs for long and its log lines are its only output.
    pub fn is_daemon(&self) -> bool {
        matches!(self.command, Command::Run(_))
    }

    /// True when it goes through many images, so that a slower start pays.
    fn takes_many_images(&self) -> bool {
        match &self.command {
            Command::Run(_) | Command::Build(_) | Command::Eval(_) => true,
            Command::Infer(args) => args.takes_many_images(),
            Command::Check(_) | Command::Status(_) | Command::Requeue(_) | Command::History(_) | Command::Demo(_) => false,
        }
    }

    /// Runs the command; the result is the exit code, errors included.
    pub fn run(self) -> ExitCode {
        if self.takes_many_images() {
            environment::set_for_many_images();
        }
        let outcome = match self.command {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Build(args) => build::run(&args),
            Command::Infer(args) => infer::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Status(args) => status::run(&args),
            Command::History(args) => history::run(args),
            Command::Requeue(args) => requeue::run(&args),
            Command::Demo(args) => demo::run(&args),
        };
        match outcome {
            Ok(code) => code,
            Err(error) => {
                complain(&format!("error: {error:#}"));
                exit_code(&error)
            }
        }
    }
}

/// A wrong combination of arguments: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see --help")]
pub struct UsageError(pub String);

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(fatal) = error.downcast_ref::<FatalError>() {
        return ExitCode::from(fatal.exit_code());
    }
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Writes a line to stderr; a closed stderr is nobody's loss.
fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes to stdout.
///
/// # Errors
/// When stdout is closed or full.
fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
