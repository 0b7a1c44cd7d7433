//! `patchcored explain ID`: why an image was decided as it was, from the history of a real line.

use crate::helper::{Line, Part, Product, arg, run_fails, run_ok, write_image};

fn explain(line: &Line, name: &str) -> String {
    let id = line.sql(&format!("SELECT id FROM inspections WHERE image_path LIKE '%{name}'")).unwrap();
    run_ok(&["explain", &id, "--config", arg(&line.config())])
}

#[test]
fn each_decision_says_what_decided_and_what_to_do() {
    let line = Line::new(&[Product::new("disc"), Product { extra: "    decide_by: mask\n".into(), ..Product::new("ring") }]);
    for product in ["disc", "ring"] {
        line.fill_ok(product, 0..6);
    }
    let daemon = line.start();
    for product in ["disc", "ring"] {
        line.wait_for_bank(product);
        write_image(&line.drop(product).join("good.png"), Part::ok(1));
        write_image(&line.drop(product).join("bad.png"), Part::ng(1));
    }
    std::fs::write(line.drop("disc").join("list.jpg"), "this is a shopping list, not an image").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state <> 'pending'", "5");

    let bad = explain(&line, "disc/bad.png");
    assert!(bad.contains("decided by  image: the score is above tau"), "{bad}");
    assert!(bad.contains(&format!("copy the image into {}", line.ok("disc").display())), "{bad}");
    assert!(bad.contains("version 1 of ") && bad.contains("6 OK images; in use"), "{bad}");
    let good = explain(&line, "disc/good.png");
    assert!(good.contains("decided by  image: the score is not above tau") && good.contains(" ng ("), "its neighbour is told: {good}");
    let by_mask = explain(&line, "ring/bad.png");
    assert!(by_mask.contains("decided by  mask: pixels are left in the mask"), "{by_mask}");
    let failed = explain(&line, "list.jpg");
    assert!(failed.contains("JPEG, PNG, BMP or TIFF") && failed.contains("What to do:"), "{failed}");
    let decided = line.list("SELECT decision || ' ' || decided_by FROM inspections WHERE state = 'done' ORDER BY product, decision");
    assert_eq!(decided, ["ng image", "ok image", "ng mask", "ok mask"]);
    assert_eq!(line.list("SELECT decided_by FROM defect_history ORDER BY product"), ["image", "mask"]);

    let decided = line.sql("SELECT id FROM inspections WHERE image_path LIKE '%disc/bad.png'").unwrap();
    let again = run_ok(&["requeue", &decided, "4711", "--config", arg(&line.config())]);
    let expected = format!(
        "0 images are tried again\n{decided} stays ng: only failed images are tried again, and a decision never changes; to inspect it anew, copy its \
         file\nthere is no inspection 4711\n"
    );
    assert_eq!(again, expected);
    let wrong = run_fails(2, &["history", "--product", "Disc", "--config", arg(&line.config())]);
    assert!(wrong.contains("has no product `Disc`; did you mean `disc`? There are: disc, ring"), "{wrong}");

    let unknown = run_fails(2, &["explain", "4711", "--database", arg(&line.path("history.db"))]);
    assert!(unknown.contains("error[unknown_inspection]: there is no inspection 4711"), "{unknown}");
    assert!(daemon.stop().success());
}
