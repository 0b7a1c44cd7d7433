//! A share that hangs: its thread waits in a system call, and nobody else does.

use super::{detail, drop_image, wait_for_banks, wait_for_done, wait_for_events, wait_for_status};
use crate::helper::{Line, Mount, Part, Product, write_image};

/// A line whose drop folder `far` is a share.
fn line_with_share() -> Option<(Line, Mount)> {
    let line = Line::new(&[Product::new("near"), Product::new("far")]);
    let mounted = Mount::share(&line.path("source"), &line.drop("far"))?;
    for product in ["near", "far"] {
        line.fill_ok(product, 0..6);
    }
    Some((line, mounted))
}

#[test]
fn a_hung_share_is_reported_and_the_others_go_on() {
    let Some((line, share)) = line_with_share() else { return };
    let daemon = line.start();
    wait_for_banks(&line, 2);
    drop_image(&line, "far", "a.png");
    wait_for_done(&line, 1);
    share.freeze();
    wait_for_events(&line, "drop_folder_stuck", 1);
    assert!(detail(&line, "drop_folder_stuck").contains("/drop/far: does not answer"));
    wait_for_status(&line, &daemon, "/drop/far does not answer");
    let far = &line.status()["products"][1]["drop_folders"][0];
    assert_eq!((&far["state"], &far["free_bytes"]), (&"stuck".into(), &serde_json::Value::Null), "and the status does not hang with it");
    for number in 0..3 {
        drop_image(&line, "near", &format!("{number}.png"));
    }
    wait_for_done(&line, 4);
    // Written on the far side while nobody can see it.
    write_image(&line.path("source").join("b.png"), Part::ok(2));
    share.thaw();
    wait_for_events(&line, "drop_folder_stuck_over", 1);
    assert_eq!(line.status()["products"][1]["drop_folders"][0]["state"], "watched");
    wait_for_done(&line, 5);
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind LIKE 'drop_folder_%' AND detail LIKE '%near%'").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn a_share_that_hangs_at_the_start_holds_up_neither_the_start_nor_the_stop() {
    let Some((line, share)) = line_with_share() else { return };
    share.freeze();
    let daemon = line.start();
    wait_for_banks(&line, 2);
    drop_image(&line, "near", "a.png");
    wait_for_done(&line, 1);
    wait_for_events(&line, "drop_folder_stuck", 1);
    assert!(daemon.stop().success());
    share.thaw();
    drop_image(&line, "far", "b.png");
    let daemon = line.start();
    wait_for_done(&line, 2);
    assert!(daemon.stop().success());
}
