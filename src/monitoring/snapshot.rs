//! Takes the snapshots that the pages are rendered from: nothing here writes, and nothing waits longer than a few seconds.

use super::disks::DiskAnswers;
use crate::config::Config;
use crate::history::{LineRecord, Scope};
use crate::platform::disk_space::DiskSpace;
use crate::snapshot::{LineSnapshot, LineView, NotRunning, Unreadable, Witness, take};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Answers of the history are good for this long, however many ask.
const FRESH: Duration = Duration::from_secs(3);
/// How long the history has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the line is doing.
#[derive(Clone)]
pub enum LinePhase {
    /// No line runs, since then.
    NotRunning(NotRunning, Instant),
    /// One does.
    Running(Arc<LineView>),
}

/// What each folder is for (`database`, `outputs`, `bank`), the folder, and its disk.
pub type Disks = Vec<(&'static str, PathBuf, DiskSpace)>;

/// Looks at the line; keeps the answers of the history for a moment.
#[derive(Default)]
pub struct SnapshotTaker {
    disks: DiskAnswers,
    recorded: Mutex<Option<(Instant, Result<LineRecord, Unreadable>)>>,
}

impl SnapshotTaker {
    /// How things stand now, and the disks.
    pub async fn look(&self, phase: LinePhase) -> (LineSnapshot, Disks) {
        let line = match phase {
            LinePhase::NotRunning(why, since) => {
                return (LineSnapshot { not_running: Some((why, since.elapsed())), ..LineSnapshot::default() }, Disks::new());
            }
            LinePhase::Running(line) => line,
        };
        let recorded = self.recorded(&line).await;
        let wanted = places(&line.config);
        let space = self.disks.space(&wanted.iter().map(|(_, folder)| folder.clone()).collect()).await;
        let disks = wanted.into_iter().filter_map(|(what, folder)| Some((what, folder.clone(), *space.get(&folder)?))).collect();
        (take(recorded, Witness::Daemon(&line)), disks)
    }

    /// Asks the history, one at a time; the error says what is wrong with it.
    async fn recorded(&self, line: &LineView) -> Result<LineRecord, Unreadable> {
        let mut kept = self.recorded.lock().await;
        let fresh = kept.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, answer)) = fresh {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PATIENCE, line.records.take(Scope::Brief)).await {
            Ok(answer) => answer.map_err(|error| Unreadable(error.to_string())),
            Err(_) => Err(Unreadable(format!("{}: does not answer within {PATIENCE:?}", line.database.file().display()))),
        };
        *kept = Some((Instant::now(), answer.clone()));
        answer
    }
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
