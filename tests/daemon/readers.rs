//! Programs of another user that read the history just when the service starts.

use crate::helper::{Line, Product, arg, can, number, patchcored, sql_value};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Nobody's number.
const USER: &str = "48391";

/// The program as the service's user. It may read all, as the test's binary and its libraries lie in root's folders, and write only what
/// is its own.
fn as_service() -> Command {
    let rights = [
        "--clear-groups",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ];
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER]).args(rights).arg(patchcored().get_program());
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env_remove("LD_LIBRARY_PATH");
    command
}

/// Reads for as long as `goes_on`; how often it was answered.
fn read(goes_on: &AtomicBool, answered: &AtomicU32, ask: impl Fn() -> bool) {
    while goes_on.load(Ordering::Relaxed) {
        answered.fetch_add(u32::from(ask()), Ordering::Relaxed);
    }
}

fn owner_of_all(folder: &Path) {
    assert!(Command::new("chown").args(["-R", &format!("{USER}:{USER}"), arg(folder)]).status().unwrap().success());
}

/// READER_STARTS=200 for many.
#[test]
fn readers_of_another_user_do_not_spoil_a_start() {
    let Some(()) = can("root and setpriv", "setpriv", &["--reuid", USER, "--regid", USER, "--clear-groups", "true"]) else { return };
    let line = Line::new(&[Product::new("disc")]);
    line.database_in("db");
    std::fs::create_dir(line.path("db")).unwrap();
    let database = line.path("db/history.db");
    owner_of_all(&line.path(""));
    let (goes_on, answered) = (AtomicBool::new(true), AtomicU32::new(0));
    let config = line.config();
    let status = || {
        let said = patchcored().args(["status", "--config", arg(&config)]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| read(&goes_on, &answered, || sql_value(&database, "SELECT count(*) FROM inspections").is_ok()));
        scope.spawn(|| read(&goes_on, &answered, status));
        // Also when a start fails.
        let starts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for start in 0..number("READER_STARTS").unwrap_or(8) {
                for suffix in ["", "-wal", "-shm", ".known.json"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", arg(&database)));
                }
                std::fs::write(line.path("log"), "").unwrap();
                let daemon = line.start_as(as_service());
                line.wait_for_log("ready products=1");
                assert!(daemon.stop().success(), "start {start}: {}", line.log());
            }
        }));
        goes_on.store(false, Ordering::Relaxed);
        starts.unwrap();
    });
    assert!(answered.load(Ordering::Relaxed) > 0);
}

/// Long enough for the first attempt to open the history, of which nothing is told.
const OPENED_IN_VAIN: Duration = Duration::from_millis(500);

/// What SQLite of root does, slowly: it makes the two files, and then gives them to the owner of the database.
#[test]
fn a_start_waits_until_the_files_of_a_reader_belong_to_the_service() {
    let Some(()) = can("root and setpriv", "setpriv", &["--reuid", USER, "--regid", USER, "--clear-groups", "true"]) else { return };
    for suffix in ["-wal", "-shm"] {
        let line = Line::new(&[Product::new("disc")]);
        line.database_in("db");
        std::fs::create_dir(line.path("db")).unwrap();
        owner_of_all(&line.path(""));
        let daemon = line.start_as(as_service());
        line.wait_for_log("ready products=1");
        assert!(daemon.stop().success());
        std::fs::write(line.path("log"), "").unwrap();
        let made = line.path(&format!("db/history.db{suffix}"));
        std::fs::write(&made, "").unwrap();
        std::fs::set_permissions(&made, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let daemon = line.start_as(as_service());
        std::thread::sleep(OPENED_IN_VAIN);
        owner_of_all(&made);
        line.wait_for_log("ready products=1");
        assert!(daemon.stop().success(), "{suffix}: {}", line.log());
    }
}
