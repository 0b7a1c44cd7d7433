//! Deletes old files, in small steps beside the inspections. The history knows them, and keeps their rows.
//!
//! Order for one image: the files go → their folders are synced → the row says so. A crash in between leaves a row whose files are gone,
//! which the next walk finds and notes. So files can also be deleted while the disk of the database is full and nothing can be noted:
//! it is then that space is needed most.

mod batch;
mod disks;
mod gone;
mod outside;
mod protect;
mod remove;
mod space;
mod sweep;
mod tally;

pub use disks::Shortage;
pub use tally::{Count, Tally, Why, size};

use super::Line;
use super::clock::LineClock;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::history::{HistoryError, HistoryStore};
use crate::inspection::FileKind;
use outside::{News, Step, Witnesses};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sweep::Sweep;
use tokio_util::sync::CancellationToken;

/// How often the disks are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Between two batches, so that inspections have the disk and the database to themselves most of the time.
const PAUSE: Duration = Duration::from_millis(50);
/// The same after one that only looked.
const SHORT_PAUSE: Duration = Duration::from_millis(5);
/// Pause when the history cannot be read or written.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);
/// At most one event in this time tells what was deleted: a line deletes all day long as much as it writes.
const TELL_EVERY: Duration = Duration::from_secs(3600);

/// Runs until `stop`.
pub(super) async fn run(line: Arc<Line>, stop: CancellationToken) {
    if !line.config.products.iter().any(|product| product.retention.is_on()) {
        return stop.cancelled().await;
    }
    let (pulse, _watch) = line.progress.worker("retention");
    let witnesses = Witnesses { clock: Arc::clone(&line.clock), writing: Arc::clone(&line.writing), litter: Arc::clone(&line.litter) };
    let sweep = Sweep::new(line.config.products.clone(), line.store.clone(), witnesses, true, Arc::clone(&pulse));
    let mut worker = Worker { sweep, line, told: None, untold: Vec::new() };
    let mut looked: Option<Instant> = None;
    while !stop.is_cancelled() {
        let work = pulse.begin();
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            worker.sweep.look(worker.line.places.stuck_now()).await;
            looked = Some(Instant::now());
        }
        let pause = match worker.sweep.step().await {
            Ok(Step::Deleted) => PAUSE,
            Ok(Step::Passed) => SHORT_PAUSE,
            Ok(Step::Nothing) => {
                worker.tell_deleted();
                LOOK
            }
            Err(error) => {
                tracing::warn!(%error, "deleting old files pauses");
                HISTORY_PAUSE
            }
        };
        worker.tell_news();
        worker.record().await;
        drop(work);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    worker.told = None;
    worker.tell_deleted();
    worker.record().await;
}

struct Worker {
    line: Arc<Line>,
    sweep: Sweep,
    told: Option<Instant>,
    /// Events to be recorded; on a full disk they wait here.
    untold: Vec<(EventKind, String)>,
}

impl Worker {
    fn tell_deleted(&mut self) {
        if !self.sweep.tally.is_empty() && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let tally = std::mem::take(&mut self.sweep.tally);
            self.told = Some(Instant::now());
            self.event(EventKind::Retention, tally.text());
        }
    }

    fn tell_news(&mut self) {
        for news in std::mem::take(&mut self.sweep.news) {
            match news {
                News::Stuck(folder) => {
                    if self.line.places.stuck(&folder) {
                        let detail =
                            format!("{}: does not answer; its old files wait, others go on; check the share or the disk", folder.display());
                        self.event(EventKind::FolderStuck, detail);
                    }
                }
                News::Answers(folder) => {
                    if self.line.places.answered(&folder) {
                        self.event(EventKind::FolderStuckOver, format!("{}: answers again", folder.display()));
                        self.line.wake.notify_one();
                    }
                }
                News::Refused(folder, reason) => {
                    let detail = format!(
                        "{}: {reason}; give the service's user read and write rights to the folder, or have its files kept",
                        folder.display()
                    );
                    self.event(EventKind::RetentionRefused, detail);
                }
                News::Short(shortage) => self.event(EventKind::RetentionShort, shortage.text()),
                News::Enough(folder) => {
                    let detail = format!("{}: the free space that retention.min_free asks for is there again", folder.display());
                    self.event(EventKind::RetentionShortOver, detail);
                }
            }
        }
    }

    fn event(&mut self, kind: EventKind, detail: String) {
        self.line.log_event(kind, None, &detail);
        self.untold.push((kind, detail));
    }

    async fn record(&mut self) {
        while let Some((kind, detail)) = self.untold.first() {
            if let Err(error) = self.line.store.record_event(*kind, None, detail).await {
                tracing::debug!(%error, "event not recorded yet");
                return;
            }
            self.line.meters.event(*kind);
            self.untold.remove(0);
        }
    }
}

impl Shortage {
    /// What is wrong and what to do.
    pub fn text(&self) -> String {
        let Self { folder, product, min_free, space } = self;
        format!(
            "{}: {} free, but retention.min_free of {product} asks for {min_free} of {}, and nothing is left that may be deleted; make room, \
             or allow more: keep files of other kinds for a shorter time, add kinds to when_full, or shorten keep_at_least",
            folder.display(),
            size(space.free),
            size(space.total)
        )
    }
}

/// What a daemon would delete now.
#[derive(Debug)]
pub struct DryRun {
    /// The files, counted.
    pub tally: Tally,
    /// Disks on which there would still be too little space.
    pub short: Vec<Shortage>,
    /// Folders that do not answer or cannot be read, and why; what would be deleted there is not known.
    pub unread: Vec<(PathBuf, String)>,
}

/// Looks at all that may be deleted now and changes nothing; `tell` hears of each file.
///
/// # Errors
/// When the history cannot be read.
pub async fn dry_run(
    products: Vec<ProductConfig>,
    store: HistoryStore,
    mut tell: impl FnMut(&str, FileKind, Why, &Path),
) -> Result<DryRun, HistoryError> {
    let witnesses = Witnesses { clock: Arc::new(LineClock::open(&store).await?), writing: Arc::default(), litter: Arc::default() };
    let mut sweep = Sweep::new(products, store, witnesses, false, Arc::default());
    sweep.look(Vec::new()).await;
    loop {
        let more = sweep.step().await? != Step::Nothing;
        for (product, kind, why, path) in sweep.told.drain(..) {
            tell(&product, kind, why, &path);
        }
        if !more {
            break;
        }
    }
    let unread = |news: &News| match news {
        News::Stuck(folder) => Some((folder.clone(), "does not answer".to_owned())),
        News::Refused(folder, reason) => Some((folder.clone(), reason.clone())),
        News::Answers(_) | News::Short(_) | News::Enough(_) => None,
    };
    Ok(DryRun { short: sweep.shortages(), unread: sweep.news.iter().filter_map(unread).collect(), tally: sweep.tally })
}
