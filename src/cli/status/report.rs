//! What `patchcored status --json` prints. Fields keep their names and meaning in every version of the program; new ones are added.

use super::configuration::Configuration;
use crate::config::{Config, ProductConfig};
use crate::database::Holder;
use crate::domain::{FolderState, WAITS_TOO_LONG};
use crate::history::{BankInUse, BankWorkRow, EndCounts, LastDecision, LineRecord, OldestPending, PendingOf, ProductRecord, ProfileChange};
use crate::platform::clock::LineClock;
use crate::snapshot::{DropFolderStanding, LineSnapshot};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The whole answer. Times are UTC text, ages are seconds before `at`, and `null` means that there is none.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it was asked.
    pub at: String,
    /// Whether the daemon runs.
    pub daemon: DaemonReport,
    /// The configuration file.
    pub configuration: Configuration,
    /// The history.
    pub database: PlaceReport,
    /// `null` without `profiles` in the configuration.
    pub profile: Option<Profile>,
    /// Messages that the MQTT broker has not acknowledged.
    pub messages_waiting: i64,
    /// In the order of the configuration.
    pub products: Vec<ProductReport>,
    /// Products that the configuration does not have any more, with images that wait until it has them again.
    pub not_in_configuration: Vec<Other>,
}

/// What the line is set up for.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// The profile in use; `null` before the first start.
    pub in_use: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Another one that the daemon has not changed over to yet.
    pub asked_for: Option<String>,
}

/// A product that is not in the configuration.
#[derive(Debug, Serialize)]
pub struct Other {
    /// Its name.
    pub product: String,
    /// Images still to be decided.
    pub pending: i64,
    /// How long the first of them has waited.
    pub oldest_pending_seconds: Option<i64>,
}

/// The daemon that works with the database.
#[derive(Debug, Serialize)]
pub struct DaemonReport {
    /// Whether there is one.
    pub running: bool,
    /// Its process id.
    pub process: Option<u32>,
}

/// A file or folder, and the disk under it.
#[derive(Debug, Serialize)]
pub struct PlaceReport {
    /// Absolute.
    pub path: String,
    /// `null` when it is not there or does not answer.
    pub free_bytes: Option<u64>,
}

/// One product.
#[derive(Debug, Serialize)]
pub struct ProductReport {
    /// Its name.
    pub product: String,
    /// Its name for people; `null` without one.
    pub display_name: Option<String>,
    /// False when the profile in use leaves it out: no new images are taken for it.
    pub on: bool,
    /// The bank in use: `version`, when it was built, `created_at`, whether a rollback put it back, `after_rollback`, and what it
    /// changed for recent images before it was used: `compared_images`, `compared_to_ng`, `compared_to_ok`.
    pub bank: Option<BankInUse>,
    /// Age of the bank.
    pub bank_age_seconds: Option<i64>,
    /// What is wrong with the bank or its files, as far as the daemon knows; `null` when nothing is, or it does not run.
    pub bank_trouble: Option<BankTroubleReport>,
    /// What the daemon does about the bank right now: `step` (`waits_for_images`, `waits_for_turn`, `builds`), `since`, and `done` of `total`
    /// images or hundredths; `null` when nothing, or it does not run.
    pub bank_work: Option<BankWorkRow>,
    /// True when it has no bank, or images wait because the one it has cannot be used.
    pub waits_for_bank: bool,
    /// Images still to be decided.
    pub pending: i64,
    /// The one that was seen first: `id`, `image_path`, `seen_at`, and the `reason` why it waits, `null` when it is just not its turn.
    pub oldest_pending: Option<OldestPending>,
    /// How long that one has waited.
    pub oldest_pending_seconds: Option<i64>,
    /// What has waited longer than a minute for what does not come by itself, by reason.
    pub waiting: Vec<WaitReport>,
    /// Defects that wait to be acted on.
    pub actions_waiting: i64,
    /// The newest: `id`, `image_path`, `decided_at`, `decision`, `image_score`, `image_tau`.
    pub last_decision: Option<LastDecision>,
    /// Age of the newest decision.
    pub last_decision_seconds: Option<i64>,
    /// What was decided in the last 24 hours.
    pub last_24h: LastDay,
    /// Images decided per minute, on average over the last 10 minutes.
    pub images_per_minute: f64,
    /// Each once.
    pub drop_folders: Vec<DropFolder>,
    /// `outputs.dir`; `null` when outputs are written beside the images.
    pub outputs_folder: Option<PlaceReport>,
    /// The bank folder.
    pub bank_folder: PlaceReport,
}

/// What is wrong with a bank.
#[derive(Debug, Serialize)]
pub struct BankTroubleReport {
    /// `bank_unusable` or `bank_changed`.
    pub code: String,
    /// Since when.
    pub since: String,
    /// How long that is.
    pub since_seconds: Option<i64>,
    /// What the daemon said then.
    pub reason: String,
}

/// Images or defects that wait for one reason.
#[derive(Debug, Serialize)]
pub struct WaitReport {
    /// A code of `reason_code`, or `on_ng`.
    pub reason: String,
    /// How many wait.
    pub count: i64,
    /// How long the oldest has waited.
    pub oldest_seconds: i64,
    /// The oldest, and what it waits for in words.
    pub what: String,
}

/// The last 24 hours.
#[derive(Debug, Serialize)]
pub struct LastDay {
    /// Images decided, ok and ng.
    pub images: i64,
    /// Of these ng.
    pub ng: i64,
    /// `ng / images`.
    pub ng_rate: Option<f64>,
    /// Images given up, not counted above.
    pub failed: i64,
}

/// A drop folder.
#[derive(Debug, Serialize)]
pub struct DropFolder {
    /// The folder and its disk.
    #[serde(flatten)]
    pub place: PlaceReport,
    /// `watched`, `scanned_only`, `lost` or `stuck`; `null` when the daemon does not run, or takes no images from it.
    pub state: Option<FolderState>,
    /// Since when it is not simply watched.
    pub since: Option<String>,
    /// How long that is.
    pub since_seconds: Option<i64>,
    /// What the daemon said then.
    pub reason: Option<String>,
}

impl Profile {
    pub(super) fn of(in_use: Option<ProfileChange>, asked: Option<ProfileChange>) -> Option<Self> {
        let (since, in_use) = in_use.map_or((None, None), |change| (change.in_use_since, Some(change.profile)));
        let asked_for = asked.filter(|asked| asked.in_use_since.is_none()).map(|asked| asked.profile);
        (in_use.is_some() || asked_for.is_some()).then_some(Self { in_use, since, asked_for })
    }
}

impl DaemonReport {
    pub(super) fn of(holder: Option<Holder>) -> Self {
        Self { running: holder.is_some(), process: holder.and_then(|holder| holder.process) }
    }
}

impl From<EndCounts> for LastDay {
    fn from(ends: EndCounts) -> Self {
        let images = ends.ok + ends.ng;
        Self { images, ng: ends.ng, ng_rate: (images > 0).then(|| ends.ng as f64 / images as f64), failed: ends.failed }
    }
}

/// What the products' reports are made from, beside the history of each.
pub(super) struct Sources<'a> {
    pub clock: &'a LineClock,
    pub config: &'a Config,
    pub recorded: &'a LineRecord,
    pub snapshot: &'a LineSnapshot,
    pub free: BTreeMap<PathBuf, u64>,
    pub running: bool,
}

impl Sources<'_> {
    pub(super) fn place(&self, path: &Path, folder: &Path) -> PlaceReport {
        PlaceReport { path: path.display().to_string(), free_bytes: self.free.get(folder).copied() }
    }

    pub(super) fn product(&self, config: &ProductConfig, seen: &ProductRecord) -> ProductReport {
        let bank = self.recorded.bank_of(&config.name);
        let trouble = self.snapshot.bank_troubles.iter().find(|trouble| trouble.product == config.name);
        let decided = seen.ten_minutes.ok + seen.ten_minutes.ng;
        ProductReport {
            product: config.name.clone(),
            display_name: config.display_name.clone(),
            on: self.config.is_on(&config.name),
            bank_age_seconds: bank.and_then(|bank| self.age(&bank.created_at)),
            bank_trouble: trouble.map(|trouble| BankTroubleReport {
                code: trouble.code.clone(),
                since: trouble.since.since.clone(),
                since_seconds: self.age(&trouble.since.since),
                reason: trouble.since.reason.clone(),
            }),
            bank_work: seen.bank_work.clone().filter(|_| self.running),
            waits_for_bank: bank.is_none() || seen.images_wait_for_bank,
            bank: bank.cloned(),
            pending: self.recorded.pending_of(&config.name).map_or(0, |of| of.pending),
            oldest_pending_seconds: seen.oldest_pending.as_ref().and_then(|image| self.age(&image.seen_at)),
            oldest_pending: seen.oldest_pending.clone(),
            waiting: self.waiting(&config.name),
            actions_waiting: seen.actions_waiting,
            last_decision_seconds: seen.last_decision.as_ref().and_then(|image| self.age(&image.decided_at)),
            last_decision: seen.last_decision.clone(),
            last_24h: seen.day.into(),
            images_per_minute: decided as f64 / 10.0,
            drop_folders: drop_folders(config).into_iter().map(|folder| self.drop_folder(folder)).collect(),
            outputs_folder: config.outputs.dir.as_deref().map(|dir| self.place(dir, dir)),
            bank_folder: self.place(&config.bank, &config.bank),
        }
    }

    fn waiting(&self, product: &str) -> Vec<WaitReport> {
        let own = self.recorded.details.held_up.iter().filter(|held_up| held_up.product.as_deref() == Some(product));
        let waits = own.map(|held_up| WaitReport {
            reason: held_up.reason.clone(),
            count: held_up.count,
            oldest_seconds: i64::try_from(self.clock.age(held_up.since).as_secs()).unwrap_or(i64::MAX),
            what: held_up.what.clone(),
        });
        waits.filter(|waits| waits.oldest_seconds >= WAITS_TOO_LONG.as_secs() as i64).collect()
    }

    pub(super) fn other(&self, other: &PendingOf) -> Other {
        Other { product: other.product.clone(), pending: other.pending, oldest_pending_seconds: self.seconds(other.oldest_seen_at) }
    }

    fn drop_folder(&self, folder: &Path) -> DropFolder {
        // One below another is watched with that; one of a product that is off may not be watched at all.
        let inner_most = |root: &&DropFolderStanding| root.folder.components().count();
        let root = self.snapshot.drop_folders.iter().filter(|root| folder.starts_with(&root.folder)).max_by_key(inner_most);
        let trouble = root.and_then(|root| root.trouble.as_ref());
        DropFolder {
            place: self.place(folder, folder),
            state: root.map(|root| root.state),
            since: trouble.map(|trouble| trouble.since.clone()),
            since_seconds: trouble.and_then(|trouble| self.age(&trouble.since)),
            reason: trouble.map(|trouble| trouble.reason.clone()),
        }
    }

    fn age(&self, time: &str) -> Option<i64> {
        self.seconds(time.parse().ok()?)
    }

    fn seconds(&self, time: Timestamp) -> Option<i64> {
        i64::try_from(self.clock.age(time).as_secs()).ok()
    }
}

/// The product's drop folders, each once: several patterns may look at one.
fn drop_folders(config: &ProductConfig) -> BTreeSet<&Path> {
    config.drop.iter().map(|drop| drop.path.as_path()).collect()
}

/// The folders of this product whose disk matters.
pub(super) fn folders(config: &ProductConfig) -> impl Iterator<Item = &Path> {
    drop_folders(config).into_iter().chain(config.outputs.dir.as_deref()).chain([config.bank.as_path()])
}
