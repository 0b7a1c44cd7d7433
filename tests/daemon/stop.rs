//! Stopping and dying: nothing lost, nothing done twice.

use crate::helper::{Line, Part, Product, jpeg_bytes, write_image};
use rustix::process::Signal;
use std::time::Duration;

const IMAGES: u32 = 60;

fn check_ledger(line: &Line) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &IMAGES.to_string());
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), IMAGES.to_string());
    assert_eq!(line.sql("SELECT count(DISTINCT image_path) FROM inspections").unwrap(), IMAGES.to_string());
    for number in 0..IMAGES {
        for suffix in ["mask", "overlay"] {
            image::open(line.drop("disc").join(format!("{number:03}.png.{suffix}.png"))).unwrap();
        }
    }
    let litter = std::fs::read_dir(line.drop("disc")).unwrap().count();
    assert_eq!(litter, 3 * IMAGES as usize, "images, masks and overlays, and nothing else");
}

fn drop_images(line: &Line, range: std::ops::Range<u32>) {
    for number in range {
        write_image(&line.drop("disc").join(format!("{number:03}.png")), Part::ok(number));
    }
}

#[test]
fn sigterm_and_sigkill_in_the_middle_of_work_lose_nothing() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    drop_images(&line, 0..20);
    line.wait_sql("SELECT count(*) > 2 FROM inspections WHERE state = 'done'", "1");
    assert!(daemon.stop().success());
    // Images that arrive while nobody looks.
    drop_images(&line, 20..40);
    // A rebuild is under way when the second one is killed.
    line.fill_ok("disc", 6..9);
    let daemon = line.start();
    drop_images(&line, 40..IMAGES);
    line.wait_sql("SELECT count(*) > 25 FROM inspections WHERE state = 'done'", "1");
    daemon.kill();
    // The kill may leave a temporary file of the output in hand; the next start removes it.
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active' AND version = 2", "1");
    check_ledger(&line);
    assert!(daemon.stop().success());
    assert!(!line.path("history.db-wal").exists(), "the write-ahead log is folded in at a clean stop");
}

#[test]
fn a_second_start_on_the_same_folders_does_nothing_twice() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert!(daemon.stop().success());
    let decided = line.sql("SELECT decided_at FROM inspections").unwrap();
    let daemon = line.start();
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert!(daemon.stop().success());
    assert_eq!(line.sql("SELECT decided_at FROM inspections WHERE image_path LIKE '%a.png'").unwrap(), decided);
    assert_eq!(line.sql("SELECT count(*) FROM banks").unwrap(), "1", "an unchanged ok folder is not built again");
}

#[test]
fn what_a_killed_daemon_was_writing_is_removed() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    // An image that is tried again and again is in hand when the daemon is killed.
    let jpeg = jpeg_bytes(Part::ok(1));
    std::fs::write(line.drop("disc").join("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    line.wait_sql("SELECT attempts > 0 FROM inspections", "1");
    daemon.kill();
    let litter = [line.drop("disc").join(".patchcored-0123-mask"), line.bank("disc").join(".patchcored-0123-link")];
    for path in &litter {
        std::fs::write(path, "half").unwrap();
    }
    let daemon = line.start();
    line.wait_sql("SELECT state FROM inspections", "failed");
    for path in &litter {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(daemon.stop().success());
}

#[test]
fn a_second_sigterm_ends_the_daemon_at_once_and_as_asked_whatever_it_is_at() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    for round in 0..12_u32 {
        let done = line.sql("SELECT count(*) FROM inspections WHERE state = 'done'").unwrap_or_else(|_| "0".to_owned());
        drop_images(&line, 8 * round..8 * round + 8);
        let daemon = line.start();
        if round % 3 == 0 {
            // The first bank, later a rebuild.
            line.fill_ok("disc", 6 + round..7 + round);
        }
        line.wait_sql(&format!("SELECT count(*) > {done} FROM inspections WHERE state = 'done'"), "1");
        daemon.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(u64::from(round * 7 % 30)));
        let status = daemon.stop();
        assert!(status.success(), "round {round}: {status}\n{}", line.log());
    }
}
