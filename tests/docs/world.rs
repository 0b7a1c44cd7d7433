//! The machine on which the pages' commands are typed.
//!
//! It is this machine under an overlay, in mount, process and network namespaces of its own (`tests/docs/world/run`), so that commands
//! may write where they like and stop what they like. The content of our package is installed, its line has run: two bank
//! versions, parts judged ok and ng, one that failed; the daemon runs as the user `patchcored`. The reader is `engineer`, a member of the
//! group `patchcored`, who may use sudo and stands in the repository. Pages named in [`BARE`] start before anything is installed.
//!
//! Real: `patchcored`, the shell, sqlite3, `useradd`, permissions, the service's process and its signals, the loopback network.
//! Played by programs in `tests/docs/world/stubs`, which check what can be checked and refuse what they do not know:
//!
//! - `sudo` runs the command as that user, with a clean environment;
//! - `systemctl` knows installed units and starts, stops and reloads the real daemon by its unit's `User=` and `ExecStart=`; there is no
//!   systemd, so nothing else of the unit is in force;
//! - `journalctl` prints the daemon's log, unfiltered;
//! - `systemd-tmpfiles` and `systemd-sysusers` make the folders, users and groups of patchcored's lines; `coredumpctl` shows nothing;
//! - `make` checks that the target exists (`--dry-run`), and `make rpm` leaves an empty package;
//! - `dnf` lays down, upgrades and removes the content of our package with its scriptlets, without there being an RPM; `tar` checks the name
//!   of our tarball and finds it unpacked; Rocky's own packages must be known ones and are not installed;
//! - `sysctl` checks the file, and changes nothing; `nano` checks that the file may be changed; `chronyc` knows `tracking`.

use super::page::{Page, repository};
use crate::helper::{Part, arg, can, patience, scaled, write_image};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Pages for a machine without patchcored.
const BARE: [&str; 1] = ["docs/install-rocky8.md"];

/// For the commands of one page; the longest is the demo of README.md, which takes a minute on an idle machine.
const PAGE_LIMIT: Duration = Duration::from_secs(600);

/// What came of one command.
pub struct Typed {
    pub page: String,
    pub line: usize,
    pub command: String,
    /// `None` when it did not end.
    pub status: Option<i32>,
    pub output: String,
}

/// What came of all.
pub struct World {
    folder: TempDir,
    pub typed: Vec<Typed>,
}

impl World {
    /// Types every command of the pages; `None`, said, where that cannot be done.
    pub fn play(pages: &[Page]) -> Option<Self> {
        can("root, for namespaces", "unshare", &["--mount", "--pid", "--net", "--fork", "true"])?;
        for (what, program) in [("iproute2", "ip"), ("useradd", "useradd"), ("setpriv", "setpriv"), ("binutils", "readelf")] {
            can(what, "sh", &["-c", &format!("command -v {program}")])?;
        }
        let folder = tempfile::tempdir().unwrap();
        let overlay = format!(
            "cd {} && mkdir try && mount -t tmpfs tmpfs try && mkdir try/upper try/work try/root && \
             mount -t overlay overlay -o lowerdir=/,upperdir=try/upper,workdir=try/work try/root",
            arg(folder.path())
        );
        can("overlay mounts", "unshare", &["--mount", "sh", "-c", &overlay])?;
        let mut world = Self { folder, typed: vec![] };
        world.draw_parts();
        for page in pages {
            world.write_blocks(page);
        }
        world.run();
        world.typed = pages.iter().flat_map(|page| world.results(page)).collect();
        Some(world)
    }

    /// The history of the line before any page was read.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// OK images for two bank versions, images for the camera, and good and bad parts with masks to measure on.
    fn draw_parts(&self) {
        for number in 0..12 {
            write_image(&self.path("parts/ok").join(format!("{number:04}.png")), Part::ok(number));
        }
        write_image(&self.path("parts").join("more.png"), Part::ok(20));
        write_image(&self.path("parts").join("golden.jpg"), Part::ok(1));
        for number in 1..=6 {
            // Known good parts, so that they are judged ok for certain; two bad ones.
            let part = if number <= 4 { Part::ok(number) } else { Part::ng(number) };
            write_image(&self.path("parts/drop").join(format!("part-{number:04}.png")), part);
            // In the format of the OK images, and of a part that the bank knows: the self-test needs images that are ok.
            write_image(&self.path("parts/test/good").join(format!("{number:04}.png")), Part::ok(number));
            write_image(&self.path("parts/test/bad").join(format!("{number:04}.jpg")), Part::ng(100 + number));
            let mask = image::GrayImage::from_fn(96, 96, |x, y| image::Luma([if x.abs_diff(y) < 5 { 255 } else { 0 }]));
            mask.save(self.path("parts/test/masks").join(format!("{number:04}.png"))).unwrap();
        }
        std::fs::write(self.path("parts/drop").join("part-0007.jpg"), "no image").unwrap();
    }

    fn write_blocks(&self, page: &Page) {
        let folder = self.path("pages").join(folder_of(page));
        std::fs::create_dir_all(&folder).unwrap();
        for (number, block) in page.blocks_of("sh").enumerate() {
            std::fs::write(folder.join(format!("{number:03}.sh")), &block.text).unwrap();
        }
        if BARE.contains(&page.name.as_str()) {
            std::fs::write(folder.join("bare"), "").unwrap();
        }
    }

    fn run(&self) {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(repository().join("tests/docs/world/run"))
            .arg(self.folder.path())
            .env("BINARY", env!("CARGO_BIN_EXE_patchcored"))
            .env("LIBTORCH", libtorch())
            .env("CACHE", cache.join("patchcored"))
            .env("REPO", repository())
            .env("PAGE_LIMIT", scaled(PAGE_LIMIT).as_secs().to_string())
            .env("ROUNDS", (patience().as_millis() / 100).to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "the machine could not be made: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn results(&self, page: &Page) -> Vec<Typed> {
        let folder = self.folder.path().join("results").join(folder_of(page));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let mut typed = Vec::new();
        for (number, block) in page.blocks_of("sh").enumerate() {
            let mut done = 0;
            for line in 1..=block.text.lines().count() {
                let name = format!("{number:03}-{line:04}");
                let command = read(&format!("{name}.cmd"));
                if !command.is_empty() {
                    done = line + command.lines().count() - 1;
                    let status = read(&format!("{name}.rc")).trim().parse().ok();
                    typed.push(Typed {
                        page: page.name.clone(),
                        line: block.line + line - 1,
                        command,
                        status,
                        output: read(&format!("{name}.out")),
                    });
                }
            }
            // Nothing was typed after a command that took too long, or that ended the shell.
            if done < block.text.lines().count() {
                let (line, output) = (block.line + done, read("world.log"));
                typed.push(Typed { page: page.name.clone(), line, command: "(not reached)".into(), status: None, output });
            }
        }
        typed
    }
}

fn folder_of(page: &Page) -> String {
    page.name.replace('/', "-").replace(".md", "")
}

/// The libtorch that this process uses.
fn libtorch() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.ends_with("libtorch_cpu.so"));
    Path::new(library.unwrap()).ancestors().nth(2).unwrap().to_owned()
}
