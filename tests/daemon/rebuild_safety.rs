//! Whatever happens to ok/ during a build, the bank in use is a whole one, says what it was built from, and judged what it says.

use crate::helper::{Line, Mount, Part, Product, arg, fill, jpeg_bytes, run_fails, run_ok, wait_for, write_image};
use rustix::process::{Signal, kill_process};
use std::io::Write;
use std::time::Duration;

/// Between two pieces of a slow copy: far shorter than the quiet period.
const STEP: Duration = Duration::from_millis(100);

#[test]
fn a_build_does_not_start_while_ok_images_are_being_written() {
    let line = Line::new(&[Product::new("disc")]);
    line.change_config("quiet_period: 300ms, max_wait: 5s", "quiet_period: 3s, max_wait: 60s");
    line.fill_ok("disc", 0..5);
    let daemon = line.start();
    let jpeg = jpeg_bytes(Part::ok(9));
    let mut file = std::fs::File::create(line.ok("disc").join("slow.jpg")).unwrap();
    // The copy takes longer than the quiet period, in steps far shorter than that.
    for part in jpeg.chunks(jpeg.len() / 40) {
        file.write_all(part).unwrap();
        std::thread::sleep(STEP);
    }
    drop(file);
    line.wait_for_bank("disc");
    assert_eq!(line.sql("SELECT count(*) || ' ' || images FROM banks").unwrap(), "1 6");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'ok_images_left_out'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn a_cut_ok_image_is_left_out_by_name_and_junk_alone_is_no_bank() {
    let line = Line::new(&[Product::new("disc"), Product::new("junk"), Product::new("few")]);
    for name in ["junk", "few"] {
        for number in 0..8 {
            std::fs::write(line.ok(name).join(format!("junk{number}.png")), "no image at all").unwrap();
        }
    }
    line.fill_ok("few", 0..2);
    line.fill_ok("disc", 0..6);
    let jpeg = jpeg_bytes(Part::ok(9));
    std::fs::write(line.ok("disc").join("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    let daemon = line.start();
    line.wait_sql("SELECT detail LIKE '1 images left out: cut.jpg: incomplete image%' FROM events WHERE kind = 'ok_images_left_out'", "1");
    line.wait_sql("SELECT images FROM banks WHERE product = 'disc' AND state = 'active'", "6");
    line.wait_sql("SELECT reason LIKE '%none of the 8 OK images can be used%' FROM banks WHERE product = 'junk'", "1");
    let few = "SELECT reason LIKE 'refused: the ok folder has 2 usable images, fewer than min_images: 3%8 images left out: junk0.png%'
               FROM banks WHERE product = 'few'";
    line.wait_sql(few, "1");
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE state = 'active'").unwrap(), "1");
    assert!(!line.bank("few").join("current").is_symlink());
    assert!(daemon.stop().success());
}

#[test]
fn a_folder_that_changes_during_the_build_is_built_again() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    let build = daemon.stop_the_build();
    // The build may have read none, some or all of them.
    for number in 0..3 {
        write_image(&line.ok("disc").join(format!("ok{number:03}.png")), Part::ok(50 + number));
    }
    line.fill_ok("disc", 6..9);
    kill_process(build, Signal::CONT).unwrap();
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "9");
    // And that one is known to be of these files: a restart does not build it once more.
    let banks = line.sql("SELECT count(*) FROM banks").unwrap();
    assert!(daemon.stop().success());
    let daemon = line.start();
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    line.fill_ok("disc", 9..10);
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "10");
    assert_eq!(line.sql("SELECT count(*) - 1 FROM banks").unwrap(), banks);
    assert!(daemon.stop().success());
}

#[test]
fn a_folder_that_vanishes_during_the_build_leaves_the_old_bank() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..8);
    let daemon = line.start();
    line.wait_for_bank("disc");
    line.fill_ok("disc", 8..9);
    let build = daemon.stop_the_build();
    let away = line.path("away");
    std::fs::rename(line.ok("disc"), &away).unwrap();
    kill_process(build, Signal::CONT).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'ok_folder_lost'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    std::fs::rename(&away, line.ok("disc")).unwrap();
    // Built from all of them, before or after they were away.
    line.fill_ok("disc", 9..10);
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "10");
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE state <> 'failed' AND images NOT IN (8, 9, 10)").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn two_products_share_an_ok_folder() {
    let line = Line::new(&[Product::new("disc"), Product::new("twin")]);
    line.change_config("/twin/ok", "/disc/ok");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT group_concat(product || images, ' ') FROM (SELECT * FROM banks ORDER BY product)", "disc6 twin6");
    line.fill_ok("disc", 6..8);
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active' AND version = 2 AND images = 8", "2");
    for product in ["disc", "twin"] {
        write_image(&line.drop(product).join("a.png"), Part::ok(1));
    }
    line.wait_sql(
        "SELECT count(*) FROM inspections i JOIN banks b ON b.id = i.bank_id AND b.product = i.product WHERE decision IS NOT NULL",
        "2",
    );
    assert!(daemon.stop().success());
}

#[test]
fn a_full_bank_disk_leaves_the_old_bank_in_use() {
    let line = Line::new(&[Product::new("disc")]);
    let Some(_disk) = Mount::tmpfs(&line.bank("disc"), "1m") else { return };
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let ballast = fill(&line.bank("disc"));
    line.fill_ok("disc", 6..8);
    line.wait_sql("SELECT reason LIKE '%No space left%' FROM banks WHERE state = 'failed'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT b.version FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE i.state = 'done'", "1");
    std::fs::remove_file(ballast).unwrap();
    line.fill_ok("disc", 8..9);
    line.wait_sql("SELECT images FROM banks WHERE state = 'active'", "9");
    assert!(daemon.stop().success());
}

#[test]
fn every_row_names_the_bank_that_judged_it() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    // Images are in hand at every moment while banks are published.
    let mut number = 0;
    for version in 2..=4 {
        line.fill_ok("disc", 0..version * 4);
        wait_for("the next bank", || {
            write_image(&line.drop("disc").join(format!("{number}.png")), Part::ok(number));
            number += 1;
            let active = line.sql("SELECT version FROM banks WHERE state = 'active'").unwrap();
            if active == version.to_string() { Ok(()) } else { Err(active) }
        });
    }
    // An emptied bank folder starts again at version 1, with another bank in the same place, if somebody says that it is no share that is
    // away.
    std::fs::remove_dir_all(line.bank("disc")).unwrap();
    line.fill_ok("disc", 16..30);
    let config = line.config();
    let told = run_fails(1, &["rebuild", "disc", "--config", arg(&config)]);
    assert!(told.starts_with("error[bank_folder]: disc: ") && told.contains("holds nothing, although version 4 is in use"), "{told}");
    run_ok(&["rebuild", "disc", "--anew", "--config", arg(&config)]);
    line.wait_sql("SELECT version || ' ' || images FROM banks WHERE state = 'active'", "1 30");
    write_image(&line.drop("disc").join("last.png"), Part::ok(3));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &(number + 1).to_string());
    let wrong = "SELECT count(*) FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id
                 WHERE i.image_tau <> b.image_tau OR i.pixel_tau <> b.pixel_tau";
    assert_eq!(line.sql(wrong).unwrap(), "0");
    assert_eq!(line.sql("SELECT count(DISTINCT image_tau) = count(*) FROM banks").unwrap(), "1", "the banks can be told by their tau");
    assert_eq!(line.sql("SELECT images FROM banks WHERE id = (SELECT bank_id FROM inspections ORDER BY id DESC LIMIT 1)").unwrap(), "30");
    assert!(daemon.stop().success());
}
