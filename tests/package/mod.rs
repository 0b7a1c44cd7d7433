//! What a package holds: completions and manual pages, programs that start on an old system, and the main job from its content.

mod generated;
mod install;
mod main_job;
mod symbols;
mod systemd;

use std::path::Path;
use std::process::{Command, Output};

/// A script of the source tree.
fn script(name: &str) -> Command {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(tree.join("scripts").join(name));
    command.current_dir(tree);
    command
}

/// stdout and stderr together, as a person sees them.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
