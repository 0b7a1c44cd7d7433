//! `patchcored status`, beside a running daemon and without one.

use crate::helper::{Line, Part, Product, arg, run_fails, run_ok, write_image};
use serde_json::{Value, json};

/// A line with a bank for `disc` and none for `late`; `disc` writes its outputs elsewhere.
fn two_products() -> Line {
    let disc = Product { extra: "    outputs: {dir: OUT}\n".to_owned(), ..Product::new("disc") };
    let line = Line::new(&[disc, Product::new("late")]);
    std::fs::create_dir(line.path("out")).unwrap();
    line.change_config("OUT", arg(&line.path("out")));
    line.fill_ok("disc", 0..6);
    line
}

fn table(line: &Line) -> String {
    run_ok(&["status", "--config", arg(&line.config())])
}

/// Takes what differs from run to run out of a product's part, after a look at it.
fn settle(product: &mut Value) {
    for key in ["bank_age_seconds", "oldest_pending_seconds", "last_decision_seconds"] {
        let age = product[key].take();
        assert!(age.is_null() || age.as_i64().is_some_and(|age| (0..600).contains(&age)), "{key}: {age}");
    }
    if product["bank"].is_object() {
        for key in ["expected_false_alarms", "false_alarms_bound"] {
            let promised = product["bank"][key].take();
            assert!(promised.as_f64().is_some_and(|parts| (0.0..=1000.0).contains(&parts)), "{key}: {promised}");
        }
    }
    let mut places = vec![product["bank_folder"].take(), product["outputs_folder"].take()];
    places.extend(
        product["drop_folders"].as_array_mut().unwrap().iter_mut().map(|folder| json!({"free_bytes": folder["free_bytes"].take()})),
    );
    for place in places.iter().filter(|place| !place.is_null()) {
        assert!(place["free_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{place}");
    }
}

#[test]
fn products_are_told_of_while_the_daemon_runs_and_when_it_has_stopped() {
    let line = two_products();
    let told = run_fails(1, &["status", "--config", arg(&line.config())]);
    assert!(told.contains("history.db: does not exist; start the daemon"), "{told}");

    let daemon = line.start();
    line.wait_for_bank("disc");
    for number in 0..3 {
        write_image(&line.drop("disc").join(format!("good{number}.png")), Part::ok(number));
    }
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "3");
    write_image(&line.drop("disc").join("bad.png"), Part::ng(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE decision = 'ng'", "1");
    std::fs::write(line.drop("disc").join("list.jpg"), "this is a shopping list, not an image").unwrap();
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "1");
    for name in ["first.png", "second.png"] {
        write_image(&line.drop("late").join(name), Part::ok(1));
        line.wait_sql(&format!("SELECT count(*) FROM inspections WHERE reason = 'no_bank' AND image_path LIKE '%{name}'"), "1");
    }

    let mut status = line.status();
    assert_eq!(status["daemon"], json!({"running": true, "process": daemon.pid()}));
    assert_eq!(status["configuration"], json!({"path": arg(&line.config()), "in_use": true, "reason": null}));
    assert_eq!((&status["profile"], &status["not_in_configuration"]), (&Value::Null, &json!([])));
    assert_eq!(status["database"]["path"], arg(&line.path("history.db")));
    assert!(status["database"]["free_bytes"].as_u64().unwrap() > 0);
    let [disc, late] = [0, 1].map(|number| status["products"][number].take());
    let value = |query: &str| line.sql(query).unwrap();
    let mut seen = disc.clone();
    settle(&mut seen);
    let ng = "FROM inspections WHERE decision = 'ng'";
    let expected = json!({
        "product": "disc",
        "display_name": null,
        "on": true,
        "bank": {
            "version": 1,
            "created_at": value("SELECT created_at FROM banks WHERE state = 'active'"),
            "after_rollback": false,
            "expected_false_alarms": null,
            "false_alarms_bound": null,
            "compared_images": null,
            "compared_to_ng": null,
            "compared_to_ok": null,
            "self_test": null,
        },
        "bank_age_seconds": null,
        "bank_trouble": null,
        "bank_work": null,
        "waits_for_bank": false,
        "pending": 0,
        "oldest_pending": null,
        "oldest_pending_seconds": null,
        "waiting": [],
        "actions_waiting": 0,
        "last_decision": {
            "id": value(&format!("SELECT id {ng}")).parse::<i64>().unwrap(),
            "image_path": arg(&line.drop("disc").join("bad.png")),
            "decided_at": value(&format!("SELECT decided_at {ng}")),
            "decision": "ng",
            "image_score": disc["last_decision"]["image_score"],
            "image_tau": disc["last_decision"]["image_tau"],
        },
        "last_decision_seconds": null,
        "last_24h": {"images": 4, "ng": 1, "ng_rate": 0.25, "failed": 1},
        "images_per_minute": 0.4,
        "drop_folders": [{"path": arg(&line.drop("disc")), "free_bytes": null, "state": "watched", "since": null, "since_seconds": null, "reason": null}],
        "outputs_folder": null,
        "bank_folder": null,
    });
    assert_eq!(seen, expected);
    assert!(disc["last_decision"]["image_score"].as_f64() > disc["last_decision"]["image_tau"].as_f64());
    assert_eq!(disc["outputs_folder"]["path"], arg(&line.path("out")));
    assert_eq!(disc["bank_folder"]["path"], arg(&line.bank("disc")));

    settle(&mut late.clone());
    assert_eq!((&late["bank"], &late["waits_for_bank"], &late["pending"]), (&Value::Null, &json!(true), &json!(2)));
    let oldest = &late["oldest_pending"];
    assert_eq!((&oldest["image_path"], &oldest["reason"]), (&json!(arg(&line.drop("late").join("first.png"))), &json!("no_bank")));
    assert_eq!(late["last_24h"], json!({"images": 0, "ng": 0, "ng_rate": null, "failed": 0}));
    assert_eq!((&late["last_decision"], &late["outputs_folder"]), (&Value::Null, &Value::Null));
    let checked = run_ok(&["check", "--config", arg(&line.config())]);
    assert!(checked.contains("product `disc`: of 1000 good parts like these about ") && !checked.contains("`late`"), "{checked}");
    let text = table(&line);
    for part in [
        &format!("daemon      running (process {})\nconfig      {}\ndatabase  ", daemon.pid(), arg(&line.config())),
        "\ndisc\n  bank      version 1, built 20",
        "\n            of 1000 good parts like these about ",
        "\n  pending   0\n  last      ng score ",
        "\n  24 h      4 images, 1 ng (25.0 %), 1 failed\n  10 min    0.4 images per minute\n  drop      watched       ",
        "\n\nlate\n  bank      none yet\n            0 of 3 OK images; the first bank is built when there are 3\n  pending   2, the oldest for ",
        " s, no_bank: ",
        "\n  last      nothing decided yet\n  24 h      0 images, 0 ng, 0 failed\n",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }

    assert!(daemon.stop().success());
    let stopped = line.status();
    assert_eq!(stopped["daemon"], json!({"running": false, "process": null}));
    let mut without_watch = disc.clone();
    without_watch["drop_folders"][0]["state"] = Value::Null;
    let mut seen = stopped["products"][0].clone();
    for product in [&mut without_watch, &mut seen] {
        settle(product);
    }
    assert_eq!(seen, without_watch);
    assert_eq!(stopped["products"][1]["bank_work"], Value::Null, "nobody works now");
    let text = table(&line);
    assert!(text.contains("\n\nlate\n  bank      none: images wait for it\n"), "{text}");
    assert!(text.starts_with("daemon      not running\n") && text.contains("\n  drop      not watched   "), "{text}");

    let one = run_ok(&["status", "--config", arg(&line.config()), "--product", "late"]);
    assert!(one.contains("\n\nlate\n") && !one.contains("\n\ndisc\n"), "{one}");
    let told = run_fails(2, &["status", "--config", arg(&line.config()), "--product", "lathe"]);
    assert!(told.contains("has no product `lathe`"), "{told}");
}

#[test]
fn a_lost_drop_folder_is_told_of_until_it_is_back_or_the_daemon_starts_again() {
    let line = Line::new(&[Product::new("disc")]);
    std::fs::remove_dir(line.drop("disc")).unwrap();
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_lost'", "1");
    let folder = |line: &Line| line.status()["products"][0]["drop_folders"][0].clone();
    let lost = folder(&line);
    let at = line.sql("SELECT at FROM events WHERE kind = 'drop_folder_lost'").unwrap();
    assert_eq!((&lost["state"], &lost["since"], &lost["free_bytes"]), (&json!("lost"), &json!(at), &Value::Null));
    assert_eq!(lost["reason"], "No such file or directory (os error 2); it is looked at again every 2 s");
    let text = table(&line);
    assert!(
        text.contains(&format!("\n  drop      LOST          not reachable    {}\n            for ", arg(&line.drop("disc")))),
        "{text}"
    );
    std::fs::create_dir(line.drop("disc")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_back'", "1");
    assert_eq!(folder(&line)["state"], "watched");

    std::fs::remove_dir(line.drop("disc")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'drop_folder_lost'", "2");
    assert_eq!(folder(&line)["state"], "lost");
    assert!(daemon.stop().success());
    assert_eq!(folder(&line)["state"], Value::Null);
    std::fs::create_dir(line.drop("disc")).unwrap();
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'start'", "2");
    assert_eq!(folder(&line)["state"], "watched");
    assert!(daemon.stop().success());
}
