//! `patchcored generate`: shell completions and manual pages, for whoever packages the program.

use super::exit::Exit;
use anyhow::Context;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(clap::Args)]
pub struct GenerateArgs {
    /// Folder for the files; made when missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Writes, for this command line, `patchcored.bash`, `_patchcored` (zsh), `patchcored.fish`, `patchcored.1` and one `patchcored-COMMAND.1` for each command.
/// They come from the same description of the command line that `--help` does, so they cannot fall behind it.
///
/// # Errors
/// A folder that cannot be written.
pub fn run(args: &GenerateArgs, command: clap::Command) -> anyhow::Result<Exit> {
    let folder = &args.dir;
    let failed = || format!("cannot write completions and manual pages to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command.clone(), "patchcored", folder).with_context(failed)?;
    }
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, &page_date(), folder).with_context(failed)?;
    Ok(Exit::SUCCESS)
}

/// The page of this command and those of the commands within it.
fn write_pages(command: &clap::Command, date: &str, folder: &Path) -> std::io::Result<()> {
    let page = Man::new(command.clone()).date(date).source(concat!("patchcored ", env!("CARGO_PKG_VERSION"))).manual("patchcored");
    page.generate_to(folder)?;
    command.get_subcommands().filter(|inner| !inner.is_hide_set()).try_for_each(|inner| write_pages(inner, date, folder))
}

/// As `SOURCE_DATE_EPOCH` says, so that a package can be made twice with the same result; today without it.
fn page_date() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    given.unwrap_or_else(Timestamp::now).strftime("%Y-%m-%d").to_string()
}
