//! One daemon per database.

use crate::helper::{Line, Part, Product, arg, run_fails, run_ok, write_image};

#[test]
fn a_second_daemon_is_refused_and_a_killed_one_is_followed_at_once() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let first = line.start();
    line.wait_for_bank("disc");
    let mut second = line.start();
    assert_eq!(second.wait().code(), Some(1));
    let told = format!("history.db: another patchcored (process {}) works with it", first.pid());
    assert!(line.log().contains(&told), "{}", line.log());
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    first.kill();
    let third = line.start();
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert!(third.stop().success());
}

#[test]
fn commands_refuse_another_name_of_a_database_in_use() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    // The same file under a second name, as a backup by hard links makes it. SQLite would keep a second log beside that name.
    let other = line.path("backup");
    std::fs::create_dir(&other).unwrap();
    std::fs::hard_link(line.path("history.db"), other.join("history.db")).unwrap();
    let config = std::fs::read_to_string(line.config()).unwrap();
    let elsewhere = line.path("elsewhere.yaml");
    std::fs::write(&elsewhere, config.replace("/history.db\n", "/backup/history.db\n")).unwrap();
    for command in [&["history"][..], &["status"], &["requeue", "--failed"], &["rebuild", "disc"], &["rollback", "disc"]] {
        let told = run_fails(1, &[command, &["--config", arg(&elsewhere)]].concat());
        assert!(told.contains("works with this very file under another name"), "{command:?}: {told}");
    }
    assert!(!other.join("history.db-wal").exists());
    assert!(daemon.stop().success());
    run_ok(&["history", "--config", arg(&elsewhere)]);
}
