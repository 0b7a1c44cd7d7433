//! What the tests share: a line in a temporary folder, images made by formula, the real binary, and waiting for conditions.

mod broker;
mod disks;
mod frozen;
mod images;
mod line;
mod patience;
mod script;
mod skip;
mod sql;
mod systemd;
mod wall_clock;

pub use broker::{Broker, Subscriber};
pub use disks::{Mount, fill};
pub use frozen::Frozen;
pub use images::{Part, image_bytes, jpeg_bytes, write_image};
pub use line::{Daemon, Line, Product};
pub use patience::{patience, scaled, scaled_seconds, wait_for, wait_up_to};
pub use script::script;
pub use skip::{can, skip, skipped};
pub use sql::{WriteLock, change as sql_change, old_database, rows as sql_rows, value as sql_value};
pub use systemd::Systemd;
pub use wall_clock::WallClock;

use std::path::Path;
use std::process::{Command, Output};

/// Runs every case on a thread of its own, for cases that pass their time with waiting. One that panics fails the test.
pub fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) + Sync) {
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = cases.into_iter().map(|case| scope.spawn(move || run(case))).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Whether this processor has the 8-bit products of `precision: int8`.
pub fn has_int8() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    flags.contains("avx512_vnni") || flags.contains("avx_vnni")
}

/// The binary under test.
pub fn patchcored() -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_patchcored")))
}

/// Another file of it. It has the environment that the unit gives the daemon too, without which it starts twice.
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env_remove("LD_LIBRARY_PATH");
    command.env("OMP_WAIT_POLICY", "PASSIVE").env("MALLOC_ARENA_MAX", "2");
    command
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    patchcored().args(arguments).output().unwrap()
}

/// Runs the binary, which must succeed; returns stdout.
pub fn run_ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the binary, which must fail with `code`; returns stderr.
pub fn run_fails(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

/// A whole number from the environment; a name that is set to nothing is not set.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")))
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
