//! The snapshot, and the function that takes it.

use super::bank_state::{bank_event_kinds, bank_trouble};
use super::folder_state::{Since, folder_event_kinds, folder_state};
use crate::codes::EventKind;
use crate::config::Config;
use crate::database::Database;
use crate::domain::{FolderState, FolderTrouble};
use crate::history::{LineRecord, LineRecords};
use crate::intake::IntakePulse;
use crate::platform::clock::LineClock;
use crate::routing::Root;
use crate::telemetry::{FolderFault, Stuck, Telemetry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An error of the history counts for this long: as long as it lasts, the line meets it again sooner than that.
const TROUBLE: Duration = Duration::from_secs(15);

/// How the line stands at one moment.
#[derive(Debug, Default)]
pub struct LineSnapshot {
    /// Why no line runs, and for how long; `None` when one does.
    pub not_running: Option<(NotRunning, Duration)>,
    /// The names of the products, in the order of the configuration.
    pub products: Vec<String>,
    /// Tells the ages of the times in `recorded`.
    pub clock: Option<Arc<LineClock>>,
    /// What the history says; `None` when it does not answer.
    pub recorded: Option<LineRecord>,
    /// Why the history does not answer.
    pub unreadable: Option<Unreadable>,
    /// The problem of the database, if any; a full disk has a word of its own.
    pub database: Option<String>,
    /// Intake and inspection pause because the disk of the database is full.
    pub disk_full: bool,
    /// The drop folders that are watched.
    pub drop_folders: Vec<DropFolderStanding>,
    /// The banks in trouble; only in [`Witness::Events`], as no view of the daemon shows them.
    pub bank_troubles: Vec<BankTroubleStanding>,
    /// Workers that have work and have made no progress for too long.
    pub stuck: Vec<Stuck>,
    /// Folders in which work fails, and why.
    pub faults: Vec<(PathBuf, FolderFault)>,
    /// Folders in which no work begins now.
    pub avoided: Vec<PathBuf>,
    /// Images, defects and messages that have waited too long for what does not come by itself, in words.
    pub waiting: Vec<String>,
    /// How long the oldest image, defect or message has waited, for each reason.
    pub longest_waits: BTreeMap<String, Duration>,
}

/// Why no line runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRunning {
    /// The daemon is starting the first line.
    Starting,
    /// The daemon is putting a new configuration in use.
    Reloading,
    /// The daemon ends.
    Stopping,
}

/// Why the history does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A drop folder.
#[derive(Debug, Clone)]
pub struct DropFolderStanding {
    /// The folder.
    pub folder: PathBuf,
    /// How the daemon finds its new files.
    pub state: FolderState,
    /// When its trouble began, and what the daemon said then; only in [`Witness::Events`].
    pub trouble: Option<Since>,
    /// The time since the last full scan ended, and the configured time between two scans; only in [`Witness::Daemon`].
    pub scan: Option<(Duration, Duration)>,
}

/// A bank in trouble.
#[derive(Debug, Clone)]
pub struct BankTroubleStanding {
    /// Its product.
    pub product: String,
    /// The kind of the event that reported it.
    pub code: String,
    /// When it began, and what the daemon said then.
    pub since: Since,
}

/// A running line, as far as others look at it.
#[derive(Clone)]
pub struct LineView {
    /// Its configuration.
    pub config: Arc<Config>,
    /// What the history says of it.
    pub records: LineRecords,
    /// The file of its history.
    pub database: Database,
    /// Its clock.
    pub clock: Arc<LineClock>,
    /// What it tells of itself.
    pub telemetry: Telemetry,
    /// The watched drop folders, and the pulse of the thread of each.
    pub threads: Vec<(PathBuf, Arc<IntakePulse>)>,
}

/// Who knows what is not in the rows of the history.
#[derive(Clone, Copy)]
pub enum Witness<'a> {
    /// The daemon itself: its memory says how its folders and workers are.
    Daemon(&'a LineView),
    /// A command beside the daemon. It is another process and does not see that memory, so it goes by the events that the daemon wrote.
    /// These tell of drop folders and banks only.
    Events {
        /// The configuration in use.
        config: &'a Config,
        /// The clock, as the history knows it.
        clock: &'a Arc<LineClock>,
        /// The folders that a daemon with this configuration watches.
        roots: &'a [Root],
        /// Whether the daemon runs. The events of one that has ended say nothing of now.
        running: bool,
    },
}

/// The kinds of events that [`Witness::Events`] needs.
pub fn event_kinds() -> Vec<EventKind> {
    [folder_event_kinds(), bank_event_kinds()].concat()
}

/// Takes the snapshot. `recorded` is what [`LineRecords::take`] says; a caller that is asked often keeps it for a moment.
pub fn take(recorded: Result<LineRecord, Unreadable>, witness: Witness<'_>) -> LineSnapshot {
    let snapshot = match witness {
        Witness::Daemon(line) => by_memory(line, recorded.as_ref().err()),
        Witness::Events { config, clock, roots, running } => {
            let of_running = recorded.as_ref().ok().filter(|_| running);
            LineSnapshot {
                products: names(config),
                clock: Some(Arc::clone(clock)),
                ..of_running.map(|recorded| by_events(recorded, config, roots)).unwrap_or_default()
            }
        }
    };
    let (recorded, unreadable) = match recorded {
        Ok(recorded) => (Some(recorded), None),
        Err(why) => (None, Some(why)),
    };
    LineSnapshot { recorded, unreadable, ..snapshot }
}

fn by_memory(line: &LineView, unreadable: Option<&Unreadable>) -> LineSnapshot {
    let LineView { config, database, clock, telemetry, .. } = line;
    let disk_full = database.full_since().is_some();
    let trouble = unreadable.map(ToString::to_string).or_else(|| database.error_within(TROUBLE).map(|error| error.to_string()));
    LineSnapshot {
        products: names(config),
        clock: Some(Arc::clone(clock)),
        database: trouble.filter(|_| !disk_full),
        disk_full,
        drop_folders: line.threads.iter().map(|(folder, pulse)| drop_folder(line, folder, pulse)).collect(),
        stuck: telemetry.progress.stuck(),
        faults: telemetry.folders.faults(),
        avoided: telemetry.folders.to_avoid(),
        waiting: telemetry.waits.told(),
        longest_waits: telemetry.waits.longest(),
        ..LineSnapshot::default()
    }
}

fn drop_folder(line: &LineView, folder: &Path, pulse: &IntakePulse) -> DropFolderStanding {
    let has = |trouble| line.telemetry.status.has_trouble(folder, trouble);
    let state = if has(FolderTrouble::NoAnswer) {
        FolderState::Stuck
    } else if has(FolderTrouble::Lost) {
        FolderState::Lost
    } else if has(FolderTrouble::NotWatched) {
        FolderState::ScannedOnly
    } else {
        FolderState::Watched
    };
    DropFolderStanding { folder: folder.to_owned(), state, trouble: None, scan: Some((pulse.since_scan(), line.config.intake.rescan)) }
}

fn by_events(recorded: &LineRecord, config: &Config, roots: &[Root]) -> LineSnapshot {
    let events = &recorded.details.events;
    let drop_folder = |root: &Root| {
        let (state, trouble) = folder_state(&root.path, events);
        DropFolderStanding { folder: root.path.clone(), state, trouble, scan: None }
    };
    let bank_trouble = |product: String| {
        let event = bank_trouble(&product, events)?;
        let since = Since { since: event.at.clone(), reason: event.detail.clone() };
        Some(BankTroubleStanding { code: event.kind.clone(), since, product })
    };
    LineSnapshot {
        drop_folders: roots.iter().map(drop_folder).collect(),
        bank_troubles: names(config).into_iter().filter_map(bank_trouble).collect(),
        ..LineSnapshot::default()
    }
}

fn names(config: &Config) -> Vec<String> {
    config.products.iter().map(|product| product.name.clone()).collect()
}
