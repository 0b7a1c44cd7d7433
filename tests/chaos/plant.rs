//! Four products whose cameras have all the habits there are, and the daemon that inspects them.

use super::cameras::{Camera, Habit};
use super::ledger::{self, Book, Findings};
use super::process::{Ear, last_lines};
use crate::helper::{Line, Part, Product, patience, scaled_seconds, wait_up_to, write_image};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

pub const PRODUCTS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

const READY: [&str; 4] = ["close_write", "rename", "{marker: .done}", "{quiet: 500ms}"];

const HABITS: [(usize, Habit); 9] = [
    (0, Habit::AtOnce),
    (0, Habit::Slow),
    (0, Habit::NewFolder),
    (0, Habit::Link),
    (0, Habit::SameName),
    (1, Habit::Rename),
    (2, Habit::Marker),
    (3, Habit::AtOnce),
    (3, Habit::Slow),
];

/// The plant; prints the end of the daemon's log when a test in it fails.
pub struct Plant {
    pub line: Line,
    pub ear: Ear,
    pub book: Arc<Book>,
    cameras: Vec<Camera>,
}

impl Plant {
    /// With six OK images for each product.
    pub fn new() -> Self {
        let products: Vec<Product> = PRODUCTS.into_iter().zip(READY).map(|(name, ready)| product(name, ready)).collect();
        let line = Line::new(&products);
        // A camera thread may get no processor for seconds; its image is none the worse for it.
        let config = std::fs::read_to_string(line.config()).unwrap();
        std::fs::write(line.config(), config.replace("give_up_after: 3s", &format!("give_up_after: {}", scaled_seconds(120)))).unwrap();
        for product in PRODUCTS {
            line.fill_ok(product, 0..6);
        }
        let book = Arc::new(Book::default());
        let cameras = HABITS.iter().map(|&(product, habit)| {
            let database = line.path("history.db");
            let is_decided = move |path: &std::path::Path, times: u32| {
                let query = format!("SELECT count(*) FROM inspections WHERE image_path = '{}' AND state = 'done'", path.display());
                crate::helper::sql_value(&database, &query) == Ok(times.to_string())
            };
            Camera::start(habit, line.drop(PRODUCTS[product]), Arc::clone(&book), is_decided)
        });
        let cameras = cameras.collect();
        Self { ear: Ear::new(&line), line, book, cameras }
    }

    /// Has `count` images taken, by cameras drawn by lot.
    pub fn shoot(&self, count: u32, rng: &mut ChaCha8Rng) {
        for _ in 0..count {
            self.cameras[rng.random_range(0..self.cameras.len())].shoot(rng.random());
        }
    }

    /// Adds an OK image to a product drawn by lot, or takes one away where there are many.
    pub fn change_ok(&self, rng: &mut ChaCha8Rng) {
        let ok = self.line.ok(PRODUCTS[rng.random_range(0..PRODUCTS.len())]);
        let mut names: Vec<_> = std::fs::read_dir(&ok).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        if names.len() >= 10 {
            std::fs::remove_file(&names[rng.random_range(0..names.len())]).unwrap();
        } else {
            let number: u32 = rng.random_range(1000..1_000_000);
            write_image(&ok.join(format!("ok{number}.png")), Part::ok(number));
        }
    }

    /// What must hold while the daemon is dead.
    pub fn check_dead(&self) {
        assert_eq!(ledger::check_dead(&self.line, &PRODUCTS), Vec::<String>::new());
    }

    pub fn pending(&self) -> u32 {
        self.line.sql("SELECT count(*) FROM inspections WHERE state = 'pending'").map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until every image ordered is written.
    pub fn finish_cameras(&mut self) {
        self.cameras.drain(..).for_each(Camera::finish);
    }

    /// Lets the cameras finish and the daemon catch up, stops it, and compares everything.
    pub fn settle(&mut self) -> Findings {
        self.finish_cameras();
        catch_up(&self.line, &self.ear, &PRODUCTS, &self.book)
    }
}

/// Starts the daemon and waits until it has nothing left to do, stops it, and compares everything.
pub fn catch_up(line: &Line, ear: &Ear, products: &[&str], book: &Book) -> Findings {
    let daemon = ear.start(line);
    ear.wait_ready(line);
    let images = book.images();
    let decided = format!("SELECT ifnull(sum(state = 'done'), 0) = {images} AND ifnull(sum(state = 'pending'), 0) = 0 FROM inspections");
    // What never comes is found by the comparison.
    wait_up_to(patience(), || (line.sql(&decided).as_deref() == Ok("1")).then_some(()));
    for product in products {
        let files = std::fs::read_dir(line.ok(product)).unwrap().count().to_string();
        line.wait_sql(&format!("SELECT images FROM banks WHERE state = 'active' AND product = '{product}'"), &files);
    }
    assert!(daemon.stop().success());
    ledger::check_all(line, products, book)
}

impl Drop for Plant {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the end of the daemon's log:\n{}", last_lines(&self.line.log()));
        }
    }
}

fn product(name: &'static str, ready: &str) -> Product {
    let mut product = Product::new(name);
    product.drop = format!("        ready: {ready}\n");
    product.extra = "    outputs: {mask: true, overlay: true, scores: true}\n".to_owned();
    product
}
