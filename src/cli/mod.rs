//! The command line: one thin file per command.

mod backup;
mod bank_request;
mod build;
mod check;
mod demo;
mod engine_args;
mod environment;
mod errors;
mod eval;
mod exit;
mod explain;
mod generate;
pub mod history;
mod infer;
mod output;
mod profile;
mod rebuild;
mod requeue;
mod restore;
mod retention;
mod rollback;
mod run;
mod selftest;
mod status;
mod tune;

use clap::{CommandFactory, Parser, Subcommand};
pub use errors::{Coded, UsageError};
use exit::Exit;
use output::complain;

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
    /// Plant synthetic defects into images of good parts, and say how small a defect a bank finds
    Selftest(selftest::SelftestArgs),
    /// Compare build settings on the OK images of a product, and recommend some; it changes nothing
    Tune(tune::TuneArgs),
    /// Show how each product stands: bank, backlog, last decision, ng-rate, folders, disk space
    Status(status::StatusArgs),
    /// Read the inspection history
    History(history::HistoryArgs),
    /// List the profiles, or change the line over to another
    Profile(profile::ProfileArgs),
    /// Inspect failed images again
    Requeue(requeue::RequeueArgs),
    /// List the old files that the daemon would delete now
    Retention(retention::RetentionArgs),
    /// Build the bank of a product again from its ok folder, although nothing has changed there
    Rebuild(rebuild::RebuildArgs),
    /// Put an earlier bank version of a product back in use
    Rollback(rollback::RollbackArgs),
    /// Save the history, the configuration and the banks into a new folder, beside a running daemon or without one
    Backup(backup::BackupArgs),
    /// Put a backup back in place, while the daemon is stopped
    Restore(restore::RestoreArgs),
    /// Say what a code means, or why an image was decided as it was, and what to do
    Explain(explain::ExplainArgs),
    /// Play a small synthetic line on this machine, end to end
    Demo(demo::DemoArgs),
    /// Write shell completions and manual pages into a folder, for packaging
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

impl Cli {
    /// True when the command runs for long and its log lines are its only output.
    pub fn is_daemon(&self) -> bool {
        matches!(self.command, Command::Run(_))
    }

    /// True when it goes through many images, so that a slower start pays.
    fn takes_many_images(&self) -> bool {
        match &self.command {
            Command::Run(_) | Command::Build(_) | Command::Eval(_) | Command::Selftest(_) | Command::Tune(_) => true,
            Command::Infer(args) => args.takes_many_images(),
            _ => false,
        }
    }

    /// Runs the command, and ends the process with its exit code, errors included.
    pub fn run(self) -> ! {
        if self.takes_many_images() {
            environment::set_for_many_images();
        }
        let outcome = match self.command {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Build(args) => build::run(&args),
            Command::Infer(args) => infer::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Selftest(args) => selftest::run(&args),
            Command::Tune(args) => tune::run(&args),
            Command::Status(args) => status::run(&args),
            Command::History(args) => history::run(args),
            Command::Profile(args) => profile::run(&args),
            Command::Requeue(args) => requeue::run(&args),
            Command::Retention(args) => retention::run(&args),
            Command::Rebuild(args) => rebuild::run(&args),
            Command::Rollback(args) => rollback::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => restore::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Generate(args) => generate::run(&args, Self::command()),
        };
        let exit = outcome.unwrap_or_else(|error| {
            complain(&errors::shown(&error));
            Exit(errors::exit_code(&error))
        });
        exit.end()
    }
}
