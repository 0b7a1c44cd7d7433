//! What counts as an arrived image, when it is complete, and whose it is.

use crate::helper::{Line, Part, Product, jpeg_bytes, wait_for, write_image};
use std::io::Write;
use std::time::Duration;

/// The pace of a slow camera.
const LONGER_THAN_A_SCAN: Duration = Duration::from_millis(1100);

fn done(line: &Line) -> String {
    line.sql("SELECT count(*) FROM inspections WHERE state = 'done'").unwrap()
}

fn ready(product: &str, ready: &str) -> Product {
    let mut product = Product::new(if product == "disc" { "disc" } else { "other" });
    product.drop = format!("        ready: {ready}\n");
    product
}

#[test]
fn a_cut_image_and_a_text_file_fail_with_the_reason() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    let jpeg = jpeg_bytes(Part::ok(1));
    std::fs::write(line.drop("disc").join("cut.jpg"), &jpeg[..jpeg.len() * 2 / 3]).unwrap();
    std::fs::write(line.drop("disc").join("text.jpg"), "this is a shopping list, not an image").unwrap();
    std::fs::write(line.drop("disc").join("notes.txt"), "ignored").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "2");
    let reason = |name: &str| line.sql(&format!("SELECT reason FROM inspections WHERE image_path LIKE '%{name}'")).unwrap();
    assert!(reason("cut.jpg").starts_with("incomplete: "), "{}", reason("cut.jpg"));
    assert!(reason("cut.jpg").contains("given up after"), "{}", reason("cut.jpg"));
    assert!(reason("text.jpg").contains("JPEG, PNG, BMP or TIFF"), "{}", reason("text.jpg"));
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "2");
    assert!(!line.drop("disc").join("cut.jpg.mask.png").exists());
    assert!(daemon.stop().success());
}

#[test]
fn a_slowly_written_image_is_decided_once_and_whole() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    let jpeg = jpeg_bytes(Part::ok(1));
    let mut file = std::fs::File::create(line.drop("disc").join("slow.jpg")).unwrap();
    for part in jpeg.chunks(jpeg.len() / 6) {
        file.write_all(part).unwrap();
        file.sync_all().unwrap();
        std::thread::sleep(LONGER_THAN_A_SCAN);
        assert_eq!(done(&line), "0", "decided before it was whole");
    }
    drop(file);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "1");
    let hash = blake3::hash(&jpeg).to_hex().to_string();
    assert_eq!(line.sql("SELECT content_hash FROM inspections").unwrap(), hash);
    assert!(daemon.stop().success());
}

#[test]
fn the_same_path_written_again_is_a_new_row() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    for (part, rows) in [(Part::ok(1), "1"), (Part::ng(2), "2"), (Part::ok(3), "3")] {
        write_image(&line.drop("disc").join("part.png"), part);
        line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", rows);
    }
    assert_eq!(
        line.sql("SELECT group_concat(decision) FROM (SELECT decision FROM inspections ORDER BY id LIMIT 1 OFFSET 1)").unwrap(),
        "ng"
    );
    assert!(daemon.stop().success());
}

#[test]
fn each_readiness_waits_for_its_sign() {
    let line = Line::new(&[ready("disc", "{marker: .done}"), ready("other", "rename")]);
    for product in ["disc", "other"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "2");

    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    write_image(&line.drop("disc").join("b.png"), Part::ok(2));
    std::fs::write(line.drop("disc").join("b.png.done"), "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%b.png'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE image_path LIKE '%a.png'").unwrap(), "0", "its marker is missing");
    std::fs::write(line.drop("disc").join("a.png.done"), "").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%a.png'", "1");

    write_image(&line.drop("other").join("c.png.part"), Part::ok(3));
    std::fs::rename(line.drop("other").join("c.png.part"), line.drop("other").join("c.png")).unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done' AND image_path LIKE '%c.png'", "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_shared_folder_is_routed_by_glob_and_regex_and_the_rest_is_unrouted() {
    let mut disc = Product::new("disc");
    disc.folder = Some("shared");
    disc.drop = "        match: \"disc_*.png\"\n".to_owned();
    let mut other = Product::new("other");
    other.folder = Some("shared");
    other.drop = "        regex: '^other-[0-9]+\\.png$'\n".to_owned();
    let line = Line::new(&[disc, other]);
    for product in ["disc", "other"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    for name in ["disc_1.png", "other-1.png", "stray.png"] {
        write_image(&line.drop("shared").join(name), Part::ok(1));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state <> 'pending'", "3");
    let of = |name: &str| line.sql(&format!("SELECT ifnull(product, reason) FROM inspections WHERE image_path LIKE '%{name}'")).unwrap();
    assert_eq!([of("disc_1.png"), of("other-1.png"), of("stray.png")], ["disc", "other", "unrouted"]);
    assert!(daemon.stop().success());
}

#[test]
fn files_in_new_sub_folders_are_found() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    for number in 0..40 {
        let folder = line.drop("disc").join(format!("shift{number}/cam"));
        std::fs::create_dir_all(&folder).unwrap();
        write_image(&folder.join("a.png"), Part::ok(number));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "40");
    assert!(daemon.stop().success());
}

#[test]
fn a_folder_that_is_replaced_is_watched_again() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");
    std::fs::rename(line.drop("disc"), line.path("elsewhere")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_lost'", "1");
    std::fs::create_dir(line.drop("disc")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_back'", "1");
    write_image(&line.drop("disc").join("a.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    wait_for("no litter", || if line.drop("disc").join("a.png.mask.png").exists() { Ok(()) } else { Err(String::new()) });
    assert!(daemon.stop().success());
}
