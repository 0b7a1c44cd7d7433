//! What a package holds: completions and manual pages, programs that start on an old system, and the main job from its content.

mod generated;
mod install;
mod main_job;
mod sbom;
mod symbols;
mod systemd;

use crate::helper::arg;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A script of the source tree.
fn script(name: &str) -> Command {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(tree.join("scripts").join(name));
    command.current_dir(tree);
    command
}

/// The content of a package below `folder`, with the binary under test and without the texts of PyTorch's licences.
fn staged(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    let stage = script("package/stage").args([env!("CARGO_BIN_EXE_patchcored"), arg(&root)]).env("WITHOUT_LICENCES", "1").output().unwrap();
    assert!(stage.status.success(), "{}", said(&stage));
    root
}

/// stdout and stderr together, as a person sees them.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
