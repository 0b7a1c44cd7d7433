//! One run of the line with one configuration: what the tasks share, and the order in which they start and stop.

use super::acting::{self, Acting};
use super::active::{ActiveBank, ActiveBanks};
use super::bank_troubles::{self, BankTrouble, BankTroubles};
use super::clock::{self, LineClock};
use super::engine::EngineHandle;
use super::health::CameraHealth;
use super::inspector::read_reference;
use super::litter::Litter;
use super::monitoring::{Meters, Monitoring};
use super::places::Places;
use super::progress::Progress;
use super::source::Expectation;
use super::status::Status;
use super::waiting::{self, Waiting};
use super::writing::Writing;
use super::{aftermath, bank_keeper, dispatcher, full_disk, rebuilder, recorder, requests, retention, rules, watchdog};
use crate::codes::{EventKind, Level};
use crate::config::{Config, ProductConfig};
use crate::error::FatalError;
use crate::history::{BankRequest, HistoryError, HistoryStore};
use crate::inspection::Picture;
use crate::intake::{RootSpec, RootWorker, Writers};
use crate::routing::{Route, Router};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Reports waiting to be recorded. A full channel holds the intake threads up; what they miss meanwhile, their next scan finds.
const REPORTS: usize = 16;

/// How long a start or stop waits for a folder that may hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every task of the line shares.
pub struct Line {
    pub(super) config: Config,
    pub(super) router: Router,
    pub(super) store: HistoryStore,
    pub(super) clock: Arc<LineClock>,
    pub(super) banks: ActiveBanks,
    pub(super) bank_troubles: BankTroubles,
    pub(super) engine: EngineHandle,
    pub(super) status: Status,
    pub(super) progress: Arc<Progress>,
    pub(super) litter: Arc<Litter>,
    pub(super) writing: Arc<Writing>,
    pub(super) places: Places,
    pub(super) writers: Arc<Writers>,
    pub(super) cameras: CameraHealth,
    pub(super) meters: Arc<Meters>,
    pub(super) waiting: Waiting,
    /// Rung when there may be images to inspect.
    pub(super) wake: Notify,
    /// Marked when an image has been decided.
    pub(super) decided: watch::Sender<()>,
    /// One build at a time leaves the line its cores.
    pub(super) build_turn: Semaphore,
    /// Files of one bank at a time are read to see whether they were changed.
    pub(super) bank_reading: Semaphore,
    /// What people ask of the banks and is not done yet.
    pub(super) asked: watch::Sender<Vec<BankRequest>>,
    references: HashMap<String, Arc<Picture>>,
}

impl Line {
    pub(super) fn product(&self, name: &str) -> Option<&ProductConfig> {
        self.config.products.iter().find(|product| product.name == name)
    }

    pub(super) fn reference(&self, product: &str) -> Option<Arc<Picture>> {
        self.references.get(product).cloned()
    }

    /// Records an event; the log has it in any case.
    pub(super) async fn event(&self, kind: EventKind, product: Option<&str>, detail: &str) {
        self.log_event(kind, product, detail);
        match self.store.record_event(kind, product, detail).await {
            Ok(()) => self.meters.event(kind),
            Err(error) => tracing::error!(%error, "event not recorded"),
        }
    }

    /// Writes an event to the log alone, at its level.
    pub(super) fn log_event(&self, kind: EventKind, product: Option<&str>, detail: &str) {
        let code = kind.as_str();
        match kind.level() {
            Level::Error => tracing::error!(kind = code, product, detail, "event"),
            Level::Warn => tracing::warn!(kind = code, product, detail, "event"),
            Level::Info => tracing::info!(kind = code, product, detail, "event"),
        }
    }

    pub(super) async fn status_line(&self) -> String {
        let mut line = match self.store.pending().await {
            Ok(pending) => self.status.line(pending),
            Err(error) => format!("history not readable: {error}"),
        };
        if self.store.full_since().is_some() {
            line += ", intake pauses: the disk of the database is full";
        }
        for folder in self.places.to_avoid() {
            line += &format!(", waits for {}", folder.display());
        }
        for told in self.waiting.told() {
            line += &format!(", {told}");
        }
        for stuck in self.progress.stuck() {
            line += &format!(", {} is stuck", stuck.worker);
        }
        if let Ok(waiting) = self.store.waiting().await {
            for (count, what) in [(waiting.actions, "actions"), (waiting.messages, "messages")] {
                if count > 0 {
                    line += &format!(", {count} {what} wait");
                }
            }
        }
        line
    }
}

/// A started line.
pub struct Running {
    line: Arc<Line>,
    intake: Vec<RootWorker>,
    dispatcher: tokio::task::JoinHandle<Result<(), HistoryError>>,
    recorder: tokio::task::JoinHandle<()>,
    watchdog: tokio::task::JoinHandle<()>,
    /// And the keepers of the banks.
    rebuilders: JoinSet<()>,
    retention: tokio::task::JoinHandle<()>,
    acting: Acting,
    full_disk: tokio::task::JoinHandle<()>,
    clock: tokio::task::JoinHandle<()>,
    requests: tokio::task::JoinHandle<()>,
    waiting: tokio::task::JoinHandle<()>,
    stop_intake: CancellationToken,
    stop_work: CancellationToken,
}

/// Starts a line on a history and an engine: banks → rebuilders → actions → dispatcher → recorder → intake.
///
/// # Errors
/// When a thread cannot be started.
pub async fn start(
    config: Config,
    (store, clock): (HistoryStore, Arc<LineClock>),
    engine: EngineHandle,
    progress: &Arc<Progress>,
    monitoring: &Monitoring,
) -> Result<Running, FatalError> {
    let no_thread = |e: std::io::Error| FatalError::Worker { worker: "threads", reason: e.to_string() };
    let router = rules::check_routing(&config)?;
    let line = Arc::new(Line {
        references: read_references(&config).await,
        router,
        store,
        clock,
        banks: ActiveBanks::default(),
        bank_troubles: BankTroubles::default(),
        engine,
        status: Status::default(),
        progress: Arc::clone(progress),
        litter: Arc::default(),
        writing: Arc::default(),
        places: Places::default(),
        writers: Arc::default(),
        cameras: CameraHealth::default(),
        meters: monitoring.meters(),
        waiting: Waiting::default(),
        wake: Notify::new(),
        decided: watch::Sender::new(()),
        build_turn: Semaphore::new(1),
        bank_reading: Semaphore::new(1),
        asked: watch::Sender::default(),
        config,
    });
    line.meters.show(&line.config.products);
    let (pulse, _watch) = progress.worker("start");
    let work = pulse.begin();
    // Also after a reload: from here on the folders are looked at anew, and what was said of them before no longer holds.
    line.event(EventKind::Start, None, concat!("patchcored ", env!("CARGO_PKG_VERSION"))).await;
    if let Some(news) = line.store.news() {
        line.event(EventKind::DatabaseReplaced, None, &news).await;
    }
    aftermath::look(&line).await;
    futures::future::join_all(line.config.products.iter().map(|product| adopt(&line, product))).await;
    // From here on the engine has the work, and is watched for itself.
    drop(work);
    line.engine.warm_up(banks_to_load(&line)).await;

    clock::watch::settle(&line).await;
    // Before a rebuilder looks at its ok folder: a rollback that was not finished decides what is to be built.
    requests::look(&line).await;
    let (stop_intake, stop_work) = (CancellationToken::new(), CancellationToken::new());
    let mut rebuilders = JoinSet::new();
    for product in line.config.products.clone() {
        rebuilders.spawn(bank_keeper::run(Arc::clone(&line), product.clone(), stop_work.clone()));
        rebuilders.spawn(rebuilder::run(Arc::clone(&line), product, stop_work.clone()));
    }
    let acting = acting::start(&line).await;
    let dispatcher = tokio::spawn(dispatcher::run(Arc::clone(&line), stop_work.clone()));
    let (reports, inbox) = mpsc::channel(REPORTS);
    let recorder = tokio::spawn(recorder::run(Arc::clone(&line), inbox, stop_intake.clone()));
    let intake: Vec<RootWorker> =
        root_specs(&line).into_iter().map(|spec| RootWorker::start(spec, reports.clone())).collect::<Result<_, _>>().map_err(no_thread)?;
    let threads: Vec<_> = intake.iter().map(|worker| (worker.root().to_owned(), worker.pulse())).collect();
    monitoring.line_runs(&line, threads.clone());
    let watchdog = tokio::spawn(watchdog::run(Arc::clone(&line), threads));
    let full_disk = tokio::spawn(full_disk::run(Arc::clone(&line)));
    let clock = tokio::spawn(clock::watch::run(Arc::clone(&line)));
    let retention = tokio::spawn(retention::run(Arc::clone(&line), stop_work.clone()));
    let requests = tokio::spawn(requests::run(Arc::clone(&line)));
    let waiting = tokio::spawn(waiting::run(Arc::clone(&line)));
    Ok(Running {
        line,
        intake,
        dispatcher,
        recorder,
        watchdog,
        rebuilders,
        retention,
        acting,
        full_disk,
        clock,
        requests,
        waiting,
        stop_intake,
        stop_work,
    })
}

/// All banks in use, those first whose images come.
fn banks_to_load(line: &Line) -> Vec<ActiveBank> {
    let mut products: Vec<&str> = line.config.products.iter().map(|product| product.name.as_str()).collect();
    products.sort_by_key(|product| !line.config.is_on(product));
    products.into_iter().filter_map(|product| line.banks.get(product)).collect()
}

/// Which bank a product uses may not be to be told now; that keeps no other from starting, and its keeper asks again.
async fn adopt(line: &Line, product: &ProductConfig) {
    let Err(error) = rebuilder::adopt(line, product).await else { return };
    bank_troubles::tell(line, product, BankTrouble::Unusable, &format!("{error:#}")).await;
    if let Err(error) = line.store.set_waiting_for_bank(&product.name).await {
        tracing::error!(%error, "history not written; images that wait for a bank do not say so");
    }
}

async fn read_references(config: &Config) -> HashMap<String, Arc<Picture>> {
    let mut references = HashMap::new();
    for product in config.products.iter().filter(|product| product.outputs.side_by_side) {
        let Some(path) = product.reference.clone() else { continue };
        let expect = Expectation { max_megapixels: config.intake.max_megapixels, input: product.input.clone(), ..Expectation::default() };
        let reading = tokio::task::spawn_blocking(move || read_reference(&path, &expect));
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(read) => references.extend(read.ok().flatten().map(|picture| (product.name.clone(), picture))),
            Err(_) => tracing::warn!(product = %product.name, "reference does not answer; no side-by-side is written"),
        }
    }
    references
}

fn root_specs(line: &Arc<Line>) -> Vec<RootSpec> {
    let markers: Vec<String> = rules::markers(&line.config);
    let roots = line.router.roots();
    let paths: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    roots
        .into_iter()
        .map(|root| {
            let line = Arc::clone(line);
            let entering = Arc::clone(&line);
            let others: Vec<PathBuf> = paths.iter().filter(|other| **other != root.path).cloned().collect();
            RootSpec {
                path: root.path.clone(),
                recursive: root.recursive,
                rescan: line.config.intake.rescan,
                markers: markers.clone(),
                writers: Arc::clone(&line.writers),
                classify: Arc::new(move |path| match line.router.route(path) {
                    Route::Product(rule) => Some(rule.readiness.clone()),
                    // Recorded as failed, so that nobody waits for it; complete when its writer closes it.
                    Route::Unrouted => Some(crate::inspection::Readiness::CloseWrite),
                    Route::Ignored => None,
                }),
                // A drop folder within this one that is excluded from it has a thread of its own.
                enters: Arc::new(move |folder| entering.router.enters(folder) && !others.iter().any(|other| folder == other)),
            }
        })
        .collect()
}

impl Running {
    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Resolves when a worker ended although nobody asked it to.
    pub async fn worker_ended(&mut self) -> FatalError {
        let worker = |worker, reason: String| FatalError::Worker { worker, reason };
        tokio::select! {
            ended = &mut self.dispatcher => match ended {
                Ok(Err(error)) => FatalError::History(error.into()),
                Ok(Ok(())) => worker("dispatcher", "it returned".to_owned()),
                Err(error) => worker("dispatcher", error.to_string()),
            },
            ended = &mut self.recorder => worker("recorder", ended.map_or_else(|e| e.to_string(), |()| "it returned".to_owned())),
            ended = &mut self.retention => worker("retention", ended.map_or_else(|e| e.to_string(), |()| "it returned".to_owned())),
            ended = &mut self.clock => worker("clock", ended.map_or_else(|e| e.to_string(), |()| "it returned".to_owned())),
            ended = &mut self.waiting => worker("waiting", ended.map_or_else(|e| e.to_string(), |()| "it returned".to_owned())),
            reason = self.acting.ended() => worker("acting", reason),
            error = self.line.store.lost() => FatalError::History(error.into()),
            Some(ended) = self.rebuilders.join_next() => worker("rebuilder", ended.map_or_else(|e| e.to_string(), |()| "it returned".to_owned())),
        }
    }

    /// Stops in this order: intake → recorder → the images in hand → rebuilders and their children → retention → actions. History and
    /// engine stay.
    pub async fn stop(mut self) {
        for worker in &self.intake {
            worker.stop();
        }
        self.stop_intake.cancel();
        self.watchdog.abort();
        if !self.recorder.is_finished() {
            let _ = (&mut self.recorder).await;
        }
        self.stop_work.cancel();
        if !self.dispatcher.is_finished() {
            let _ = (&mut self.dispatcher).await;
        }
        let rebuilders_end = async { while self.rebuilders.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, rebuilders_end).await.is_err() {
            tracing::warn!("an ok or bank folder does not answer; it is not waited for");
        }
        if !self.retention.is_finished() && tokio::time::timeout(PATIENCE, &mut self.retention).await.is_err() {
            self.retention.abort();
            tracing::warn!("a folder with old files does not answer; it is not waited for");
        }
        self.acting.stop().await;
        self.full_disk.abort();
        self.clock.abort();
        self.requests.abort();
        self.waiting.abort();
        // The threads hold the line through their specs; they end at their next turn, and a hung one is left behind.
        let patience = tokio::time::Instant::now() + Duration::from_secs(2);
        while !self.intake.iter().all(RootWorker::has_ended) && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.intake.clear();
    }
}
