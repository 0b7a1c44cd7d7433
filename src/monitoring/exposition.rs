//! All values of the line, in the text format of Prometheus.
//!
//! Counters live in [`Counters`]. Gauges are read and registered again for each answer, so a product or folder that no longer exists leaves
//! nothing behind.

use super::problems::{CODES, problems};
use super::process;
use super::snapshot::Disks;
use crate::domain::FolderState;
use crate::snapshot::LineSnapshot;
use crate::telemetry::Counters;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The content type of the whole answer.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

type Real = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProduct {
    product: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFolder {
    folder: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateOfFolder {
    folder: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDisk {
    /// The purpose of the folder.
    place: &'static str,
    folder: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCode {
    code: &'static str,
}

/// The whole answer.
///
/// # Errors
/// Never in practice: the text goes to memory.
pub fn text(counters: &Counters, snapshot: &LineSnapshot, disks: &Disks) -> Result<String, fmt::Error> {
    let mut now = Registry::with_prefix("patchcored");
    now.register("build", "Version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    health(&mut now, snapshot);
    products(&mut now, snapshot);
    folders(&mut now, snapshot);
    space(&mut now, disks);
    let mut own = Registry::default();
    process::register(&mut own);
    let mut text = String::new();
    for registry in [counters.registry(), &now, &own] {
        prometheus_text::encode(&mut text, registry)?;
    }
    Ok(text)
}

fn health(registry: &mut Registry, snapshot: &LineSnapshot) {
    let found = problems(snapshot);
    let counted = family(registry, "problems", "What keeps the line from working, as /healthz names it; 0 when all is well", None);
    for code in CODES {
        set(&counted, OfCode { code }, found.iter().filter(|problem| problem.code == code).count() as f64);
    }
    let help = "How long the oldest image, defect or message has waited for what does not come by itself";
    let longest = family(registry, "longest_wait", help, Some(Unit::Seconds));
    for (reason, wait) in &snapshot.longest_waits {
        set(&longest, OfReason { reason: reason.clone() }, seconds(*wait));
    }
}

fn products(registry: &mut Registry, snapshot: &LineSnapshot) {
    let (Some(recorded), Some(clock)) = (&snapshot.recorded, &snapshot.clock) else { return };
    let pending = family(registry, "pending_images", "Images that are still to be decided", None);
    let oldest = family(registry, "oldest_pending_age", "Age of the image that has waited longest; 0 when none waits", Some(Unit::Seconds));
    let has_bank = family(registry, "bank_in_use", "1 when the product has a bank, 0 when its images wait for one", None);
    let version = family(registry, "bank_version", "Version of the bank in use", None);
    let age = family(registry, "bank_age", "Time since the bank in use was built", Some(Unit::Seconds));
    let rows = family(registry, "bank_rows", "Rows of the bank in use", None);
    for product in &snapshot.products {
        let of_product = || OfProduct { product: product.clone() };
        let backlog = recorded.pending_of(product);
        set(&pending, of_product(), backlog.map_or(0.0, |backlog| backlog.pending as f64));
        set(&oldest, of_product(), backlog.map_or(0.0, |backlog| seconds(clock.age(backlog.oldest_seen_at))));
        let bank = recorded.bank_of(product);
        set(&has_bank, of_product(), f64::from(u8::from(bank.is_some())));
        if let Some(bank) = bank {
            set(&version, of_product(), bank.version as f64);
            if let Ok(created_at) = bank.created_at.parse() {
                set(&age, of_product(), seconds(clock.age(created_at)));
            }
            if let Some(count) = bank.rows {
                set(&rows, of_product(), count as f64);
            }
        }
    }
}

fn folders(registry: &mut Registry, snapshot: &LineSnapshot) {
    let state = family(registry, "drop_folder_state", "1 for the state that the drop folder is in, 0 for the others", None);
    let scan = family(registry, "drop_folder_scan_age", "Time since the last full scan of the drop folder ended", Some(Unit::Seconds));
    for standing in &snapshot.drop_folders {
        let folder = standing.folder.display().to_string();
        for one in FolderState::ALL.iter().copied() {
            set(&state, StateOfFolder { folder: folder.clone(), state: one.as_str() }, f64::from(u8::from(one == standing.state)));
        }
        if let Some((since_scan, _)) = standing.scan {
            set(&scan, OfFolder { folder }, seconds(since_scan));
        }
    }
}

fn space(registry: &mut Registry, disks: &Disks) {
    let free = family(registry, "disk_free", "Space that is left on the disk of a folder", Some(Unit::Bytes));
    let size = family(registry, "disk_size", "Size of the disk of a folder", Some(Unit::Bytes));
    for (place, folder, space) in disks {
        let of_disk = || OfDisk { place, folder: folder.display().to_string() };
        set(&free, of_disk(), space.free as f64);
        set(&size, of_disk(), space.total as f64);
    }
}

/// A registered gauge with labels.
fn family<L>(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>) -> Family<L, Real>
where
    L: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::default();
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
    family
}

fn set<L: EncodeLabelSet + Clone + Hash + Eq>(family: &Family<L, Real>, labels: L, value: f64) {
    family.get_or_create(&labels).set(value);
}

fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}
