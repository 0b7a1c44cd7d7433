//! What a reload keeps, and what it does not begin.

use crate::helper::{Daemon, Line, Part, Product, write_image};
use rustix::process::Signal;

/// The thread that owns networks and banks.
fn engine_thread(daemon: &Daemon) -> String {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().map(|entry| entry.unwrap().path());
    let mut engines = threads.filter(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "engine"));
    engines.next().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_engine_lives_on_unless_its_settings_change() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let first = engine_thread(&daemon);
    let reload = |starts: &str, image: &str| {
        daemon.signal(Signal::HUP);
        line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", starts);
        write_image(&line.drop("disc").join(image), Part::ok(1));
        line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%/{image}'"), "1");
    };

    line.change_config("min_images: 3", "min_images: 4");
    reload("2", "a.png");
    assert_eq!(engine_thread(&daemon), first);
    line.change_config("device: cpu,", "device: cpu, bank_cache: 2,");
    reload("3", "b.png");
    assert_ne!(engine_thread(&daemon), first);
    assert!(daemon.stop().success());
}

#[test]
fn another_database_is_opened_before_the_old_one_is_left() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    std::fs::create_dir(line.path("new.db")).unwrap();
    line.change_config("/history.db\n", "/new.db\n");
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT detail LIKE '%/new.db%' FROM events WHERE kind = 'reload_refused'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");

    std::fs::remove_dir(line.path("new.db")).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'reload'", "1");
    // The old one stays as it is, and readable.
    std::fs::rename(line.path("history.db"), line.path("old.db")).unwrap();
    std::os::unix::fs::symlink("new.db", line.path("history.db")).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert!(daemon.stop().success());
}
