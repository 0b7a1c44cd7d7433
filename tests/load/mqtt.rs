//! A broker that is away for a minute under load, and what a message costs the decision it follows from.

use super::{number, wait_while_it_goes_on};
use crate::helper::{Broker, Line, Part, Product, jpeg_bytes, sql_change, wait_for};
use jiff::Timestamp;
use patchcored::domain::{BankTrigger, DecidedBy, Decision, EngineSize, Publish};
use patchcored::history::{Arrival, ArrivalState, Finished, FollowUp, HistoryStore, NewBank, Recorded};
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 15;

#[test]
#[ignore = "make mqtt-outage"]
fn outage() {
    let products = ["disc", "ring"];
    let line = Line::new(&products.map(Product::new));
    let Some(mut broker) = Broker::new(&line.path("broker")) else { return };
    broker.start();
    let subscriber = broker.subscribe(&[]);
    line.configure_also(&broker.section("publish: all"));
    products.iter().for_each(|product| line.fill_ok(product, 0..6));
    let daemon = line.start();
    products.iter().for_each(|product| line.wait_for_bank(product));
    let order = "CREATE TABLE journal (n INTEGER PRIMARY KEY, id INTEGER);
        CREATE TRIGGER journal AFTER INSERT ON mqtt_outbox BEGIN INSERT INTO journal (id) VALUES (NEW.inspection_id); END;";
    sql_change(&line.path("history.db"), order);

    let pictures: Vec<_> = (0..8).map(|i| jpeg_bytes(Part::ok(i))).collect();
    let (before, away, after) = (10, 60 * number("MINUTES", 1) as u64, 20);
    let images = PER_SECOND * (before + away + after) as u32;
    let begin = Instant::now();
    let mut back = None;
    let mut most = 0;
    for i in 0..images {
        let due = Duration::from_secs(1) / PER_SECOND * i;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        if i == PER_SECOND * before as u32 {
            broker.stop();
        }
        if i == PER_SECOND * (before + away) as u32 {
            most = waiting(&line);
            broker.start();
            back = Some(Instant::now());
        }
        let product = products[i as usize % products.len()];
        std::fs::write(line.drop(product).join(format!("part{i:06}.jpg")), &pictures[i as usize % pictures.len()]).unwrap();
    }
    let pace = f64::from(images) / begin.elapsed().as_secs_f64();
    wait_for("the backlog to go", || if waiting(&line) < u64::from(PER_SECOND) { Ok(()) } else { Err(waiting(&line).to_string()) });
    let caught_up = back.unwrap().elapsed();
    wait_while_it_goes_on(&line, "SELECT count(*) FROM inspections WHERE state = 'done'", &images.to_string());
    line.wait_sql("SELECT count(*) FROM mqtt_outbox", "0");
    wait_for("every message", || match subscriber.inspections(None).len() as u32 {
        seen if seen == images => Ok(()),
        seen => Err(seen.to_string()),
    });
    let (heard, once) = (subscriber.heard().len(), subscriber.inspections(None).len());
    for product in products {
        let query = format!(
            "SELECT group_concat(id) FROM (SELECT j.id FROM journal j JOIN inspections i USING (id) WHERE product = '{product}' ORDER BY n)"
        );
        let decided: Vec<i64> = line.sql(&query).unwrap().split(',').map(|id| id.parse().unwrap()).collect();
        assert_eq!(subscriber.inspections(Some(product)), decided, "order of {product}");
    }
    let lag = line.sql("SELECT round(max(86400e3 * (julianday(decided_at) - julianday(seen_at)))) FROM inspections").unwrap();
    println!("{images} images of 2 products at {pace:.1} per second, broker killed for {away} s");
    println!("lost {}, heard {heard} messages, {} of them again, order of each product kept", images as usize - once, heard - once);
    println!(
        "{most} messages waited when it came back, gone {:.1} s later; longest from arrival to decision {lag} ms",
        caught_up.as_secs_f64()
    );
    for kind in ["mqtt_lost", "mqtt_back", "mqtt_dropped"] {
        println!("{kind}: {} events", line.sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).unwrap());
    }
    assert!(daemon.stop().success());
}

fn waiting(line: &Line) -> u64 {
    line.sql("SELECT count(*) FROM mqtt_outbox").unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "make mqtt-outage"]
async fn cost_of_what_follows() {
    let n = number("N", 2000);
    let folder = tempfile::tempdir().unwrap();
    let store = HistoryStore::open(&folder.path().join("history.db")).await.unwrap();
    let bank = store.banks().publish_bank(&bank()).await.unwrap();
    let now = Timestamp::now();
    // In turns, so that whatever else the machine does falls on all alike.
    let kinds = [
        ("a decision alone", FollowUp::default()),
        ("with a message", FollowUp { act_since: None, publish: Some(Publish::All) }),
        ("with an action and a message", FollowUp { act_since: Some(now), publish: Some(Publish::All) }),
    ];
    let mut spent = [Duration::ZERO; 3];
    for round in 0..10 {
        for (kind, (_, follow_up)) in kinds.iter().enumerate() {
            for i in 0..n / 10 {
                let recorded = store.arrivals().record_arrivals(&[arrival(&format!("/drop/{round}-{kind}-{i}.jpg"), now)]).await.unwrap();
                let [Recorded::New(id)] = recorded[..] else { panic!("it is new") };
                assert!(store.queue().start_attempt(id).await.unwrap());
                let finished = finished(id, bank, *follow_up);
                let begin = Instant::now();
                assert!(store.queue().finish(&finished).await.unwrap());
                spent[kind] += begin.elapsed();
            }
        }
    }
    for ((name, _), spent) in kinds.iter().zip(spent) {
        let seconds = spent.as_secs_f64();
        println!("{name}: {:.0} rows per second, {:.2} ms each", n as f64 / seconds, 1e3 * seconds / n as f64);
    }
    // And what the broker's acknowledgements cost, 32 at a time.
    let begin = Instant::now();
    let mut forgotten = 0;
    while let messages @ [_, ..] = &store.outbox().next_messages(0, 32).await.unwrap()[..] {
        store.outbox().forget_messages(&messages.iter().map(|message| message.id).collect::<Vec<_>>()).await.unwrap();
        forgotten += messages.len();
    }
    println!("reading and taking out {forgotten} messages: {:.0} per second", forgotten as f64 / begin.elapsed().as_secs_f64());
}

fn arrival(path: &str, now: Timestamp) -> Arrival {
    Arrival {
        path: path.into(),
        product: Some("disc".into()),
        size: 1,
        mtime_ns: 1,
        seen_at: now,
        give_up_at: now,
        state: ArrivalState::Pending,
        reason: None,
        file_id: None,
        said_whole: true,
        evidence: None,
    }
}

fn bank() -> NewBank {
    NewBank {
        product: "disc".into(),
        version: 1,
        trigger: BankTrigger::First,
        images: None,
        patches: None,
        rows: None,
        pixel_tau: 1.0,
        image_tau: 1.0,
        expected_false_alarms: None,
        false_alarms_bound: None,
        warning: None,
        comparison: None,
        seconds: None,
        path: "/bank".into(),
        sha256: "0".into(),
        config_sha256: "c".into(),
        tau_sha256: "t".into(),
        size: EngineSize::new(512, 1),
        ok_fingerprint: None,
        created_at: Timestamp::now(),
    }
}

fn finished(id: i64, bank_id: i64, follow_up: FollowUp) -> Finished {
    Finished {
        id,
        content_hash: "0".repeat(64),
        bank_id,
        image_score: 2.0,
        image_tau: 1.0,
        pixel_tau: 1.0,
        sensitivity: 1.0,
        mask_pixels: 10,
        mask_regions: 1,
        decision: Decision::Ng,
        decided_by: DecidedBy::Image,
        mask_path: Some("/drop/a.jpg.mask.png".into()),
        overlay_path: Some("/drop/a.jpg.overlay.png".into()),
        heat_path: None,
        side_by_side_path: None,
        scores_path: None,
        outputs_newest_ns: None,
        decode_ms: 1.0,
        engine_ms: 1.0,
        write_ms: 1.0,
        decided_at: Timestamp::now(),
        follow_up,
    }
}
