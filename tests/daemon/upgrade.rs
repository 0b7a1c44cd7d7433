//! What version 0.1.0 left in database and bank folders stays in use: no bank is built anew, and a rollback is held on to.

use crate::helper::{Line, Part, Product, arg, old_database, run_ok, sql_change, sql_rows, wait_for, write_image};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// The newest schema of version 0.1.0.
const SCHEMA: i64 = 11;

/// The options of the test line, as version 0.1.0 put them into a fingerprint.
const OPTIONS: &str = "BuildOptions { backbone: EfficientnetLite0, shorter: 64, stride: 1, layers: [Layer2, Layer3], coreset: 0.1, \
                       coreset_method: Greedy, reservoir_max: 100000, pixel_pct: 0.995, image_pct: 0.995, calibration: HeldOut, \
                       neighbourhood: 3, smoothing: 0, seed: 0 }";

/// The fingerprint that version 0.1.0 made of an ok folder.
fn fingerprint(ok: &Path) -> String {
    let mut names: Vec<_> = std::fs::read_dir(ok).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut text = format!("{OPTIONS}\0").into_bytes();
    for name in names {
        let meta = std::fs::metadata(ok.join(&name)).unwrap();
        text.extend(name.as_bytes());
        text.extend(format!("\0{}\0{}\0", meta.size(), meta.mtime() * 1_000_000_000 + meta.mtime_nsec()).bytes());
    }
    blake3::hash(&text).to_hex().to_string()
}

fn sha256(path: &Path) -> String {
    Sha256::digest(std::fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A version and its row as 0.1.0 left them, built from the ok folder as it is now.
fn leave_version(line: &Line, product: &str, version: u32, state: &str) {
    let (ok, dir) = (line.ok(product), line.bank(product).join(format!("versions/{version:06}")));
    let options = ["--backbone", "efficientnet_lite0", "--shorter", "64", "--stride", "1", "--coreset", "0.1", "--score", "guide"];
    let engine = ["--device", "cpu", "--precision", "float32"];
    let folders = ["build", "--ok-dir", arg(&ok), "--out-dir", arg(&dir)];
    run_ok(&[&folders[..], &options, &engine, &["--layers", "layer2", "layer3"]].concat());

    let config = dir.join("bank_config.json");
    let (text, written) = (std::fs::read_to_string(&config).unwrap(), json(&config)["ok_fingerprint"].as_str().unwrap().to_owned());
    let fingerprint = fingerprint(&ok);
    assert!(written.starts_with("3:") && written != fingerprint, "{written}");
    std::fs::write(&config, text.replace(&written, &fingerprint)).unwrap();

    let (facts, tau) = (json(&config), json(&dir.join("tau.json")));
    let row = format!(
        "INSERT INTO banks (product, version, created_at, trigger, state, images, patches, rows, pixel_tau, image_tau,
                            expected_false_alarms, false_alarms_bound, seconds, path, sha256, config_sha256, tau_sha256, shorter,
                            ok_fingerprint)
         VALUES ('{product}', {version}, '{created_at}', 'ok_changed', '{state}', {images}, {patches}, {rows}, {pixel}, {image},
                 {expected}, {bound}, 1.0, '{path}', '{sha256}', '{config_sha256}', '{tau_sha256}', 64, '{fingerprint}')",
        created_at = facts["created_at"].as_str().unwrap(),
        images = facts["images"],
        patches = facts["patches"],
        rows = facts["rows"],
        pixel = tau["pixel"],
        image = tau["image"],
        expected = facts["false_alarms"]["expected"],
        bound = facts["false_alarms"]["bound"],
        path = dir.display(),
        sha256 = sha256(&dir.join("memory_bank.pt")),
        config_sha256 = sha256(&config),
        tau_sha256 = sha256(&dir.join("tau.json")),
    );
    sql_change(&line.path("history.db"), &row);
    if state == "active" {
        symlink(format!("versions/{version:06}"), line.bank(product).join("current")).unwrap();
        for name in ["memory_bank.pt", "bank_config.json", "tau.json"] {
            symlink(format!("current/{name}"), line.bank(product).join(name)).unwrap();
        }
    }
}

/// Counts how often somebody lists a folder.
struct Looks(OwnedFd);

impl Looks {
    fn at(folder: &Path) -> Self {
        let looks = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&looks, folder, WatchFlags::OPEN | WatchFlags::ONLYDIR).unwrap();
        Self(looks)
    }

    fn since_last(&self) -> u32 {
        let mut space = [MaybeUninit::uninit(); 4096];
        let (mut reader, mut seen) = (inotify::Reader::new(&self.0, &mut space), 0);
        loop {
            match reader.next() {
                // Opened itself, and not a file in it.
                Ok(event) => seen += u32::from(event.file_name().is_none()),
                Err(Errno::AGAIN) => return seen,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What there is of a product's banks.
fn banks(line: &Line, product: &str) -> String {
    let rows = "SELECT group_concat(version || ' ' || state || ' ' || ok_fingerprint || ' ' || ifnull(held_ok, 'free'), ', ')";
    let rows = line.sql(&format!("{rows} FROM (SELECT * FROM banks WHERE product = '{product}' ORDER BY version, id)")).unwrap();
    let mut versions: Vec<_> = std::fs::read_dir(line.bank(product).join("versions")).unwrap().map(|e| e.unwrap().file_name()).collect();
    versions.sort();
    format!("{rows}; {versions:?}")
}

/// Has an image decided; returns the version that decided it.
fn decided_by(line: &Line, product: &str, name: &str) -> String {
    write_image(&line.drop(product).join(name), Part::ok(1));
    let path = format!("image_path LIKE '%/{product}/%{name}'");
    line.wait_sql(&format!("SELECT state FROM inspections WHERE {path}"), "done");
    line.sql(&format!("SELECT version FROM banks WHERE id = (SELECT bank_id FROM inspections WHERE {path})")).unwrap()
}

#[test]
fn banks_and_holds_of_version_0_1_0_stay_until_the_ok_folder_changes() {
    let products = ["disc", "ring"];
    let line = Line::new(&products.map(Product::new));
    let database = line.path("history.db");
    old_database(&database, SCHEMA);
    for product in products {
        line.fill_ok(product, 0..6);
        leave_version(&line, product, 1, "active");
    }
    // Version 2 was built from one image more, and left in a rollback.
    line.fill_ok("ring", 6..7);
    leave_version(&line, "ring", 2, "rolled_back");
    let held = fingerprint(&line.ok("ring"));
    sql_change(&database, &format!("UPDATE banks SET held_ok = '{held}' WHERE product = 'ring' AND version = 1"));
    let before = products.map(|product| banks(&line, product));
    assert!(before[1].starts_with("1 active ") && before[1].contains(&format!(" {held}, 2 rolled_back {held} free; ")), "{}", before[1]);

    // The second start finds what the first one left.
    for start in 0..2 {
        let looks = products.map(|product| Looks::at(&line.ok(product)));
        let daemon = line.start();
        for product in products {
            assert_eq!(decided_by(&line, product, &format!("{start}.png")), "1");
        }
        // The second look would begin a build, if there were anything to build, and the third come after it.
        for (product, looks) in products.iter().zip(&looks) {
            let mut seen = 0;
            wait_for("looks at the ok folder", || {
                seen += looks.since_last();
                if seen >= 8 { Ok(()) } else { Err(format!("{product}: {seen} of 8")) }
            });
        }
        assert_eq!(products.map(|product| banks(&line, product)), before, "{}", line.log());
        assert_eq!(sql_rows(&database, "SELECT 1 FROM banks WHERE state = 'failed'"), Ok(0));
        assert!(!line.log().contains("building a bank"), "{}", line.log());
        let status = line.status();
        let after_rollback = [0, 1].map(|index| status["products"][index]["bank"]["after_rollback"].as_bool());
        assert_eq!(after_rollback, [Some(false), Some(true)], "{status}");
        assert!(daemon.stop().success());
    }

    let daemon = line.start();
    for (product, version) in [("disc", "2"), ("ring", "3")] {
        line.fill_ok(product, 7..8);
        line.wait_sql(&format!("SELECT version FROM banks WHERE product = '{product}' AND state = 'active'"), version);
        assert_eq!(decided_by(&line, product, "changed.png"), version);
        let written = format!("SELECT substr(ok_fingerprint, 1, 2) FROM banks WHERE product = '{product}' AND state = 'active'");
        assert_eq!(line.sql(&written).unwrap(), "3:");
    }
    assert!(daemon.stop().success());
}
