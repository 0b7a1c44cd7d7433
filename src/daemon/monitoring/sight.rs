//! How the line stands at one moment, looked at from outside: nothing here writes, and nothing waits longer than a few seconds.

use super::super::clock::LineClock;
use super::super::line::Line;
use super::super::{FolderState, recorder, watchdog};
use super::disks::{Disks, Space};
use super::facts::{Facts, FolderFacts, NotRunning};
use crate::config::Config;
use crate::history::Standing;
use crate::intake::Pulse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
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
pub enum Phase {
    /// No line runs, since then.
    NotRunning(NotRunning, Instant),
    /// One does.
    Running(Arc<Watched>),
}

/// A running line, as far as monitoring may look at it. It does not keep the line from ending.
pub struct Watched {
    line: Weak<Line>,
    /// The watched drop folders with the pulse of their thread.
    roots: Vec<(PathBuf, Arc<Pulse>)>,
}

impl Watched {
    pub fn new(line: &Arc<Line>, roots: Vec<(PathBuf, Arc<Pulse>)>) -> Self {
        Self { line: Arc::downgrade(line), roots }
    }

    /// The line, while it is there.
    pub fn line(&self) -> Option<Arc<Line>> {
        self.line.upgrade()
    }
}

/// How the line stands.
#[derive(Debug, Default)]
pub struct Sight {
    /// What [`super::facts::problems`] judges.
    pub facts: Facts,
    /// The names of the products, in the order of the configuration.
    pub products: Vec<String>,
    /// Tells the ages of what is in `standing`; there when that is.
    pub clock: Option<Arc<LineClock>>,
    /// Backlogs and banks; `None` when the history does not answer.
    pub standing: Option<Standing>,
    /// What each folder is for (`database`, `outputs`, `bank`), the folder, and its disk.
    pub disks: Vec<(&'static str, PathBuf, Space)>,
    /// How long the oldest image, defect or message has waited, for each reason.
    pub longest_waits: BTreeMap<String, Duration>,
}

/// Looks at the line; keeps the answers of the history for a moment.
#[derive(Default)]
pub struct Looker {
    disks: Disks,
    standing: Mutex<Option<(Instant, Result<Standing, String>)>>,
}

impl Looker {
    /// How things stand now.
    pub async fn look(&self, phase: Phase) -> Sight {
        let (watched, line) = match phase {
            Phase::NotRunning(why, since) => return not_running(why, since.elapsed()),
            Phase::Running(watched) => match watched.line() {
                Some(line) => (watched, line),
                None => return not_running(NotRunning::Stopping, Duration::ZERO),
            },
        };
        let standing = self.standing(&line).await;
        let wanted = places(&line.config);
        let space = self.disks.space(&wanted.iter().map(|(_, folder)| folder.clone()).collect()).await;
        let disks = wanted.into_iter().filter_map(|(what, folder)| Some((what, folder.clone(), *space.get(&folder)?))).collect();
        // A full disk has a word of its own.
        let disk_full = line.store.full_since().is_some();
        let trouble = standing.as_ref().err().cloned().or_else(|| line.store.error_within(TROUBLE).map(|error| error.to_string()));
        let facts = Facts {
            not_running: None,
            stuck: line.progress.stuck(),
            database: trouble.filter(|_| !disk_full),
            disk_full,
            folders: folders(&line, &watched.roots),
            places: line.places.troubles(),
            waiting: line.waiting.told(),
        };
        let products = line.config.products.iter().map(|product| product.name.clone()).collect();
        let clock = Some(Arc::clone(&line.clock));
        Sight { facts, products, clock, standing: standing.ok(), disks, longest_waits: line.waiting.longest() }
    }

    /// Asks the history, one at a time; the error says what is wrong with it.
    async fn standing(&self, line: &Line) -> Result<Standing, String> {
        let mut kept = self.standing.lock().await;
        let fresh = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, answer)) = fresh {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PATIENCE, line.store.standing()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("{}: does not answer within {PATIENCE:?}", line.store.file().display())),
        };
        *kept = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn not_running(why: NotRunning, since: Duration) -> Sight {
    Sight { facts: Facts { not_running: Some((why, since)), ..Facts::default() }, ..Sight::default() }
}

fn folders(line: &Line, roots: &[(PathBuf, Arc<Pulse>)]) -> Vec<FolderFacts> {
    let troubles = line.status.troubles();
    let has = |folder: &Path, trouble| troubles.contains(&(folder.to_owned(), trouble));
    let facts = |(folder, pulse): &(PathBuf, Arc<Pulse>)| FolderFacts {
        state: if has(folder, watchdog::STUCK) {
            FolderState::Stuck
        } else if has(folder, recorder::LOST) {
            FolderState::Lost
        } else if has(folder, recorder::NOT_WATCHED) {
            FolderState::ScannedOnly
        } else {
            FolderState::Watched
        },
        folder: folder.clone(),
        since_scan: pulse.since_scan(),
        rescan: line.config.intake.rescan,
    };
    roots.iter().map(facts).collect()
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
