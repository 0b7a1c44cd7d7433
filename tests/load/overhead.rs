//! From a camera's close of a file to its row, and to its decision, at a steady pace.

use super::{memory_kb, millis, number, reconfigure, rows, spread, wait_while_it_goes_on};
use crate::helper::{Line, Part, Product, jpeg_bytes};
use jiff::Timestamp;
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 20;

#[test]
#[ignore = "make overhead"]
fn overhead() {
    let line = Line::new(&[Product::new("disc")]);
    reconfigure(&line, "rescan: 1s", "rescan: 30s");
    line.fill_ok("disc", 0..6);
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "1");

    let pictures: Vec<_> = (0..8).map(|i| jpeg_bytes(Part::ok(i))).collect();
    let n = PER_SECOND * 60 * number("MINUTES", 10) as u32;
    let begin = Instant::now();
    let mut closed = Vec::new();
    for i in 0..n {
        std::thread::sleep((Duration::from_secs(1) / PER_SECOND * i).saturating_sub(begin.elapsed()));
        let path = line.drop("disc").join(format!("part{i:06}.jpg"));
        std::fs::write(&path, &pictures[i as usize % pictures.len()]).unwrap();
        closed.push((path, Timestamp::now()));
    }
    let (pace, memory) = (f64::from(n) / begin.elapsed().as_secs_f64(), memory_kb(daemon.pid(), "VmHWM"));
    wait_while_it_goes_on(&line, "SELECT count(*) FROM inspections WHERE state = 'done'", &n.to_string());
    assert!(daemon.stop().success());

    let rows = rows(&line);
    let mut to_row = Vec::new();
    let mut to_decision = Vec::new();
    for (path, at) in &closed {
        let [row] = rows[path.to_str().unwrap()].as_slice() else { panic!("{} has more rows than one", path.display()) };
        to_row.push(millis(*at, row.seen_at));
        to_decision.push(millis(*at, row.decided_at.unwrap()));
    }
    println!("{n} images at {pace:.1} per second, peak memory {} MiB", memory / 1024);
    println!("close to row: {}", spread(to_row.clone()));
    println!("close to decision: {}", spread(to_decision));
    // When the latest ones came tells what held them up, e.g. a scan.
    let mut latest: Vec<_> = to_row.iter().enumerate().map(|(i, ms)| (*ms, i)).collect();
    latest.sort_by(|a, b| b.0.total_cmp(&a.0));
    let latest: Vec<_> =
        latest.iter().take(20).map(|(ms, i)| format!("{ms:.0} ms at {:.1} s", *i as f64 / f64::from(PER_SECOND))).collect();
    println!("the latest rows: {}", latest.join(", "));
}
