//! The main job from a package's content, as the service would run it: another user, a read-only system, no network.

use super::{CONFIG, said, script, staged};
use crate::helper::{Daemon, Part, can, sql_value, wait_for, write_image};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package's content in a folder of its own, with the places that an IT person makes for a line.
struct Installed {
    root: PathBuf,
}

impl Installed {
    /// In `root` lies the content already.
    fn at(root: PathBuf) -> Self {
        for folder in ["srv/camera/line1/front", "srv/banks/prod1-front/ok"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let config = root.join("etc/patchcored/config.yaml");
        assert!(std::fs::read_to_string(&config).unwrap().contains("prod1-front"), "the package brings an example to start from");
        std::fs::write(&config, CONFIG).unwrap();
        // As group patchcored reads it on a real system; its number is not known here.
        std::fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        Self { root }
    }

    /// A command within it, in the service's sandbox.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = script("package/sandbox");
        command.arg(&self.root).args(words).env_remove("LD_LIBRARY_PATH");
        command
    }

    /// For a command that must succeed: what it prints.
    fn ask(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        println!("$ {}\n{}", words.join(" "), said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the packaged unit starts.
    fn start(&self) -> Daemon {
        let unit = std::fs::read_to_string(self.root.join("usr/lib/systemd/system/patchcored.service")).unwrap();
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().to_owned();
        let log = std::fs::File::create(self.root.join("log")).unwrap();
        let mut command = self.command(&line.split_whitespace().collect::<Vec<_>>());
        println!("$ {line} &");
        Daemon::of(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn wait_sql(&self, query: &str, value: &str) {
        let database = self.root.join("var/lib/patchcored/history.db");
        wait_for(&format!("{query} = {value}"), || match sql_value(&database, query) {
            Ok(seen) if seen == value => Ok(()),
            seen => Err(format!("{seen:?}\n{}", std::fs::read_to_string(self.root.join("log")).unwrap_or_default())),
        });
    }
}

/// Tools of the sandbox; None says what is missing.
fn can_sandbox() -> Option<()> {
    can("root, for namespaces", "unshare", &["--mount", "--net", "true"])?;
    let overlay = "mkdir a b c && mount -t overlay -o ro,lowerdir=$PWD/a:$PWD/b x c";
    can("overlay mounts", "unshare", &["--mount", "bash", "-c", &format!("cd $(mktemp -d) && {overlay}")])?;
    can("setpriv", "setpriv", &["--version"])
}

fn the_sandbox_holds(installed: &Installed) {
    installed.ask(&["touch", "/var/lib/patchcored/.probe", "/srv/camera/.probe", "/srv/banks/.probe", "/tmp/probe"]);
    assert_eq!(installed.ask(&["id", "-u"]).trim(), "48391");
    for words in [
        &["touch", "/usr/lib64/patchcored/new"][..],
        &["touch", "/etc/patchcored/new"],
        &["touch", "/new"],
        &["ls", "/root/.cargo"],
        &["cat", "/etc/shadow"],
        &["bash", "-c", "echo > /dev/tcp/127.0.0.1/80"],
        &["chown", "0", "/var/lib/patchcored"],
    ] {
        let output = installed.command(words).output().unwrap();
        let said = said(&output);
        let refused = ["Read-only file system", "Permission denied", "No such file", "not permitted", "unreachable"];
        assert!(!output.status.success() && refused.iter().any(|why| said.contains(why)), "{words:?}: {said}");
    }
}

fn main_job(installed: &Installed) {
    let at = |path: &str| installed.root.join(path);
    let (ok, camera) = (at("srv/banks/prod1-front/ok"), at("srv/camera/line1/front"));
    for number in 0..8 {
        write_image(&ok.join(format!("ok{number:03}.png")), Part::ok(number));
    }
    the_sandbox_holds(installed);
    assert!(installed.ask(&["patchcored", "--version"]).starts_with("patchcored "));
    let checked = installed.ask(&["patchcored", "check", "--config", "/etc/patchcored/config.yaml"]);
    assert!(checked.contains("OK, ready to start: 1 product, 0 warnings"), "{checked}");

    let daemon = installed.start();
    installed.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    write_image(&camera.join("good.png"), Part::ok(100));
    write_image(&camera.join("bad.jpg"), Part::ng(101));
    installed.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    installed.wait_sql("SELECT decision FROM inspections WHERE image_path = '/srv/camera/line1/front/bad.jpg'", "ng");
    for name in ["good.png.mask.png", "good.png.overlay.png", "bad.jpg.mask.png", "bad.jpg.overlay.png"] {
        let found = camera.join(name).metadata().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.uid(), 48391, "{name}");
        assert_eq!(found.mode() & 0o007, 0, "UMask of the unit: {name}");
    }
    installed.ask(&["patchcored", "status"]);
    installed.ask(&["patchcored", "history"]);
    installed.ask(&["ls", "-ln", "/srv/camera/line1/front"]);
    assert!(daemon.stop().success(), "{}", std::fs::read_to_string(at("log")).unwrap());
    let log = std::fs::read_to_string(at("log")).unwrap();
    println!("{log}");
    assert!(!log.contains("ERROR") && !log.contains("Operation not permitted"), "{log}");
}

/// With the binary under test; that of a package differs only in how it is linked.
#[test]
fn the_main_job_from_a_packages_content() {
    let Some(()) = can_sandbox() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = staged(folder.path());
    for name in [
        "usr/lib64/patchcored/libtorch_cpu.so",
        "usr/share/man/man1/patchcored-run.1.gz",
        "usr/share/patchcored/config.schema.json",
        "usr/share/licenses/patchcored/CRATES",
    ] {
        assert!(root.join(name).exists(), "{name}");
    }
    main_job(&Installed::at(root));
}

/// `make try-package` installs a package into PACKAGE_ROOT for this.
#[test]
#[ignore = "needs an unpacked package: make try-package"]
fn the_main_job_from_a_package() {
    let root = std::env::var("PACKAGE_ROOT").expect("PACKAGE_ROOT names the folder with the package's content");
    can_sandbox().expect("the tools of the sandbox");
    main_job(&Installed::at(Path::new(&root).to_owned()));
}
