//! inotify has limits, and somebody else may have used them up. The daemon gets low ones in a user namespace of its own.

use super::{detail, disc_line, drop_image, set_rescan, wait_for_banks, wait_for_done, wait_for_events, wait_for_status};
use crate::helper::{Daemon, Line, Part, arg, can, write_image};
use std::process::{Command, Stdio};

/// Starts the daemon with this limit.
fn start_with_limit(line: &Line, limit: &str, value: u32) -> Option<Daemon> {
    let set = format!("echo {value} > /proc/sys/user/{limit}");
    can("user namespaces", "unshare", &["--user", "--map-root-user", "sh", "-ec", &set])?;
    Some(line.start_with(|command| {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(line.path("log")).unwrap();
        let run = format!("{set}; exec \"$0\" run --config \"$1\"");
        let mut limited = Command::new("unshare");
        limited.args(["--user", "--map-root-user", "sh", "-ec", &run]).arg(command.get_program()).arg(arg(&line.config()));
        for name in ["RUST_LOG", "NOTIFY_SOCKET", "LD_LIBRARY_PATH"] {
            limited.env_remove(name);
        }
        limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        *command = limited;
    }))
}

#[test]
fn without_any_inotify_instance_scans_find_the_images() {
    let line = disc_line();
    let Some(daemon) = start_with_limit(&line, "max_inotify_instances", 0) else { return };
    wait_for_events(&line, "not_watched", 1);
    let detail = detail(&line, "not_watched");
    assert!(detail.contains("/drop/disc: 1 of 1 folders not watched: no inotify instance is left"), "{detail}");
    assert!(detail.contains("raise fs.inotify.max_user_instances"), "{detail}");
    assert!(detail.contains("found by scans alone, every 1s"), "{detail}");
    wait_for_status(&line, &daemon, "/drop/disc is not all watched");
    assert_eq!(line.status()["products"][0]["drop_folders"][0]["state"], "scanned_only");
    wait_for_banks(&line, 1);
    drop_image(&line, "disc", "a.png");
    wait_for_done(&line, 1);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'not_watched'").unwrap(), "1", "told once");
    assert!(daemon.stop().success());
}

#[test]
fn a_half_watched_folder_says_so_and_says_when_it_is_over() {
    let line = disc_line();
    for name in ["cam1", "cam2", "cam3"] {
        std::fs::create_dir(line.drop("disc").join(name)).unwrap();
    }
    let Some(daemon) = start_with_limit(&line, "max_inotify_watches", 2) else { return };
    wait_for_events(&line, "not_watched", 1);
    let detail = detail(&line, "not_watched");
    assert!(detail.contains("2 of 4 folders not watched: no inotify watch is left; raise fs.inotify.max_user_watches"), "{detail}");
    wait_for_banks(&line, 1);
    for name in ["a.png", "cam1/a.png", "cam2/a.png", "cam3/a.png"] {
        write_image(&line.drop("disc").join(name), Part::ok(1));
    }
    wait_for_done(&line, 4);
    // Room for the rest.
    for name in ["cam1", "cam2"] {
        std::fs::remove_dir_all(line.drop("disc").join(name)).unwrap();
    }
    wait_for_events(&line, "watched", 1);
    assert!(daemon.stop().success());
}

#[test]
fn a_new_sub_folder_beyond_the_limit_is_told_of_and_its_first_images_are_found() {
    let line = disc_line();
    set_rescan(&line, "1h");
    let Some(daemon) = start_with_limit(&line, "max_inotify_watches", 1) else { return };
    wait_for_banks(&line, 1);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'not_watched'").unwrap(), "0");
    let staged = line.path("staged");
    std::fs::create_dir(&staged).unwrap();
    write_image(&staged.join("a.png"), Part::ok(1));
    std::fs::rename(staged, line.drop("disc").join("cam1")).unwrap();
    wait_for_events(&line, "not_watched", 1);
    wait_for_done(&line, 1);
    assert!(daemon.stop().success());
}
