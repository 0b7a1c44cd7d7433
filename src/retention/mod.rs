//! Deletes old files, in small steps beside the inspections. The history knows the files, and keeps their rows.
//!
//! The order for one image: delete the files → sync their folders → note it in the row. After a crash in between, the files of a row are
//! gone; the next walk finds and notes that. So the daemon can delete files even while the database's disk is full and it can note nothing.
//! Then space is needed most.

mod batch;
mod disks;
mod gone;
mod outside;
mod protect;
mod remove;
mod rows;
mod sweep;
mod tally;

pub use disks::Shortage;
pub use outside::Witnesses;
pub use tally::{Count, Tally, Why, size};

use crate::archive::RowArchive;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::domain::FileKind;
use crate::history::{DeletableFiles, HistoryError};
use crate::platform::clock::LineClock;
use crate::supervisor::{self, Stage, Supervisor, Wakes};
use crate::telemetry::{Event, Telemetry};
use outside::{News, Step};
use rows::OldRows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sweep::Sweep;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the daemon looks at the disks.
const LOOK: Duration = Duration::from_secs(2);
/// The pause between two batches. Most of the time, inspections have the disk and the database to themselves.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause after a batch that only looked.
const SHORT_PAUSE: Duration = Duration::from_millis(5);
/// Pause when the history cannot be read or written.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);
/// At most one event per this time reports deletions: a line deletes all day long as much as it writes.
const TELL_EVERY: Duration = Duration::from_secs(3600);

/// Everything that retention needs.
pub struct RetentionContext {
    /// The products, and how long files of each are kept.
    pub products: Vec<ProductConfig>,
    /// The files, as far as the history knows them.
    pub deletable: DeletableFiles,
    /// The way of old rows out of the history.
    pub archive: RowArchive,
    /// Other parts that know the files.
    pub witnesses: Witnesses,
    /// Where the news goes.
    pub telemetry: Telemetry,
    /// Notified when images may continue.
    pub wake: Arc<Notify>,
}

/// Starts the worker that deletes old files; it runs until `stop`.
pub fn start(supervisor: &mut Supervisor, context: RetentionContext, stop: CancellationToken) {
    supervisor.start(supervisor::Worker::new("retention", Stage::Retention, Wakes::Every(LOOK)), run(context, stop));
}

async fn run(context: RetentionContext, stop: CancellationToken) {
    let RetentionContext { products, deletable, archive, witnesses, telemetry, wake } = context;
    if !products.iter().any(|product| product.retention.is_on()) {
        return stop.cancelled().await;
    }
    let (pulse, _watch) = telemetry.progress.worker("retention");
    let rows = OldRows::new(&products, archive, Arc::clone(&witnesses.clock));
    let sweep = Sweep::new(products, deletable, witnesses, true, Arc::clone(&pulse));
    let mut worker = Worker { sweep, rows, telemetry, wake, told: None, told_rows: None, untold: Vec::new() };
    let mut looked: Option<Instant> = None;
    while !stop.is_cancelled() {
        let work = pulse.begin();
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            worker.sweep.look(worker.telemetry.folders.stuck_now()).await;
            looked = Some(Instant::now());
        }
        let pause = match worker.sweep.step().await {
            Ok(Step::Deleted) => PAUSE,
            Ok(Step::Passed) => SHORT_PAUSE,
            // Rows go after the files.
            Ok(Step::Nothing) if worker.move_rows().await => PAUSE,
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
    (worker.told, worker.told_rows) = (None, None);
    worker.tell_deleted();
    worker.record().await;
}

struct Worker {
    sweep: Sweep,
    rows: OldRows,
    telemetry: Telemetry,
    wake: Arc<Notify>,
    told: Option<Instant>,
    told_rows: Option<Instant>,
    /// Events to record; on a full disk they wait here.
    untold: Vec<Event>,
}

impl Worker {
    fn tell_deleted(&mut self) {
        let is_due = |told: Option<Instant>| told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if !self.sweep.tally.is_empty() && is_due(self.told) {
            let tally = std::mem::take(&mut self.sweep.tally);
            self.told = Some(Instant::now());
            self.event(Event::new(EventKind::Retention, tally.text()));
        }
        if is_due(self.told_rows)
            && let Some(moved) = self.rows.told()
        {
            self.told_rows = Some(Instant::now());
            self.event(Event::new(EventKind::RowsMoved, moved));
        }
    }

    /// True when some were moved.
    async fn move_rows(&mut self) -> bool {
        match self.rows.step().await {
            Ok(moved) => moved,
            Err(error) => {
                self.event(Event::new(EventKind::RowsNotMoved, format!("{error}; tried again in an hour")));
                false
            }
        }
    }

    fn tell_news(&mut self) {
        for news in std::mem::take(&mut self.sweep.news) {
            match news {
                News::Stuck(folder) => {
                    if self.telemetry.folders.stuck(&folder) {
                        let shown = folder.display();
                        let detail = format!("{shown}: does not answer; its old files wait, others go on; check the share or the disk");
                        self.event(Event::new(EventKind::FolderStuck, detail).at(folder.as_path()));
                    }
                }
                News::Answers(folder) => {
                    if self.telemetry.folders.answered(&folder) {
                        let detail = format!("{}: answers again", folder.display());
                        self.event(Event::new(EventKind::FolderStuckOver, detail).at(folder.as_path()));
                        self.wake.notify_one();
                    }
                }
                News::Refused(folder, reason) => {
                    let detail = format!(
                        "{}: {reason}; give the service's user read and write rights to the folder, or have its files kept",
                        folder.display()
                    );
                    self.event(Event::new(EventKind::RetentionRefused, detail).at(folder.as_path()));
                }
                News::Short(shortage) => self.event(Event::new(EventKind::RetentionShort, shortage.text()).at(shortage.folder.as_path())),
                News::Enough(folder) => {
                    let detail = format!("{}: the free space that retention.min_free asks for is there again", folder.display());
                    self.event(Event::new(EventKind::RetentionShortOver, detail).at(folder.as_path()));
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.telemetry.events.log(&event);
        self.untold.push(event);
    }

    async fn record(&mut self) {
        while let Some(event) = self.untold.first() {
            if let Err(error) = self.telemetry.events.record(event).await {
                tracing::debug!(%error, "event not recorded yet");
                return;
            }
            self.untold.remove(0);
        }
    }
}

impl Shortage {
    /// The problem and the remedy.
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

/// The files that a daemon would delete now.
#[derive(Debug)]
pub struct DryRun {
    /// The counts of the files.
    pub tally: Tally,
    /// The rows that would be moved out of the history, by product.
    pub rows: BTreeMap<String, u64>,
    /// Disks that would still have too little space.
    pub short: Vec<Shortage>,
    /// Folders that do not answer or cannot be read, and why. Nobody knows what would be deleted there.
    pub unread: Vec<(PathBuf, String)>,
}

/// Looks at all files that may be deleted now, and changes nothing. `tell` gets each file.
///
/// # Errors
/// When the history cannot be read.
pub async fn dry_run(
    products: Vec<ProductConfig>,
    (deletable, archive): (DeletableFiles, RowArchive),
    clock: LineClock,
    mut tell: impl FnMut(&str, FileKind, Why, &Path),
) -> Result<DryRun, HistoryError> {
    let witnesses = Witnesses { clock: Arc::new(clock), claims: Arc::default(), leftovers: Arc::default() };
    let rows = OldRows::new(&products, archive, Arc::clone(&witnesses.clock)).count().await?;
    let mut sweep = Sweep::new(products, deletable, witnesses, false, Arc::default());
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
    Ok(DryRun { short: sweep.shortages(), unread: sweep.news.iter().filter_map(unread).collect(), tally: sweep.tally, rows })
}
