//! Products take turns, whatever the backlog of one.

use crate::helper::{Line, Part, Product, write_image};

/// Without outputs an image takes the least time.
fn plain(name: &'static str) -> Product {
    Product { extra: "    outputs: {mask: false, overlay: false}\n".to_owned(), ..Product::new(name) }
}

fn wait_behind(line: &Line, product: &str, count: u32) {
    let first = line.path(&format!("{product}.png"));
    write_image(&first, Part::ok(1));
    for number in 0..count {
        std::fs::copy(&first, line.drop(product).join(format!("{number:05}.png"))).unwrap();
    }
}

#[test]
fn an_image_does_not_wait_for_the_backlog_of_another_product() {
    let line = Line::new(&[plain("busy"), plain("other")]);
    for product in ["busy", "other"] {
        line.fill_ok(product, 0..6);
    }
    wait_behind(&line, "busy", 3000);
    let daemon = line.start();
    line.wait_for_bank("other");
    line.wait_sql("SELECT count(*) >= 10 FROM inspections WHERE product = 'busy' AND state = 'done'", "1");
    write_image(&line.drop("other").join("late.png"), Part::ok(2));
    line.wait_sql("SELECT count(*) FROM inspections WHERE product = 'other' AND state = 'done'", "1");
    let behind = "SELECT count(*) FROM inspections WHERE product = 'busy'
                  AND (state = 'pending' OR decided_at > (SELECT decided_at FROM inspections WHERE product = 'other'))";
    let behind: u32 = line.sql(behind).unwrap().parse().unwrap();
    assert!(behind > 1000, "only {behind} of 3000 older images came after the late one");
    assert!(daemon.stop().success());
}

#[test]
fn more_products_than_banks_in_memory_all_get_their_turn() {
    let names = ["a", "b", "c"];
    let line = Line::new(&names.map(plain));
    line.change_config("precision: float32", "precision: float32, bank_cache: 1");
    for product in names {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    names.iter().for_each(|product| line.wait_for_bank(product));
    assert!(daemon.stop().success());
    names.iter().for_each(|product| wait_behind(&line, product, 200));
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "600");
    let late = "SELECT max(first) < min(last) FROM
                (SELECT min(decided_at) AS first, max(decided_at) AS last FROM inspections GROUP BY product)";
    assert_eq!(line.sql(late).unwrap(), "1", "nobody's first image came after all of somebody else's");
    assert!(daemon.stop().success());
}
