//! One daemon per database.

use crate::helper::{Line, Part, Product, write_image};

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
