//! OK images become a bank, a dropped image becomes mask, overlay and row, a changed ok folder becomes a new bank.

use crate::helper::{Line, Part, Product, has_int8, write_image};

#[test]
fn the_main_job() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..8);
    let daemon = line.start();
    line.wait_sql("SELECT version FROM banks WHERE product = 'disc' AND state = 'active'", "1");

    // What tau promises stands beside it: eight images are too few for the percentile.
    assert_eq!(
        line.sql("SELECT expected_false_alarms < false_alarms_bound AND warning LIKE '%is a fit to the scores of 8 groups%' FROM banks")
            .unwrap(),
        "1"
    );

    write_image(&line.drop("disc").join("good.png"), Part::ok(100));
    write_image(&line.drop("disc").join("bad.jpg"), Part::ng(101));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert_eq!(line.sql("SELECT decision FROM inspections WHERE image_path LIKE '%bad.jpg'").unwrap(), "ng");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE bank_id = (SELECT id FROM banks WHERE version = 1)").unwrap(), "2");

    let mask = image::open(line.drop("disc").join("bad.jpg.mask.png")).unwrap().into_luma8();
    assert_eq!(mask.dimensions(), (96, 96));
    let area = mask.pixels().filter(|p| p.0[0] == 255).count();
    assert_eq!(line.sql("SELECT mask_pixels FROM inspections WHERE image_path LIKE '%bad.jpg'").unwrap(), area.to_string());
    assert!(area > 0 && mask.pixels().all(|p| matches!(p.0[0], 0 | 255)));
    let overlay = image::open(line.drop("disc").join("bad.jpg.overlay.png")).unwrap().into_rgb8();
    assert_eq!(overlay.dimensions(), (96, 96));
    assert!(line.drop("disc").join("good.png.mask.png").exists());

    // A changed ok folder becomes a new version; the old rows keep naming the bank that judged them.
    line.fill_ok("disc", 8..10);
    line.wait_sql("SELECT version FROM banks WHERE product = 'disc' AND state = 'active'", "2");
    assert_eq!(line.sql("SELECT images FROM banks WHERE version = 2").unwrap(), "10");
    write_image(&line.drop("disc").join("again.png"), Part::ok(102));
    line.wait_sql("SELECT b.version FROM inspections i JOIN banks b ON b.id = i.bank_id WHERE image_path LIKE '%again.png'", "2");
    assert_eq!(line.sql("SELECT count(*) FROM inspections").unwrap(), "3", "outputs are never taken for images");
    assert!(daemon.stop().success());
}

#[test]
fn two_products_in_int8_share_room_for_one_bank() {
    let line = Line::new(&[Product::new("disc"), Product::new("ring")]);
    line.change_config("precision: float32", "precision: int8, bank_cache: 1");
    line.fill_ok("disc", 0..8);
    line.fill_ok("ring", 20..28);
    let daemon = line.start();
    if !has_int8() {
        line.wait_sql("SELECT count(DISTINCT product) FROM banks WHERE state = 'failed' AND reason LIKE '%no exact 8-bit products%'", "2");
        assert!(daemon.stop().success());
        return;
    }
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "2");
    assert!(line.log().contains("the bank is in int8"), "{}", line.log());
    // Each image needs the other bank than the one before, and its own network in int8.
    for number in 0..3 {
        for product in ["disc", "ring"] {
            write_image(&line.drop(product).join(format!("good{number}.png")), Part::ok(100 + number));
            write_image(&line.drop(product).join(format!("bad{number}.png")), Part::ng(110 + number));
        }
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "12");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE decision = 'ng' AND image_path LIKE '%bad%'").unwrap(), "6");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE level = 'error'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn images_wait_for_their_bank() {
    let line = Line::new(&[Product::new("disc")]);
    for number in 0..3 {
        write_image(&line.drop("disc").join(format!("early{number}.png")), Part::ok(200 + number));
    }
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'pending' AND reason = 'no_bank'", "3");
    line.fill_ok("disc", 0..6);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "3");
    assert!(daemon.stop().success());
}

#[test]
fn every_wanted_output_is_written_where_asked() {
    let mut product = Product::new("disc");
    let dir = tempfile::tempdir().unwrap();
    let reference = dir.path().join("golden.png");
    write_image(&reference, Part::ok(1));
    product.extra = format!(
        "    reference: {}\n    outputs: {{mask: true, overlay: true, heat: true, side_by_side: true, scores: true, dir: {}}}\n",
        reference.display(),
        dir.path().join("out").display()
    );
    let line = Line::new(&[product]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    let image = line.drop("disc").join("a.png");
    write_image(&image, Part::ng(7));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    let base = dir.path().join("out").join(image.strip_prefix("/").unwrap());
    for suffix in ["mask.png", "overlay.png", "heat.png", "side_by_side.png", "scores.json"] {
        let path = base.with_file_name(format!("a.png.{suffix}"));
        assert!(path.exists(), "{}", path.display());
    }
    let side = image::open(base.with_file_name("a.png.side_by_side.png")).unwrap();
    assert_eq!((side.width(), side.height()), (192, 192));
    let scores: serde_json::Value = serde_json::from_slice(&std::fs::read(base.with_file_name("a.png.scores.json")).unwrap()).unwrap();
    assert!(scores["image_score"].as_f64().unwrap() > scores["image_tau"].as_f64().unwrap());
    assert_eq!(std::fs::read_dir(line.drop("disc")).unwrap().count(), 1, "nothing is written beside the image");
    assert!(daemon.stop().success());
}
