//! A share that hangs holds up its own images and nothing else.

use crate::helper::{Line, Mount, Part, Product, write_image};
use rustix::process::{Signal, kill_process};

fn drop_images(line: &Line, product: &str, range: std::ops::Range<u32>) {
    for number in range {
        write_image(&line.drop(product).join(format!("{number:03}.png")), Part::ok(number));
    }
}

/// A line with the products `near` and `far`, where six images on the share of `far` hang while they are read.
fn line_with_hung_images() -> Option<(Line, Mount)> {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    let share = Mount::share(&line.path("far-source"), &line.drop("far"))?;
    line.fill_ok("near", 0..6);
    // Without a bank they wait, recorded and unread, until the share is frozen: more of them than can be in hand.
    drop_images(&line, "far", 0..6);
    Some((line, share))
}

#[test]
fn a_hung_drop_folder_does_not_hold_up_other_products() {
    let Some((line, share)) = line_with_hung_images() else { return };
    let daemon = line.start();
    line.wait_for_bank("near");
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason = 'no_bank'", "6");
    share.freeze();
    line.fill_ok("far", 0..6);
    line.wait_sql("SELECT detail LIKE '%/drop/far: does not answer%' FROM events WHERE kind = 'folder_stuck'", "1");
    drop_images(&line, "near", 0..6);
    line.wait_sql("SELECT count(*) FROM inspections WHERE product = 'near' AND state = 'done'", "6");
    line.wait_sql(
        "SELECT count(*) > 0 FROM inspections WHERE state = 'pending' AND reason LIKE 'waits for %/drop/far, which does not answer'",
        "1",
    );
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE product = 'far' AND state = 'pending'").unwrap(), "6");
    share.thaw();
    line.wait_sql("SELECT count(*) FROM inspections WHERE product = 'far' AND state = 'done'", "6");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck_over'", "1");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck'").unwrap(), "1");
    assert!(daemon.stop().success());
}

#[test]
fn a_daemon_with_a_hung_drop_folder_stops_and_loses_nothing() {
    let Some((line, share)) = line_with_hung_images() else { return };
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE reason = 'no_bank'", "6");
    share.freeze();
    line.fill_ok("far", 0..6);
    line.wait_sql("SELECT count(*) > 0 FROM inspections WHERE started_at IS NOT NULL AND product = 'far'", "1");
    assert!(daemon.stop().success(), "{}", line.log());
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE state = 'pending'").unwrap(), "6");
    share.thaw();
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "6");
    assert!(daemon.stop().success());
}

#[test]
fn a_hung_bank_folder_does_not_hold_up_other_products() {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    // Only one bank is in memory, so that the other has to be read again.
    line.change_config("precision: float32", "precision: float32, bank_cache: 1");
    let Some(share) = Mount::share(&line.path("far-source"), &line.bank("far")) else { return };
    for product in ["near", "far"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    line.wait_for_bank("near");
    line.wait_for_bank("far");
    drop_images(&line, "near", 0..1);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "1");
    share.freeze();
    drop_images(&line, "far", 0..6);
    line.wait_sql("SELECT detail LIKE '%/far/bank: does not answer%' FROM events WHERE kind = 'folder_stuck'", "1");
    drop_images(&line, "near", 1..6);
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "6");
    share.thaw();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "12");
    assert!(daemon.stop().success());
}

#[test]
fn images_of_an_unmounted_share_wait_for_it() {
    let shared =
        |name, pattern: &str| Product { drop: format!("        match: '{pattern}'\n"), folder: Some("shared"), ..Product::new(name) };
    let line = Line::new(&[shared("near", "near_*"), shared("far", "far_*")]);
    let (source, at) = (line.path("source"), line.path("drop/shared"));
    let Some(share) = Mount::share(&source, &at) else { return };
    line.fill_ok("near", 0..6);
    let daemon = line.start();
    line.wait_for_bank("near");
    write_image(&at.join("far_1.png"), Part::ok(1));
    write_image(&at.join("near_1.png"), Part::ok(2));
    line.wait_sql("SELECT group_concat(state) FROM (SELECT state FROM inspections ORDER BY image_path)", "pending,done");
    drop(share);
    // Now it is due, and long past the time that a file is given to become complete.
    line.wait_sql("SELECT give_up_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM inspections WHERE state = 'pending'", "1");
    line.fill_ok("far", 0..6);
    line.wait_sql(
        "SELECT reason LIKE 'nothing is mounted on its drop folder %/drop/shared any more%' FROM inspections WHERE product = 'far'",
        "1",
    );
    let Some(_share) = Mount::share(&source, &at) else { return };
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "2");
    assert!(daemon.stop().success());
}

#[test]
fn hung_outputs_and_ok_folders_hold_up_only_their_product() {
    let out = tempfile::tempdir().unwrap();
    let (source, at) = (out.path().join("source"), out.path().join("at"));
    let Some(share) = Mount::share(&source, &at) else { return };
    let far = Product { extra: format!("    outputs: {{dir: {}}}\n", at.join("out").display()), ..Product::new("far") };
    let line = Line::new(&[Product::new("near"), far]);
    line.change_config(
        &format!("ok: {}/far/ok", line.path("").display().to_string().trim_end_matches('/')),
        &format!("ok: {}/ok", at.display()),
    );
    std::fs::create_dir(source.join("ok")).unwrap();
    line.fill_ok("near", 0..6);
    for number in 0..6 {
        write_image(&source.join(format!("ok/{number}.png")), Part::ok(number));
    }
    let daemon = line.start();
    line.wait_for_bank("near");
    line.wait_for_bank("far");
    share.freeze();
    drop_images(&line, "far", 0..6);
    // Its ok folder, on the same share, is told of too when its time to be looked at comes.
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck' AND detail LIKE '%/at/out%: does not answer%'", "1");
    drop_images(&line, "near", 0..3);
    line.wait_sql("SELECT count(*) FROM inspections WHERE product = 'near' AND state = 'done'", "3");
    line.fill_ok("near", 6..8);
    line.wait_sql("SELECT max(version) FROM banks WHERE product = 'near' AND state = 'active'", "2");
    assert_eq!(line.sql("SELECT count(*) FROM inspections WHERE product = 'far' AND state = 'pending'").unwrap(), "6");
    share.thaw();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "9");
    let folder = at.join("out").join(line.drop("far").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 12, "a mask and an overlay each, and nothing else");
    share.freeze();
    assert!(daemon.stop().success(), "{}", line.log());
}

#[test]
fn a_build_that_hangs_with_its_ok_folder_does_not_hold_up_others() {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    let Some(share) = Mount::share(&line.path("far-source"), &line.ok("far")) else { return };
    line.fill_ok("far", 0..6);
    let daemon = line.start();
    let build = daemon.stop_the_build();
    share.freeze();
    kill_process(build, Signal::CONT).unwrap();
    line.wait_sql("SELECT detail LIKE '%/far/ok: does not answer%' FROM events WHERE kind = 'folder_stuck'", "1");
    line.fill_ok("near", 0..6);
    line.wait_for_bank("near");
    assert_eq!(line.sql("SELECT count(*) FROM banks WHERE product = 'far'").unwrap(), "0");
    share.thaw();
    line.wait_for_bank("far");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'folder_stuck_over'", "1");
    assert!(daemon.stop().success());
}
