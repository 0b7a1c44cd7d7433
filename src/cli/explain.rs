//! `patchcored explain`: what a code means and what to do.

use super::Coded;
use super::output::say;
use crate::codes::{self, ErrorCode};
use std::process::ExitCode;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct ExplainArgs {
    /// The code, e.g. drop_folder_lost; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Prints it.
///
/// # Errors
/// A code that there is not.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let text = match &args.code {
        None => codes::list(),
        Some(code) => {
            let unknown = || Coded::new(ErrorCode::UnknownCode, format!("there is no code `{code}`; `patchcored explain` lists them all"));
            codes::explain(code).ok_or_else(unknown)?
        }
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}
