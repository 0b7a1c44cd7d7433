//! Whatever waits too long is told: in events, in the log, to monitoring and in the status.

use super::Pages;
use crate::helper::{Line, Part, Product, write_image};

fn state(line: &Line, name: &str) -> String {
    line.sql(&format!("SELECT state || ' ' || ifnull(reason_code, '') FROM inspections WHERE image_path LIKE '%/{name}'")).unwrap()
}

/// The kinds of obstacle are in the unit tests of the rule; here are two that meet one image, and one product.
#[test]
fn images_that_wait_for_a_place_or_a_bank_are_told_of_until_they_go_on() {
    let line = Line::new(&[Product::new("disc"), Product::new("ring")]);
    line.change_config("engine: {device: cpu,", "engine: {bank_cache: 1, device: cpu,");
    for product in ["disc", "ring"] {
        line.fill_ok(product, 0..6);
    }
    let pages = Pages::socket(&line);
    let daemon = line.start();
    line.wait_for_bank("disc");
    line.wait_for_bank("ring");
    let done = |count: &str| line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", count);
    for (number, product) in ["ring", "disc"].into_iter().enumerate() {
        write_image(&line.drop(product).join("first.png"), Part::ok(1));
        done(&(number + 1).to_string());
    }
    // A folder stands where the mask is to be written; and the bank that was left last is cut.
    let in_the_way = line.drop("disc").join("a.png.mask.png");
    std::fs::create_dir(&in_the_way).unwrap();
    let bank = line.bank("ring").join("current/memory_bank.pt");
    let whole = std::fs::read(&bank).unwrap();
    std::fs::write(&bank, &whole[..whole.len() / 2]).unwrap();
    for (product, name) in [("disc", "a.png"), ("ring", "b.png"), ("disc", "c.png")] {
        write_image(&line.drop(product).join(name), Part::ok(2));
    }
    line.wait_for_log("WARN");
    // The others of the product go on.
    done("3");
    assert_eq!(line.sql("SELECT count(*) FROM events WHERE kind = 'waiting'").unwrap(), "0", "not at once");

    let waiting = "SELECT count(*) FROM events WHERE kind = 'waiting' AND level = 'error'";
    line.wait_sql(waiting, "2");
    assert_eq!((state(&line, "a.png"), state(&line, "b.png")), ("pending not_writable".into(), "pending bank_unusable".into()));
    let detail = |product: &str| line.sql(&format!("SELECT detail FROM events WHERE kind = 'waiting' AND product = '{product}'")).unwrap();
    assert!(detail("disc").starts_with("1 images of disc wait: not_writable: ") && detail("disc").contains("a.png"), "{}", detail("disc"));
    assert!(detail("ring").starts_with("1 images of ring wait: bank_unusable: "), "{}", detail("ring"));
    let health = pages.ask("/healthz").unwrap();
    assert!(health.code == 503 && health.body.matches("\"waiting\"").count() == 2, "{}", health.body);
    let metrics = pages.metrics();
    for reason in ["not_writable", "bank_unusable"] {
        assert!(metrics.sum("patchcored_longest_wait_seconds", &[reason]) >= 60.0, "{reason}");
    }
    let status = line.status();
    let told = |product: usize| status["products"][product]["waiting"][0]["reason"].as_str().unwrap().to_owned();
    assert_eq!((told(0), told(1)), ("not_writable".into(), "bank_unusable".into()));

    std::fs::remove_dir(&in_the_way).unwrap();
    std::fs::write(&bank, whole).unwrap();
    done("5");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'waiting_over'", "2");
    assert_eq!(line.sql(waiting).unwrap(), "2", "once each");
    assert!(daemon.stop().success());
}

#[test]
fn a_path_that_is_too_long_for_its_outputs_fails_at_once() {
    let line = Line::new(&[Product::new("disc")]);
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_for_bank("disc");
    let image = line.path("image.png");
    write_image(&image, Part::ok(1));
    // No call takes such a path as a whole, so the folders are made from within each other.
    let script = "cd \"$1\" || exit 1; n=${#1}
        while [ $((n + 201)) -lt 4068 ]; do d=$(printf 'd%.0s' $(seq 200)); mkdir $d && cd $d; n=$((n + 201)); done
        d=$(printf 'e%.0s' $(seq $((4069 - n)))); mkdir $d && cd $d && cp \"$2\" ppppppppppppppp.png";
    let made = std::process::Command::new("bash").args(["-c", script, "bash"]).arg(line.drop("disc")).arg(&image).status().unwrap();
    assert!(made.success());
    line.wait_sql("SELECT state || ' ' || reason_code FROM inspections", "failed name_too_long");
    assert!(daemon.stop().success());
}
