//! Cameras write all the time while products come, go and change, and files that cannot be used are sent in between.

use super::{count, millis, number, rows, spread, wait_while_it_goes_on};
use crate::helper::{Line, Part, Product, jpeg_bytes, wait_for};
use jiff::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Each with a camera. The last two share a folder, and the names tell them apart.
const PRODUCTS: [&str; 5] = ["steady", "changing", "coming", "left", "right"];
/// Between two images of one camera.
const PACE: Duration = Duration::from_millis(120);

/// What the configuration says at the moment.
#[derive(Clone)]
struct State {
    without_coming: bool,
    heat: bool,
    min_area: u32,
    seed: u32,
    rescan: u32,
}

impl State {
    fn random(&self, rng: &mut ChaCha8Rng) -> Self {
        let mut next = self.clone();
        match rng.random_range(0..10) {
            0..3 => next.without_coming = !next.without_coming,
            3..5 => next.heat = !next.heat,
            5..7 => next.min_area += 1,
            7 => next.rescan = 1 + next.rescan % 3,
            // A new bank.
            8 => next.seed += 1,
            // The same file once more.
            _ => {}
        }
        next
    }

    fn write(&self, line: &Line) {
        let mut products: Vec<Product> = PRODUCTS.map(Product::new).into();
        products[1].extra = format!("    outputs: {{heat: {}}}\n    mask: {{min_area: {}}}\n", self.heat, self.min_area);
        for (product, letter) in [(3, 'l'), (4, 'r')] {
            products[product].folder = Some("shared");
            products[product].drop = format!("        match: '{letter}_*'\n");
        }
        products.retain(|product| !(self.without_coming && product.name == "coming"));
        line.configure(&products);
        line.change_config("rescan: 1s", &format!("rescan: {}s", self.rescan));
        let text = std::fs::read_to_string(line.config()).unwrap();
        let (before, after) = text.split_once("name: changing").unwrap();
        let after = after.replacen("shorter: 64,", &format!("shorter: 64, seed: {},", self.seed), 1);
        std::fs::write(line.config(), format!("{before}name: changing{after}")).unwrap();
    }
}

/// Something that cannot be used: a slip, a wrong value, half a file, rules that would take each other's files, no database.
fn spoil(line: &Line, rng: &mut ChaCha8Rng) {
    let text = std::fs::read_to_string(line.config()).unwrap();
    let spoiled = match rng.random_range(0..5) {
        0 => text.replace("intake:", "intakes:"),
        1 => text.replace("coreset: 0.1", "coreset: 10%"),
        2 => text[..text.find("coreset: 0.1").unwrap()].to_owned(),
        3 => text.replace("match: 'r_*'", "match: '*'"),
        _ => text.replace("/history.db\n", "/drop/history.db/x.db\n"),
    };
    assert_ne!(spoiled, text);
    std::fs::write(line.config(), spoiled).unwrap();
}

/// A camera: writes until `stop`, and says what it wrote.
fn camera(folder: PathBuf, prefix: &str, stop: &AtomicBool) -> Vec<(PathBuf, Timestamp)> {
    let pictures: Vec<_> = (0..8).map(|i| jpeg_bytes(Part::ok(i))).collect();
    let mut written = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let path = folder.join(format!("{prefix}{:06}.jpg", written.len()));
        std::fs::write(&path, &pictures[written.len() % pictures.len()]).unwrap();
        written.push((path, Timestamp::now()));
        std::thread::sleep(PACE);
    }
    written
}

fn events(line: &Line, kind: &str) -> usize {
    line.sql(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).unwrap_or_default().parse().unwrap_or(0)
}

fn run(reloads: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let line = Line::new(&[]);
    let mut state = State { without_coming: false, heat: false, min_area: 0, seed: 0, rescan: 1 };
    state.write(&line);
    std::fs::write(line.path("drop").join("history.db"), "").unwrap();
    PRODUCTS.iter().for_each(|product| line.fill_ok(product, 0..6));
    let daemon = line.start();
    PRODUCTS.iter().for_each(|product| line.wait_for_bank(product));

    let stop = AtomicBool::new(false);
    let written: Vec<Vec<(PathBuf, Timestamp)>> = std::thread::scope(|scope| {
        let cameras = PRODUCTS.map(|product| {
            let (folder, prefix) = match product {
                "left" => ("shared", "l_"),
                "right" => ("shared", "r_"),
                own => (own, ""),
            };
            let (folder, stop) = (line.drop(folder), &stop);
            scope.spawn(move || camera(folder, prefix, stop))
        });
        let mut sent = 0;
        while sent < reloads {
            let spoiled = rng.random_bool(0.3);
            state = state.random(&mut rng);
            state.write(&line);
            if spoiled {
                spoil(&line, &mut rng);
            }
            let (kind, before) =
                if spoiled { ("reload_refused", events(&line, "reload_refused")) } else { ("start", events(&line, "start")) };
            daemon.signal(Signal::HUP);
            sent += 1;
            // Every third one comes while the one before is being served, or its file half written.
            if rng.random_bool(0.67) {
                wait_for(&format!("{kind} after reload {sent}"), || if events(&line, kind) > before { Ok(()) } else { Err(line.log()) });
            }
            std::thread::sleep(Duration::from_millis(rng.random_range(0..200)));
        }
        state.without_coming = false;
        state.write(&line);
        daemon.signal(Signal::HUP);
        stop.store(true, Ordering::Relaxed);
        cameras.into_iter().map(|camera| camera.join().unwrap()).collect()
    });

    let images: usize = written.iter().map(Vec::len).sum();
    wait_while_it_goes_on(&line, "SELECT count(*) FROM inspections WHERE state <> 'pending'", &images.to_string());
    wait_for("the last file to be in use", || {
        let configuration = line.status()["configuration"].clone();
        if configuration["in_use"] == true { Ok(()) } else { Err(configuration.to_string()) }
    });
    assert!(daemon.stop().success());

    let (done, failed, pending) = (count(&line, "state = 'done'"), count(&line, "state = 'failed'"), count(&line, "state = 'pending'"));
    let rows = rows(&line);
    let lost = written.iter().flatten().filter(|(path, _)| !rows.contains_key(path.to_str().unwrap())).count();
    let doubled = rows.values().filter(|rows| rows.len() > 1).count();
    let wrong_bank =
        line.sql("SELECT count(*) FROM inspections AS i JOIN banks AS b ON b.id = i.bank_id WHERE b.product <> i.product").unwrap();
    let mut wrong_product = 0;
    for (product, written) in PRODUCTS.iter().zip(&written) {
        let own = count(&line, &format!("product = '{product}'"));
        wrong_product += own.abs_diff(written.len());
    }
    let waited = written.iter().flatten().filter_map(|(path, at)| Some(millis(*at, rows.get(path.to_str()?)?.first()?.decided_at?)));
    println!(
        "{reloads} reloads, SEED={seed}: {} taken, {} refused, {} banks built; {images} images written, {done} done, {failed} failed, {pending} pending, \
         {lost} lost, {doubled} doubled, {wrong_product} with another product, {wrong_bank} by another product's bank; written to decided {}",
        events(&line, "reload"),
        events(&line, "reload_refused"),
        line.sql("SELECT count(*) FROM banks").unwrap(),
        spread(waited.collect())
    );
    let stops = "SELECT group_concat(CAST(86400000 * (julianday(s.at) - julianday(r.at)) AS INTEGER)) FROM events AS r
                 JOIN events AS s ON s.rowid = (SELECT min(rowid) FROM events WHERE rowid > r.rowid AND kind = 'start') WHERE r.kind = 'reload'";
    let stops = line.sql(stops).unwrap();
    println!("from the signal to the new line: {}", spread(stops.split(',').filter_map(|ms| ms.parse().ok()).collect()));
    assert_eq!(
        (done, failed, pending, lost, doubled, wrong_product, &*wrong_bank),
        (images, 0, 0, 0, 0, 0, "0"),
        "SEED={seed}\n{}",
        line.log()
    );
}

#[test]
fn reloads_under_load_lose_nothing() {
    run(12, 1);
}

#[test]
#[ignore = "make reload-load"]
fn many_reloads() {
    let seed = crate::helper::number("SEED").unwrap_or_else(|| Timestamp::now().as_microsecond().cast_unsigned());
    run(number("N", 500), seed);
}
