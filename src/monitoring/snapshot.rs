//! How the line stands at one moment, looked at from outside: nothing here writes, and nothing waits longer than a few seconds.

use super::disks::DiskAnswers;
use super::facts::{Facts, FolderFacts, NotRunning};
use crate::config::Config;
use crate::domain::{FolderState, FolderTrouble};
use crate::history::{HistoryStore, Standing};
use crate::intake::IntakePulse;
use crate::platform::clock::LineClock;
use crate::platform::disk_space::DiskSpace;
use crate::telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Answers of the history are good for this long, however many ask.
const FRESH: Duration = Duration::from_secs(3);
/// How long the history has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// An error of the history counts for this long: as long as it lasts, the line meets it again sooner than that.
const TROUBLE: Duration = Duration::from_secs(15);

/// What the line is doing.
#[derive(Clone)]
pub enum LinePhase {
    /// No line runs, since then.
    NotRunning(NotRunning, Instant),
    /// One does.
    Running(Arc<LineView>),
}

/// A running line, as far as monitoring looks at it.
#[derive(Clone)]
pub struct LineView {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its history.
    pub store: HistoryStore,
    /// Its clock.
    pub clock: Arc<LineClock>,
    /// What it tells of itself.
    pub telemetry: Telemetry,
    /// The watched drop folders, and the pulse of the thread of each.
    pub threads: Vec<(PathBuf, Arc<IntakePulse>)>,
}

/// Why the history did not tell.
#[derive(Debug, Clone)]
struct Unreadable(String);

/// How the line stands.
#[derive(Debug, Default)]
pub struct LineSnapshot {
    /// What [`crate::monitoring::facts::problems`] judges.
    pub facts: Facts,
    /// The names of the products, in the order of the configuration.
    pub products: Vec<String>,
    /// Tells the ages of what is in `standing`; there when that is.
    pub clock: Option<Arc<LineClock>>,
    /// Backlogs and banks; `None` when the history does not answer.
    pub standing: Option<Standing>,
    /// What each folder is for (`database`, `outputs`, `bank`), the folder, and its disk.
    pub disks: Vec<(&'static str, PathBuf, DiskSpace)>,
    /// How long the oldest image, defect or message has waited, for each reason.
    pub longest_waits: BTreeMap<String, Duration>,
}

/// Looks at the line; keeps the answers of the history for a moment.
#[derive(Default)]
pub struct SnapshotTaker {
    disks: DiskAnswers,
    standing: Mutex<Option<(Instant, Result<Standing, Unreadable>)>>,
}

impl SnapshotTaker {
    /// How things stand now.
    pub async fn look(&self, phase: LinePhase) -> LineSnapshot {
        let line = match phase {
            LinePhase::NotRunning(why, since) => return not_running(why, since.elapsed()),
            LinePhase::Running(line) => line,
        };
        let standing = self.standing(&line).await;
        let wanted = places(&line.config);
        let space = self.disks.space(&wanted.iter().map(|(_, folder)| folder.clone()).collect()).await;
        let disks = wanted.into_iter().filter_map(|(what, folder)| Some((what, folder.clone(), *space.get(&folder)?))).collect();
        // A full disk has a word of its own.
        let disk_full = line.store.full_since().is_some();
        let trouble = standing
            .as_ref()
            .err()
            .map(|Unreadable(why)| why.clone())
            .or_else(|| line.store.error_within(TROUBLE).map(|error| error.to_string()));
        let facts = Facts {
            not_running: None,
            stuck: line.telemetry.progress.stuck(),
            database: trouble.filter(|_| !disk_full),
            disk_full,
            folders: folders(&line),
            places: line.telemetry.folders.faults(),
            waiting: line.telemetry.waits.told(),
        };
        let products = line.config.products.iter().map(|product| product.name.clone()).collect();
        let clock = Some(Arc::clone(&line.clock));
        LineSnapshot { facts, products, clock, standing: standing.ok(), disks, longest_waits: line.telemetry.waits.longest() }
    }

    /// Asks the history, one at a time; the error says what is wrong with it.
    async fn standing(&self, line: &LineView) -> Result<Standing, Unreadable> {
        let mut kept = self.standing.lock().await;
        let fresh = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, answer)) = fresh {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PATIENCE, line.store.standing()).await {
            Ok(answer) => answer.map_err(|error| Unreadable(error.to_string())),
            Err(_) => Err(Unreadable(format!("{}: does not answer within {PATIENCE:?}", line.store.file().display()))),
        };
        *kept = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn not_running(why: NotRunning, since: Duration) -> LineSnapshot {
    LineSnapshot { facts: Facts { not_running: Some((why, since)), ..Facts::default() }, ..LineSnapshot::default() }
}

fn folders(line: &LineView) -> Vec<FolderFacts> {
    let has = |folder: &Path, trouble| line.telemetry.status.has_trouble(folder, trouble);
    let facts = |(folder, pulse): &(PathBuf, Arc<IntakePulse>)| FolderFacts {
        state: if has(folder, FolderTrouble::NoAnswer) {
            FolderState::Stuck
        } else if has(folder, FolderTrouble::Lost) {
            FolderState::Lost
        } else if has(folder, FolderTrouble::NotWatched) {
            FolderState::ScannedOnly
        } else {
            FolderState::Watched
        },
        folder: folder.clone(),
        since_scan: pulse.since_scan(),
        rescan: line.config.intake.rescan,
    };
    line.threads.iter().map(facts).collect()
}

/// The folders whose disk matters, each once for what it is for.
fn places(config: &Config) -> BTreeSet<(&'static str, PathBuf)> {
    let mut places = BTreeSet::new();
    places.extend(config.database.parent().map(|folder| ("database", folder.to_owned())));
    for product in &config.products {
        places.insert(("bank", product.bank.clone()));
        match &product.outputs.dir {
            Some(dir) => drop(places.insert(("outputs", dir.clone()))),
            None => places.extend(product.drop.iter().map(|drop| ("outputs", drop.path.clone()))),
        }
    }
    places
}
