//! `mqtt`: decisions as messages, with a real broker that dies, refuses and comes back.

use crate::helper::{Broker, Line, Part, Product, Subscriber, arg, skip, sql_change, wait_for, write_image};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A line that publishes to the broker, with banks for its products.
fn line(products: &[&'static str]) -> Line {
    let line = Line::new(&products.iter().map(|name| Product::new(name)).collect::<Vec<_>>());
    for product in products {
        line.fill_ok(product, 0..6);
    }
    line
}

fn broker(line: &Line) -> Option<Broker> {
    Broker::new(&line.path("broker"))
}

fn drop_images(line: &Line, product: &str, range: std::ops::Range<u32>) {
    for number in range {
        let part = if number % 5 == 4 { Part::ng(number) } else { Part::ok(number) };
        write_image(&line.drop(product).join(format!("{product}{number:03}.png")), part);
    }
}

fn wait_decided(line: &Line, count: u32) {
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", &count.to_string());
}

fn wait_published(line: &Line) {
    line.wait_sql("SELECT count(*) FROM mqtt_outbox", "0");
}

/// The inspections in the order in which they were decided. One at a time is published, so this is the order of the outbox.
fn in_order(line: &Line, journal: &str, product: &str) -> Vec<i64> {
    let query = format!(
        "SELECT ifnull(group_concat(inspection_id), '') FROM (SELECT inspection_id FROM {journal} WHERE product = '{product}' ORDER BY n)"
    );
    line.sql(&query).unwrap().split(',').map(|id| id.parse().unwrap()).collect()
}

/// Has the database note the order in which messages come into the outbox, where they do not stay.
fn keep_journal(line: &Line) {
    sql_change(
        &line.path("history.db"),
        "CREATE TABLE journal (n INTEGER PRIMARY KEY, inspection_id INTEGER, product TEXT);
         CREATE TRIGGER journal AFTER INSERT ON mqtt_outbox BEGIN
           INSERT INTO journal SELECT NEW.id, id, product FROM inspections WHERE id = NEW.inspection_id;
         END;",
    );
}

fn wait_heard(subscriber: &Subscriber, count: usize) {
    wait_for(&format!("{count} inspections to be heard of"), || match subscriber.inspections(None).len() {
        seen if seen == count => Ok(()),
        seen => Err(seen.to_string()),
    });
}

#[test]
fn decisions_are_published_with_what_a_subscriber_needs() {
    let line = line(&["disc"]);
    let Some(mut broker) = broker(&line) else { return };
    broker.start();
    let subscriber = broker.subscribe(&[]);
    line.configure_also(&broker.section("topic: 'plant/{product}/{decision}/x', client_id: line-1"));
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("good.png"), Part::ok(1));
    wait_decided(&line, 1);
    write_image(&line.drop("disc").join("bad \"ä\".png"), Part::ng(1));
    wait_decided(&line, 2);
    wait_heard(&subscriber, 1);
    wait_published(&line);
    let (topic, payload) = &subscriber.heard()[0];
    assert_eq!(topic, "plant/disc/ng/x", "by default only defects");
    let keys: Vec<&str> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "inspection_id",
        "product",
        "image_path",
        "decision",
        "image_score",
        "image_tau",
        "image_margin",
        "pixel_tau",
        "pixel_margin",
        "mask_pixels",
        "mask_regions",
        "mask_path",
        "overlay_path",
        "bank_version",
        "seen_at",
        "decided_at",
    ];
    assert_eq!(keys, expected, "subscribers rely on these names");
    for (key, value) in payload.as_object().unwrap() {
        let column = if key == "inspection_id" { "id" } else { key };
        let from = if key.ends_with("margin") || key == "bank_version" { "defect_history" } else { "inspections" };
        let query = format!("SELECT json_array({column}) FROM {from} WHERE image_path LIKE '%bad%'");
        let row: serde_json::Value = serde_json::from_str(&line.sql(&query).unwrap()).unwrap();
        match (value.as_f64(), row[0].as_f64()) {
            (Some(told), Some(is)) => assert!((told - is).abs() <= 1e-12 * is.abs(), "{key}: {told}, {is}"),
            _ => assert_eq!(value, &row[0], "{key}"),
        }
    }
    assert!(daemon.stop().success());
    assert!(broker.log().contains("line-1"), "known by its name");
}

#[test]
fn a_broker_that_dies_under_load_loses_nothing_and_the_order_is_kept() {
    let products = ["disc", "ring"];
    let line = line(&products);
    let Some(mut broker) = broker(&line) else { return };
    broker.start();
    let subscriber = broker.subscribe(&[]);
    line.configure_also(&broker.section("publish: all"));
    let daemon = line.start();
    products.iter().for_each(|product| line.wait_for_bank(product));
    keep_journal(&line);
    for round in 0..3 {
        let (first, decided) = (15 * round, 30 * round);
        products.iter().for_each(|product| drop_images(&line, product, first..first + 10));
        line.wait_sql(&format!("SELECT count(*) > {} FROM inspections WHERE state = 'done'", decided + 5), "1");
        broker.stop();
        products.iter().for_each(|product| drop_images(&line, product, first + 10..first + 15));
        wait_decided(&line, decided + 30);
        let waiting: u32 = line.sql("SELECT count(*) FROM mqtt_outbox").unwrap().parse().unwrap();
        assert!(waiting >= 10, "{waiting} messages wait for the broker");
        assert_eq!(line.status()["messages_waiting"], waiting);
        broker.start();
    }
    wait_published(&line);
    wait_heard(&subscriber, 90);
    for product in products {
        assert_eq!(subscriber.inspections(Some(product)), in_order(&line, "journal", product), "{product}");
    }
    line.wait_sql(
        "SELECT (SELECT count(*) FROM events WHERE kind = 'mqtt_lost') = (SELECT count(*) FROM events WHERE kind = 'mqtt_back')",
        "1",
    );
    let events = line.sql("SELECT count(*) FROM events WHERE kind = 'mqtt_lost' AND level = 'warn'").unwrap();
    assert!((1..=3).contains(&events.parse::<u32>().unwrap()), "one for each loss that was not over at once: {events}");
    assert!(daemon.stop().success());
}

/// A broker that answers everything but messages, until it is told to acknowledge them.
fn dishonest_broker(honest: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), honest) = (stream, Arc::clone(&honest)) else { return };
            std::thread::spawn(move || -> std::io::Result<()> {
                loop {
                    let (mut kind, mut length, mut shift) = ([0], 0_usize, 0);
                    stream.read_exact(&mut kind)?;
                    loop {
                        let mut byte = [0];
                        stream.read_exact(&mut byte)?;
                        length |= usize::from(byte[0] & 127) << shift;
                        shift += 7;
                        if byte[0] & 128 == 0 {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body)?;
                    match kind[0] >> 4 {
                        1 => stream.write_all(&[0x20, 2, 0, 0])?,
                        12 => stream.write_all(&[0xd0, 0])?,
                        3 if honest.load(Ordering::SeqCst) => {
                            let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                            stream.write_all(&[0x40, 2, body[id], body[id + 1]])?;
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_broker_that_acknowledges_nothing_is_told_of_once_until_it_does() {
    let line = line(&["disc"]);
    let honest = Arc::new(AtomicBool::new(false));
    let port = dishonest_broker(Arc::clone(&honest));
    line.configure_also(&format!("mqtt: {{broker: 'mqtt://127.0.0.1:{port}', publish: all}}\n"));
    let daemon = line.start();
    line.wait_for_bank("disc");
    drop_images(&line, "disc", 0..3);
    wait_decided(&line, 3);
    let events = |kind: &str| line.sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).unwrap();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'mqtt_lost' AND detail LIKE '%has acknowledged none for 20 s%'", "1");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'waiting' AND detail LIKE '3 messages wait for the broker: mqtt: %'", "1");
    assert_eq!((events("mqtt_lost"), events("mqtt_back")), ("1".into(), "0".into()), "it connects again and again, which is no news");
    honest.store(true, Ordering::SeqCst);
    wait_published(&line);
    line.wait_sql("SELECT count(*) FROM events WHERE kind IN ('mqtt_back', 'waiting_over')", "2");
    assert_eq!((events("mqtt_lost"), events("waiting")), ("1".into(), "1".into()));
    assert!(daemon.stop().success());
}

#[test]
fn a_daemon_that_dies_with_unpublished_messages_publishes_them_when_it_lives_again() {
    let line = line(&["disc"]);
    let Some(mut broker) = broker(&line) else { return };
    broker.start();
    let subscriber = broker.subscribe(&[]);
    broker.stop();
    line.configure_also(&broker.section("publish: all"));
    let daemon = line.start();
    line.wait_for_bank("disc");
    keep_journal(&line);
    drop_images(&line, "disc", 0..10);
    wait_decided(&line, 10);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'mqtt_lost'", "1");
    daemon.kill();
    broker.start();
    // Killed again while it publishes and inspects.
    let daemon = line.start();
    drop_images(&line, "disc", 10..30);
    line.wait_sql("SELECT count(*) > 12 FROM inspections WHERE state = 'done'", "1");
    daemon.kill();
    let daemon = line.start();
    wait_decided(&line, 30);
    wait_published(&line);
    wait_heard(&subscriber, 30);
    assert_eq!(subscriber.inspections(Some("disc")), in_order(&line, "journal", "disc"));
    assert!(daemon.stop().success());
}

#[test]
fn a_wrong_password_is_named_and_never_told_and_the_right_one_is_taken_without_a_reload() {
    let line = line(&["disc"]);
    let Some(mut broker) = broker(&line) else { return };
    let users = broker.path("users");
    let made = Command::new("mosquitto_passwd").args(["-b", "-c", arg(&users), "line1", "right-word"]).stderr(Stdio::null()).status();
    assert!(made.unwrap().success());
    broker.configure(&format!("allow_anonymous false\npassword_file {}\n", arg(&users)));
    broker.start();
    let subscriber = broker.subscribe(&["-u", "line1", "-P", "right-word"]);
    let secret = line.path("secret");
    let write_secret = |text: &str, mode: u32| {
        std::fs::write(&secret, text).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write_secret("wrong-word\n", 0o644);
    line.configure_also(&broker.section(&format!("username: line1, password_file: {}", arg(&secret))));
    let daemon = line.start();
    line.wait_for_bank("disc");
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'mqtt_refused' AND level = 'error' AND detail LIKE '%chmod o=%'", "1");
    write_image(&line.drop("disc").join("bad.png"), Part::ng(1));
    wait_decided(&line, 1);
    assert!(daemon.stop().success(), "a stop is not held up by the broker");

    write_secret("wrong-word\n", 0o640);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'mqtt_refused' AND detail LIKE '%refuses the user name or the password%'", "1");
    daemon.signal(Signal::USR1);
    line.wait_for_log("is away, 1 messages wait");
    write_secret("right-word\n", 0o640);
    wait_published(&line);
    wait_heard(&subscriber, 1);
    line.wait_sql("SELECT count(*) FROM events WHERE kind = 'mqtt_back'", "1");
    assert_eq!(
        line.sql("SELECT count(*) FROM events WHERE kind = 'mqtt_refused'").unwrap(),
        "2",
        "told once each, however often it was tried"
    );
    assert!(daemon.stop().success());
    for word in ["wrong-word", "right-word"] {
        assert!(!line.log().contains(word), "{}", line.log());
        assert_eq!(line.sql(&format!("SELECT count(*) FROM events WHERE detail LIKE '%{word}%'")).unwrap(), "0");
    }
}

#[test]
fn an_encrypted_connection_is_made_only_with_a_broker_that_can_be_trusted() {
    let line = line(&["disc"]);
    let Some(mut broker) = broker(&line) else { return };
    let folder = line.path("broker");
    let path = |name: &str| arg(&folder.join(name)).to_owned();
    let openssl = |arguments: &str| {
        Command::new("openssl").args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let authority = |name: &str| {
        openssl(&format!("req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN={name} -keyout {}.key -out {}.pem", path(name), path(name)))
    };
    std::fs::write(path("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let made = authority("plant")
        && authority("stranger")
        && openssl(&format!("req -newkey rsa:2048 -nodes -subj /CN=broker -keyout {} -out {}", path("key.pem"), path("request")))
        && openssl(&format!(
            "x509 -req -in {} -CA {} -CAkey {} -CAcreateserial -days 3 -extfile {} -out {}",
            path("request"),
            path("plant.pem"),
            path("plant.key"),
            path("names"),
            path("cert.pem")
        ));
    if !made {
        return skip("openssl, to make certificates");
    }
    broker.configure(&format!("allow_anonymous true\ncertfile {}\nkeyfile {}\n", path("cert.pem"), path("key.pem")));
    broker.start();
    let section = |ca: &str| format!("mqtt: {{broker: 'mqtts://127.0.0.1:{}', ca: {}}}\n", broker.port(), path(ca));
    line.configure_also(&section("stranger.pem"));
    let daemon = line.start();
    line.wait_for_bank("disc");
    write_image(&line.drop("disc").join("bad.png"), Part::ng(1));
    wait_decided(&line, 1);
    line.wait_sql(
        "SELECT count(*) FROM events WHERE kind = 'mqtt_refused' AND level = 'error' AND detail LIKE '%no encrypted connection%stranger.pem%'",
        "1",
    );
    assert_eq!(line.sql("SELECT count(*) FROM mqtt_outbox").unwrap(), "1");
    line.change_config("stranger.pem", "plant.pem");
    daemon.signal(Signal::HUP);
    wait_published(&line);
    assert!(broker.log().contains("Received PUBLISH"), "{}", broker.log());
    assert!(daemon.stop().success());
}

#[test]
fn without_mqtt_no_message_waits_for_ever() {
    let line = line(&["disc"]);
    let configured = std::fs::read_to_string(line.config()).unwrap();
    line.configure_also("mqtt: {broker: 'mqtt://127.0.0.1:1', publish: all}\n");
    let daemon = line.start();
    line.wait_for_bank("disc");
    drop_images(&line, "disc", 0..3);
    wait_decided(&line, 3);
    assert_eq!(line.sql("SELECT count(*) FROM mqtt_outbox").unwrap(), "3");
    std::fs::write(line.config(), configured).unwrap();
    daemon.signal(Signal::HUP);
    line.wait_sql(
        "SELECT detail FROM events WHERE kind = 'mqtt_cleared'",
        "3 messages were not published, as mqtt was taken out of the configuration",
    );
    wait_published(&line);
    drop_images(&line, "disc", 3..4);
    wait_decided(&line, 4);
    assert_eq!(line.sql("SELECT count(*) FROM mqtt_outbox").unwrap(), "0");
    assert!(daemon.stop().success());
}

#[test]
fn an_outbox_that_has_grown_too_long_loses_its_oldest_messages_and_says_how_many() {
    let line = line(&["disc"]);
    line.configure_also("mqtt: {broker: 'mqtt://127.0.0.1:1', keep: 1000}\n");
    assert!(line.start_and_stop());
    sql_change(
        &line.path("history.db"),
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1234)
         INSERT INTO inspections (product, image_path, file_size, mtime_ns, state, seen_at, give_up_at, decided_at, decision)
         SELECT 'disc', '/gone/' || n, 1, 1, 'done', at, at, at, 'ng' FROM n, (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS at);
         INSERT INTO mqtt_outbox (inspection_id) SELECT id FROM inspections ORDER BY id;",
    );
    let daemon = line.start();
    let detail = "mqtt://127.0.0.1:1: 234 messages dropped, the oldest: mqtt.keep is 1000";
    line.wait_sql("SELECT detail FROM events WHERE kind = 'mqtt_dropped'", detail);
    assert_eq!(line.sql("SELECT count(*) || ' ' || min(inspection_id) FROM mqtt_outbox").unwrap(), "1000 235");
    assert!(daemon.stop().success());
}
