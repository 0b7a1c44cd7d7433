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

/// A line with one product and a bank that is built in a moment.
const CONFIG: &str = "
database: /var/lib/patchcored/history.db
engine: { device: cpu, precision: float32 }
intake: { rescan: 1s, give_up_after: 1s }
products:
  - name: prod1-front
    drop: [{ path: /srv/camera/line1/front }]
    ok: /srv/banks/prod1-front/ok
    bank: /srv/banks/prod1-front
    build: { backbone: efficientnet_lite0, shorter: 64, stride: 1, layers: [layer2, layer3], coreset: 0.1, min_images: 3 }
    rebuild: { quiet_period: 300ms, max_wait: 5s }
";

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
