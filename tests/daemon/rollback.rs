//! `patchcored rebuild` and `patchcored rollback`, beside a running daemon and without one.

use crate::helper::{Line, Part, Product, arg, patchcored, run_fails, run_ok, wait_for, write_image};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::process::{Child, Output, Stdio};

fn command<'a>(line: &Line, arguments: &[&'a str]) -> Vec<&'a str> {
    // The arguments live as long as the test.
    let config: &'a str = Box::leak(arg(&line.config()).to_owned().into_boxed_str());
    [arguments, &["--config", config]].concat()
}

fn ok(line: &Line, arguments: &[&str]) -> String {
    run_ok(&command(line, arguments))
}

fn fails(line: &Line, code: i32, arguments: &[&str]) -> String {
    run_fails(code, &command(line, arguments))
}

fn spawn(line: &Line, arguments: &[&str]) -> Child {
    patchcored().args(command(line, arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A line that has built two versions, the second from one image more, and its daemon.
fn two_versions() -> (Line, crate::helper::Daemon) {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    line.fill_ok("disc", 6..7);
    wait_active(&line, "2");
    (line, daemon)
}

fn wait_active(line: &Line, version: &str) {
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", version);
}

fn states(line: &Line) -> String {
    line.sql("SELECT group_concat(version || ' ' || state, ', ') FROM (SELECT * FROM banks ORDER BY id)").unwrap()
}

/// Has an image decided; returns the version that decided it.
fn decided_by(line: &Line, name: &str) -> String {
    write_image(&line.drop("disc").join(name), Part::ok(1));
    line.wait_sql(&format!("SELECT state FROM inspections WHERE image_path LIKE '%/{name}'"), "done");
    line.sql(&format!("SELECT version FROM banks WHERE id = (SELECT bank_id FROM inspections WHERE image_path LIKE '%/{name}')")).unwrap()
}

fn current(line: &Line) -> String {
    std::fs::read_link(line.bank("disc").join("current")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_rollback_stays_until_the_ok_folder_changes() {
    let (line, daemon) = two_versions();
    assert_eq!(decided_by(&line, "before.png"), "2");
    assert_eq!(ok(&line, &["rollback", "disc"]), "disc: bank version 1 is in use again, in the place of version 2\n");
    assert_eq!(states(&line), "1 active, 2 rolled_back");
    assert_eq!(current(&line), "versions/000001");
    assert_eq!(decided_by(&line, "after.png"), "1");
    let event = "SELECT product || ' ' || detail FROM events WHERE kind = 'rollback'";
    assert_eq!(line.sql(event).unwrap(), "disc request 1: bank version 1 is in use again, in the place of version 2");
    assert_eq!(line.status()["products"][0]["bank"]["after_rollback"], json!(true));
    assert!(ok(&line, &["status"]).contains("; in use again after a rollback\n"));

    // Neither a scan nor a restart builds anew what was left, although ok/ is not what version 1 was built from.
    assert!(daemon.stop().success());
    let daemon = line.start();
    for number in 0..3 {
        assert_eq!(decided_by(&line, &format!("restarted{number}.png")), "1");
    }
    assert_eq!(states(&line), "1 active, 2 rolled_back");
    line.fill_ok("disc", 7..8);
    wait_active(&line, "3");
    assert_eq!(states(&line), "1 superseded, 2 rolled_back, 3 active");
    assert_eq!(line.sql("SELECT images FROM banks WHERE state = 'active'").unwrap(), "8");
    // Version 2 was left for a reason, and is not gone back to by itself.
    assert_eq!(ok(&line, &["rollback", "disc"]), "disc: bank version 1 is in use again, in the place of version 3\n");
    assert_eq!(ok(&line, &["rebuild", "disc"]), "disc: bank version 4 is in use, built from 8 OK images\n");
    assert_eq!(states(&line), "1 superseded, 2 rolled_back, 3 rolled_back, 4 active");
    assert_eq!(line.status()["products"][0]["bank"]["after_rollback"], json!(false));
    assert!(daemon.stop().success());
}

#[test]
fn a_version_is_named_and_mistakes_are_told() {
    let (line, daemon) = two_versions();
    assert_eq!(ok(&line, &["rollback", "disc", "1"]), "disc: bank version 1 is in use again, in the place of version 2\n");
    assert_eq!(ok(&line, &["rollback", "disc", "1"]), "disc: bank version 1 is in use already\n");
    let told = fails(&line, 1, &["rollback", "disc"]);
    assert!(told.starts_with("error[no_earlier_version]: disc: no bank version is left that was in use before"), "{told}");
    assert!(told.ends_with("; there are 2, 1 (in use)\n"), "{told}");
    let told = fails(&line, 1, &["rollback", "disc", "9"]);
    assert_eq!(told, "error[unknown_version]: disc: has no bank version 9; there are 2, 1 (in use)\n");
    for command in ["rollback", "rebuild"] {
        let told = fails(&line, 2, &[command, "dics"]);
        assert!(
            told.starts_with("error[unknown_product]: ") && told.ends_with("has no product `dics`; did you mean `disc`? There are: disc\n"),
            "{told}"
        );
    }
    // Forward again is a rollback as well.
    assert_eq!(ok(&line, &["rollback", "disc", "2"]), "disc: bank version 2 is in use again, in the place of version 1\n");
    assert_eq!(states(&line), "1 superseded, 2 active");

    let bank = line.bank("disc").join("versions/000001/memory_bank.pt");
    let bytes = std::fs::read(&bank).unwrap();
    std::fs::write(&bank, &bytes[..bytes.len() / 2]).unwrap();
    let told = fails(&line, 1, &["rollback", "disc"]);
    assert!(told.starts_with("error[version_damaged]: disc: bank version 1 is not whole: "), "{told}");
    assert!(told.contains("000001/memory_bank.pt") && told.ends_with("; there are 2 (in use), 1\n"), "{told}");
    assert_eq!(states(&line), "1 superseded, 2 active");
    assert_eq!(line.sql("SELECT count(*) FROM requests WHERE state <> 'done'").unwrap(), "0", "nothing was asked of the daemon");
    assert!(daemon.stop().success());
}

#[test]
fn a_rebuild_needs_no_change_and_is_refused_by_the_guards() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    assert_eq!(ok(&line, &["rebuild", "disc"]), "disc: bank version 2 is in use, built from 6 OK images\n");
    assert_eq!(line.sql("SELECT trigger FROM banks WHERE version = 2").unwrap(), "requested");
    assert_eq!(line.sql("SELECT product || ' ' || detail FROM events WHERE kind = 'rebuild_requested'").unwrap(), "disc request 1");
    assert_eq!(decided_by(&line, "a.png"), "2");
    for number in 0..4 {
        std::fs::remove_file(line.ok("disc").join(format!("ok{number:03}.png"))).unwrap();
    }
    let told = fails(&line, 1, &["rebuild", "disc"]);
    assert!(told.starts_with("error[request_failed]: disc: refused: the ok folder has 2 images and had 6"), "{told}");
    assert!(told.ends_with("; the bank in use stays\n"), "{told}");
    std::fs::rename(line.ok("disc"), line.path("away")).unwrap();
    let told = fails(&line, 1, &["rebuild", "disc"]);
    assert!(told.contains("the ok folder cannot be listed: No such file"), "{told}");
    wait_active(&line, "2");
    let asked = ok(&line, &["rebuild", "disc", "--no-wait"]);
    assert_eq!(asked, "disc: the bank is built (request 4)\n");
    line.wait_sql("SELECT state FROM requests WHERE id = 4", "failed");
    assert!(daemon.stop().success());
}

#[test]
fn without_a_daemon_a_rollback_is_done_at_once_and_a_rebuild_at_the_next_start() {
    let (line, daemon) = two_versions();
    assert!(daemon.stop().success());
    let told = ok(&line, &["rollback", "disc"]);
    assert_eq!(told, "disc: bank version 1 is in use again, in the place of version 2; the line is stopped\n");
    assert_eq!((states(&line).as_str(), current(&line).as_str()), ("1 active, 2 rolled_back", "versions/000001"));
    let daemon = line.start();
    assert_eq!(decided_by(&line, "a.png"), "1");
    assert!(daemon.stop().success());

    let told = ok(&line, &["rebuild", "disc"]);
    assert_eq!(told, "disc: the line is stopped; the bank is built when it is started (request 2)\n");
    assert_eq!(states(&line), "1 active, 2 rolled_back");
    let daemon = line.start();
    line.wait_sql("SELECT state || ' ' || outcome FROM requests WHERE id = 2", "done bank version 3 is in use, built from 7 OK images");
    assert_eq!(states(&line), "1 superseded, 2 rolled_back, 3 active");
    assert!(daemon.stop().success());

    // The bank folder cannot be changed: that is said now, and not tried behind anybody's back later.
    std::fs::remove_dir_all(line.bank("disc").join("versions/000001")).unwrap();
    let told = fails(&line, 1, &["rollback", "disc"]);
    assert!(told.starts_with("error[no_earlier_version]: "), "{told}");
    assert_eq!(line.sql("SELECT count(*) FROM requests WHERE state = 'pending'").unwrap(), "0");
}

#[test]
fn a_rollback_ends_the_build_that_would_replace_it() {
    let (line, daemon) = two_versions();
    line.fill_ok("disc", 7..8);
    let build = daemon.stop_the_build();
    assert_eq!(ok(&line, &["rollback", "disc"]), "disc: bank version 1 is in use again, in the place of version 2\n");
    wait_for("the build to end", || match kill_process(build, Signal::CONT) {
        Err(_) => Ok(()),
        Ok(()) => Err("it runs".to_owned()),
    });
    assert_eq!(decided_by(&line, "a.png"), "1");
    assert_eq!(states(&line), "1 active, 2 rolled_back", "a build that was cut off has not failed");

    // A rebuild that was asked for gives way as well, and says so.
    let rebuild = spawn(&line, &["rebuild", "disc"]);
    daemon.stop_the_build();
    assert_eq!(ok(&line, &["rollback", "disc", "2"]), "disc: bank version 2 is in use again, in the place of version 1\n");
    let Output { status, stderr, .. } = rebuild.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stderr).contains("a rollback was asked for before the bank was built"));
    line.fill_ok("disc", 8..9);
    wait_active(&line, "3");
    assert_eq!(line.sql("SELECT images FROM banks WHERE state = 'active'").unwrap(), "9");
    assert!(daemon.stop().success());
    let left = std::fs::read_dir(line.bank("disc").join("versions")).unwrap().count();
    assert_eq!(left, 3, "nothing is left of the builds that were ended");
}

#[test]
fn two_who_ask_at_once_get_one_bank() {
    let (line, daemon) = two_versions();
    for (arguments, version) in [(["rollback", "disc"], "1"), (["rebuild", "disc"], "3")] {
        // The daemon sees both requests at once.
        daemon.signal(Signal::STOP);
        let both = [spawn(&line, &arguments), spawn(&line, &arguments)];
        line.wait_sql("SELECT count(*) FROM requests WHERE state = 'pending'", "2");
        daemon.signal(Signal::CONT);
        for child in both {
            let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
            assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
            assert!(String::from_utf8_lossy(&stdout).contains(&format!("bank version {version} is in use")), "{stdout:?}");
        }
        wait_active(&line, version);
    }
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE state = 'active'").unwrap(), "1");
    assert_eq!(line.sql("SELECT count(*) FROM requests WHERE state <> 'done'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn an_interrupted_command_leaves_its_request() {
    let (line, daemon) = two_versions();
    daemon.signal(Signal::STOP);
    let waiting = spawn(&line, &["rollback", "disc"]);
    line.wait_sql("SELECT count(*) FROM requests WHERE state = 'pending'", "1");
    // Once it has the request it listens, very soon after.
    let pid = Pid::from_child(&waiting);
    let status = format!("/proc/{}/status", waiting.id());
    wait_for("the command to listen to signals", || {
        let text = std::fs::read_to_string(&status).unwrap();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap().to_owned();
        let listens = u64::from_str_radix(&caught, 16).unwrap() & (1 << (Signal::INT.as_raw() - 1)) != 0;
        if listens { Ok(()) } else { Err(caught) }
    });
    kill_process(pid, Signal::INT).unwrap();
    let Output { status, stderr, .. } = waiting.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(told, "error[request_waits]: disc: interrupted; request 1 stays, and is done by the daemon all the same\n");
    daemon.signal(Signal::CONT);
    line.wait_sql("SELECT state FROM requests", "done");
    assert_eq!(states(&line), "1 active, 2 rolled_back");
    assert!(daemon.stop().success());
}
