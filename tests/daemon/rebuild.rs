//! What becomes a bank and what does not.

use crate::helper::{Line, Mount, Part, Product, arg, patchcored, program, run_fails, run_ok, wait_for, write_image};
use rustix::process::{Signal, kill_process};

#[test]
fn a_new_bank_says_what_it_changes_for_recent_images_before_it_is_used() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let inspect = |name: &str, so_far: u32| {
        for number in 0..3 {
            write_image(&line.drop("disc").join(format!("{name}-good{number}.png")), Part::ok(20 + number));
            write_image(&line.drop("disc").join(format!("{name}-bad{number}.png")), Part::ng(number));
        }
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(so_far + 6).to_string());
        line.list(&format!("SELECT decision FROM inspections WHERE image_path LIKE '%/{name}-%' ORDER BY image_path"))
    };
    let before = inspect("first", 0);
    assert!(before[..3].iter().all(|decision| decision == "ng"), "{before:?}");
    assert_eq!(line.sql("SELECT compared_images FROM banks").unwrap(), "", "there was nothing to compare with");
    // One was deleted meanwhile.
    std::fs::remove_file(line.drop("disc").join("first-good2.png")).unwrap();

    // A defect is put among the good parts.
    write_image(&line.ok("disc").join("unusual.png"), Part::ng(0));
    line.wait_sql("SELECT count(*) FROM banks WHERE version = 2 AND state = 'active'", "1");
    let of = |column: &str| line.sql(&format!("SELECT compared_{column} FROM bank_history WHERE version = 2")).unwrap();
    let after = inspect("second", 6);
    // The image that is gone was good, and still is.
    assert_eq!((&before[5], &after[5]), (&"ok".to_owned(), &"ok".to_owned()));
    let changed = |from: &str, to: &str| before.iter().zip(&after).filter(|(was, is)| *was == from && *is == to).count().to_string();
    assert_eq!((of("images"), of("to_ng"), of("to_ok")), ("5".into(), changed("ok", "ng"), changed("ng", "ok")));
    assert_ne!(of("to_ok"), "0", "{before:?} {after:?}");
    let told = line.sql("SELECT detail FROM events WHERE kind = 'bank_compared' AND product = 'disc'").unwrap();
    assert!(
        told.contains(&format!("of the 5 newest images whose files are still there, {} that were ok become ng", of("to_ng"))),
        "{told}"
    );
    let status = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(
        status.contains(&format!("of the 5 newest images it made {} ng that were ok, and {} ok", of("to_ng"), of("to_ok"))),
        "{status}"
    );
    assert!(daemon.stop().success());
}

#[test]
fn ok_images_that_stand_out_and_near_copies_are_events_that_name_them() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..9);
    std::fs::copy(line.ok("disc").join("ok003.png"), line.ok("disc").join("saved-twice.png")).unwrap();
    write_image(&line.ok("disc").join("unusual.png"), Part::ng(0));
    let daemon = line.start();
    line.wait_for_bank("disc");
    let told = |kind: &str| line.sql(&format!("SELECT detail FROM events WHERE kind = '{kind}' AND product = 'disc'")).unwrap();
    assert_eq!(told("ok_images_stand_out"), "1 OK images are unlike the others: unusual.png");
    assert_eq!(told("ok_images_alike"), "1 groups of OK images are near-copies and count once each: ok003.png = saved-twice.png");
    assert!(daemon.stop().success());
}

#[test]
fn a_new_bank_of_enough_images_tells_which_planted_defects_it_finds_and_nothing_waits_for_that() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..20);
    let daemon = line.start();
    line.wait_for_bank("disc");
    // The self-test has begun, and will never end.
    daemon.stop_the_build();
    run_ok(&["rebuild", "disc", "--config", arg(&line.config())]);
    line.wait_sql_in_background("SELECT self_test IS NOT NULL FROM banks WHERE version = 2 AND state = 'active'", "1");
    assert_eq!(line.sql("SELECT self_test FROM banks WHERE version = 1").unwrap(), "", "it was ended for the request");
    let told = line.sql("SELECT detail FROM events WHERE kind = 'bank_self_tested' AND product = 'disc'").unwrap();
    let recorded = line.sql("SELECT self_test FROM bank_history WHERE version = 2").unwrap();
    let recorded: Vec<&str> = recorded.lines().collect();
    assert_eq!(told, format!("version 2: {}", recorded.join("; ")));
    for kind in ["scratch", "spot", "stain", "dent", "missing", "smear"] {
        assert!(
            recorded.iter().any(|sentence| sentence.contains(kind) && sentence.contains("at 30 % contrast is found in ")),
            "{recorded:?}"
        );
    }
    let status = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(recorded.iter().all(|sentence| status.contains(&format!("            {sentence}\n"))), "{status}");
    assert!(daemon.stop().success());
}

#[test]
fn a_self_test_that_the_stop_ended_is_made_up_for_at_the_next_start() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..20);
    let daemon = line.start();
    line.wait_for_bank("disc");
    daemon.stop_the_build();
    assert!(daemon.stop().success());
    assert_eq!(line.sql("SELECT self_test FROM banks").unwrap(), "");
    let daemon = line.start();
    line.wait_sql_in_background("SELECT self_test IS NOT NULL FROM banks WHERE version = 1 AND state = 'active'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn an_ok_folder_that_lost_most_of_its_files_does_not_become_a_bank() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..10);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    for number in 0..6 {
        std::fs::remove_file(line.ok("disc").join(format!("ok{number:03}.png"))).unwrap();
    }
    line.wait_sql("SELECT reason LIKE '%over half are gone%' FROM banks WHERE state = 'failed'", "1");
    std::fs::rename(line.ok("disc"), line.path("unmounted")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'ok_folder_lost'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert_eq!(line.sql("SELECT version FROM banks WHERE state = 'active'").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn an_ok_folder_that_is_being_filled_is_no_error_and_makes_a_bank_when_it_is_full_enough() {
    let line = Line::new(&[Product::new("disc")]);
    let daemon = line.start();
    let told = "SELECT level || ': ' || detail FROM events WHERE kind = 'ok_images_too_few' ORDER BY rowid DESC LIMIT 1";
    let few = |images| format!("info: {}: {images} OK images; the first bank is built when there are 3", line.ok("disc").display());
    line.wait_sql(told, &few(0));
    line.fill_ok("disc", 0..2);
    line.wait_sql(told, &few(2));
    line.wait_sql("SELECT step || ' ' || done || ' ' || total FROM bank_work", "waits_for_images 2 3");
    assert_eq!(line.status()["products"][0]["bank_work"]["done"], 2);
    let status = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(status.contains("none yet\n            2 of 3 OK images; the first bank is built when there are 3\n"), "{status}");
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "0");
    assert!(!line.log().contains("ERROR"), "{}", line.log());
    // A person who asks gets an answer.
    let refused = run_fails(1, &["rebuild", "disc", "--config", arg(&line.config())]);
    assert!(refused.contains("has 2 images, fewer than min_images: 3"), "{refused}");
    line.fill_ok("disc", 2..6);
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "6");
    line.wait_sql("SELECT count(*) FROM bank_work", "0");
    assert!(daemon.stop().success());
}

#[test]
fn a_build_says_how_far_it_is_and_who_is_next() {
    let line = Line::new(&[Product::new("disc"), Product::new("ring")]);
    for product in ["disc", "ring"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    let stopped = daemon.stop_the_build();
    line.wait_sql("SELECT group_concat(step) FROM (SELECT step FROM bank_work ORDER BY step)", "builds,waits_for_turn");
    let status = run_ok(&["status", "--config", arg(&line.config())]);
    assert!(status.contains("building, ") && status.contains(" %, since 2"), "{status}");
    assert!(status.contains("next to be built, after disc") || status.contains("next to be built, after ring"), "{status}");
    kill_process(stopped, Signal::CONT).unwrap();
    for product in ["disc", "ring"] {
        line.wait_for_bank(product);
    }
    line.wait_sql("SELECT count(*) FROM bank_work", "0");
    assert!(daemon.stop().success());
}

#[test]
fn junk_among_the_ok_images_is_left_out() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    std::fs::write(line.ok("disc").join("junk.png"), "no image").unwrap();
    let daemon = line.start();
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "6");
    assert!(daemon.stop().success());
}

#[test]
fn a_bank_made_by_hand_is_taken_over_and_kept_until_ok_changes() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let (ok, bank) = (line.ok("disc"), line.bank("disc"));
    run_ok(&[
        "build",
        "--ok-dir",
        arg(&ok),
        "--out-dir",
        arg(&bank),
        "--backbone",
        "efficientnet_lite0",
        "--shorter",
        "64",
        "--stride",
        "1",
        "--score",
        "guide",
    ]);
    // As the Python scripts write it: seven keys and the backbone.
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(bank.join("bank_config.json")).unwrap()).unwrap();
    let mut plain = serde_json::Map::new();
    for key in ["shorter", "stride", "layers", "coreset", "reservoir_max", "pixel_pct", "image_pct", "backbone"] {
        plain.insert(key.to_owned(), config[key].clone());
    }
    std::fs::write(bank.join("bank_config.json"), serde_json::to_vec(&plain).unwrap()).unwrap();

    let daemon = line.start();
    line.wait_sql("SELECT trigger FROM banks WHERE state = 'active' AND version = 1", "imported");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "1");
    line.fill_ok("disc", 6..8);
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "2");
    assert!(bank.join("memory_bank.pt").is_symlink(), "the plain names lead to the newest version");
    assert!(daemon.stop().success());
}

#[test]
fn a_build_that_is_killed_is_recorded_and_tried_again() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    for times in ["1", "2"] {
        wait_for("a build to kill", || if daemon.kill_build() { Ok(()) } else { Err(line.log()) });
        line.wait_sql("SELECT count(*) FROM banks WHERE state = 'failed' AND reason LIKE '%killed by signal 9%tried again%'", times);
    }
    line.wait_sql("SELECT version FROM banks WHERE state = 'active'", "1");
    assert!(daemon.stop().success());
    let versions: Vec<_> = std::fs::read_dir(line.bank("disc").join("versions")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(versions, ["000001"], "what the killed builds left is removed");
}

#[test]
fn a_build_that_cannot_be_started_is_tried_again() {
    let line = Line::new(&[Product::new("disc")]);
    let Some(disk) = Mount::tmpfs(&line.path("program"), "1g") else { return };
    let installed = line.path("program/patchcored");
    std::fs::copy(patchcored().get_program(), &installed).unwrap();
    let daemon = line.start_as(program(&installed));
    line.wait_for_log("ready");
    disk.remount("noexec");
    line.fill_ok("disc", 0..6);
    line.wait_sql("SELECT count(*) > 0 FROM banks WHERE reason LIKE '%could not be started: Permission denied%; it is tried again'", "1");
    disk.remount("exec");
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "6");
    assert!(daemon.stop().success());
}

#[test]
fn a_new_bank_is_in_use_although_old_versions_cannot_be_removed() {
    let line = Line::new(&[Product::new("disc")]);
    line.change_config("keep_versions: 3", "keep_versions: 1");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    // What is not empty stands in the way of its removal.
    std::fs::create_dir_all(line.bank("disc").join("versions/.removing-000001/x")).unwrap();
    line.fill_ok("disc", 6..8);
    let told = "SELECT detail LIKE '%/disc/bank: old versions stay: version 1: Directory not empty%; the new bank is in use' FROM events";
    line.wait_sql(&format!("{told} WHERE kind = 'versions_not_removed'"), "1");
    assert_eq!(line.sql("SELECT group_concat(version || ' ' || state) FROM banks").unwrap(), "1 superseded,2 active");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'build_failed'").unwrap(), "0");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT b.version FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE i.state = 'done'", "2");
    assert!(daemon.stop().success());
}

#[test]
fn an_upgrade_under_the_running_daemon_does_not_disturb_its_builds() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let installed = line.path("patchcored");
    std::fs::copy(patchcored().get_program(), &installed).unwrap();
    let daemon = line.start_as(program(&installed));
    line.wait_for_bank("disc");
    // Package managers put the new file in the place of the old one, which lives on without a name.
    let new = line.path("new");
    std::fs::write(&new, "not for the daemon that runs").unwrap();
    std::fs::rename(&new, &installed).unwrap();
    line.fill_ok("disc", 6..9);
    line.wait_sql("SELECT max(images) FROM banks", "9");
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE state = 'failed'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn old_versions_are_removed() {
    let line = Line::new(&[Product::new("disc")]);
    let daemon = line.start();
    for version in 1..=5 {
        line.fill_ok("disc", 0..5 + version);
        line.wait_sql("SELECT max(version) FROM banks WHERE state = 'active'", &version.to_string());
    }
    assert!(daemon.stop().success());
    let mut left: Vec<_> = std::fs::read_dir(line.bank("disc").join("versions")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["000003", "000004", "000005"]);
}
