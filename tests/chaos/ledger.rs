//! The book of what the cameras wrote, and whether the history, the outputs and the banks agree with it.

use crate::helper::Line;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What the cameras have written: path → how often.
#[derive(Default)]
pub struct Book {
    dropped: Mutex<BTreeMap<PathBuf, u32>>,
}

impl Book {
    pub fn dropped(&self, path: &Path) {
        *self.dropped.lock().unwrap().entry(path.to_owned()).or_default() += 1;
    }

    pub fn times(&self, path: &Path) -> u32 {
        self.dropped.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    pub fn images(&self) -> u32 {
        self.images_below(Path::new("/"))
    }

    pub fn images_below(&self, folder: &Path) -> u32 {
        self.dropped.lock().unwrap().iter().filter(|(path, _)| path.starts_with(folder)).map(|(_, times)| times).sum()
    }
}

/// What does not agree; all empty when all is well.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub lost: Vec<String>,
    pub duplicated: Vec<String>,
    pub torn: Vec<String>,
    pub undecided: Vec<String>,
    pub litter: Vec<String>,
    pub damage: Vec<String>,
}

/// What must hold whenever the daemon is dead, however it died. `products` are the names of the line.
pub fn check_dead(line: &Line, products: &[&str]) -> Vec<String> {
    let mut damage = Vec::new();
    if !line.path("history.db").exists() {
        return damage;
    }
    let ask = |query: &str| line.sql(query).unwrap_or_else(|error| format!("{query}: {error}"));
    for (query, expected) in [
        ("SELECT group_concat(quick_check) FROM pragma_quick_check", "ok"),
        ("SELECT count(*) FROM pragma_foreign_key_check", "0"),
        ("SELECT count(*) FROM inspections WHERE state = 'done' AND bank_id IS NULL", "0"),
        ("SELECT count(*) FROM inspections i JOIN banks b ON b.id = i.bank_id WHERE b.product <> i.product OR b.state = 'failed'", "0"),
        (
            "SELECT count(*) FROM inspections i JOIN banks b ON b.id = i.bank_id WHERE b.image_tau <> i.image_tau OR b.pixel_tau <> i.pixel_tau",
            "0",
        ),
        ("SELECT count(*) FROM (SELECT 1 FROM banks WHERE state = 'active' GROUP BY product HAVING count(*) > 1)", "0"),
    ] {
        let seen = ask(query);
        // Killed before the tables were made.
        if seen != expected && !seen.contains("no such table") {
            damage.push(format!("{query}: {seen}"));
        }
    }
    for product in products {
        let current = line.bank(product).join("current");
        if current.is_symlink()
            && let Err(reason) = whole_bank(&current)
        {
            damage.push(format!("{}: {reason}", current.display()));
        }
        let active = ask(&format!("SELECT sha256 || ' ' || path FROM banks WHERE product = '{product}' AND state = 'active'"));
        if let Some((sha256, path)) = active.split_once(' ').filter(|(_, path)| path.starts_with('/'))
            && whole_bank(Path::new(path)).as_deref() != Ok(sha256)
        {
            damage.push(format!("{path}: the bank of the active row is not there, or another"));
        }
    }
    damage
}

/// Everything, once all images are decided, all banks are built and the daemon has stopped.
pub fn check_all(line: &Line, products: &[&str], book: &Book) -> Findings {
    let mut findings = Findings { damage: check_dead(line, products), ..Findings::default() };
    let rows = rows(line);
    let dropped = book.dropped.lock().unwrap();
    for (path, times) in dropped.iter() {
        let count = rows.get(path).map_or(0, Vec::len) as u32;
        let text = format!("{}: written {times} times, {count} rows", path.display());
        match count.cmp(times) {
            std::cmp::Ordering::Less => findings.lost.push(text),
            std::cmp::Ordering::Greater => findings.duplicated.push(text),
            std::cmp::Ordering::Equal => {}
        }
    }
    for (path, rows) in &rows {
        if !dropped.contains_key(path) {
            findings.duplicated.push(format!("{}: no camera wrote it", path.display()));
        }
        findings.undecided.extend(rows.iter().filter(|row| row["state"] != "done").map(Value::to_string));
        if let Some(last) = rows.last().filter(|row| row["state"] == "done")
            && let Err(reason) = outputs_agree(last)
        {
            findings.torn.push(format!("{}: {reason}", path.display()));
        }
    }
    for product in products {
        if let Err(reason) = bank_agrees(line, product) {
            findings.damage.push(format!("bank of {product}: {reason}"));
        }
    }
    find_litter(&line.path(""), &mut findings.litter);
    findings
}

/// The rows of each path, oldest first.
fn rows(line: &Line) -> BTreeMap<PathBuf, Vec<Value>> {
    let text = line.sql(
        "SELECT json_group_array(json_object('path', image_path, 'state', state, 'reason', reason, 'score', image_score, 'decision', decision,
                'mask_pixels', mask_pixels, 'mask', mask_path, 'overlay', overlay_path)) FROM (SELECT * FROM inspections ORDER BY id)",
    );
    let mut rows: BTreeMap<PathBuf, Vec<Value>> = BTreeMap::new();
    for row in serde_json::from_str::<Vec<Value>>(&text.unwrap()).unwrap() {
        rows.entry(row["path"].as_str().unwrap().into()).or_default().push(row);
    }
    rows
}

/// The outputs are whole and of this row's decision.
fn outputs_agree(row: &Value) -> Result<(), String> {
    let path = |key: &str| row[key].as_str().ok_or(format!("{key} is not recorded"));
    let open = |path: &str| image::open(path).map_err(|error| format!("{path}: {error}"));
    let (mask, overlay) = (open(path("mask")?)?.into_luma8(), open(path("overlay")?)?);
    // The daemon goes by what is in a file, and so does this: a camera may put a JPEG under the name of a PNG.
    let original = image::ImageReader::open(path("path")?).and_then(image::ImageReader::with_guessed_format).map_err(|e| e.to_string())?;
    let size = original.into_dimensions().map_err(|e| format!("the image itself: {e}"))?;
    if mask.dimensions() != size || (overlay.width(), overlay.height()) != size {
        return Err("an output has another size than the image".to_owned());
    }
    let area = mask.pixels().filter(|pixel| pixel.0[0] == 255).count() as i64;
    if Some(area) != row["mask_pixels"].as_i64() {
        return Err(format!("the mask has {area} pixels, the row says {}", row["mask_pixels"]));
    }
    let scores = std::fs::read(format!("{}.scores.json", path("path")?)).map_err(|e| format!("scores: {e}"))?;
    let scores: Value = serde_json::from_slice(&scores).map_err(|e| format!("scores: {e}"))?;
    let difference = (scores["image_score"].as_f64().unwrap_or(f64::NAN) - row["score"].as_f64().unwrap_or(f64::NAN)).abs();
    // The file has the shortest decimal of a float32, the row its exact value.
    if scores["decision"] != row["decision"] || difference.is_nan() || difference > 1e-4 {
        return Err(format!("scores.json has {scores}, the row {row}"));
    }
    Ok(())
}

/// Three files that belong together.
fn whole_bank(folder: &Path) -> Result<String, String> {
    let read = |name: &str| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    let config: Value = serde_json::from_slice(&read("bank_config.json")?).map_err(|e| e.to_string())?;
    let tau: Value = serde_json::from_slice(&read("tau.json")?).map_err(|e| e.to_string())?;
    let found: String = Sha256::digest(read("memory_bank.pt")?).iter().map(|byte| format!("{byte:02x}")).collect();
    if config["memory_bank_sha256"] != found.as_str() || !tau["image"].is_f64() {
        return Err("its files are not of one build".to_owned());
    }
    Ok(found)
}

/// The active row, `current` and the three names lead to one whole bank, built from what is in the ok folder now.
fn bank_agrees(line: &Line, product: &str) -> Result<(), String> {
    let bank = line.bank(product);
    let sha256 = whole_bank(&bank.join("current"))?;
    for name in ["memory_bank.pt", "bank_config.json", "tau.json"] {
        let real = bank.join("current").join(name).canonicalize().ok();
        if !bank.join(name).is_symlink() || bank.join(name).canonicalize().ok() != real {
            return Err(format!("{name} does not lead to the bank in use"));
        }
    }
    let current = std::fs::read_link(bank.join("current")).map_err(|e| e.to_string())?;
    let active =
        line.sql(&format!("SELECT path || ' ' || sha256 || ' ' || images FROM banks WHERE product = '{product}' AND state = 'active'"));
    let expected = format!("{} {sha256} {}", bank.join(current).display(), std::fs::read_dir(line.ok(product)).unwrap().count());
    if active.as_deref() != Ok(&expected) {
        return Err(format!("the active row is {active:?}, expected {expected}"));
    }
    Ok(())
}

fn find_litter(folder: &Path, litter: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            litter.push(entry.path().display().to_string());
        } else if entry.file_type().unwrap().is_dir() {
            find_litter(&entry.path(), litter);
        }
    }
}
