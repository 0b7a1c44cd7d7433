//! One run of the line with one configuration: the order in which its workers start and stop.

use super::error::FatalError;
use super::long_lived::LineParts;
use super::workers::{self, Tokens};
use crate::banks::{ActiveBank, ActiveBanks, BanksInUse};
use crate::codes::EventKind;
use crate::config::{Config, ProductConfig};
use crate::database::{CARETAKER_LOOK, look_after};
use crate::domain::{BankTrouble, error_text};
use crate::history::{BankRequest, HistoryStore, Scope};
use crate::inspect::OutputClaims;
use crate::intake::{RootWorker, Writers};
use crate::line::{self, CameraHealth, ClockWatch, ImageFiles, InspectorContext, Products, RecorderContext, Signals};
use crate::monitoring::Monitoring;
use crate::platform::folder_io::PATIENCE;
use crate::platform::leftovers::Leftovers;
use crate::rebuild::{self, Requests};
use crate::routing::rules;
use crate::snapshot::{LineView, Unreadable, Witness, sentence, take};
use crate::supervisor::{Stage, Supervisor, Wakes, Worker};
use crate::telemetry::{Event, Progress, Telemetry};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Reports that may wait to be recorded. A full channel holds up the intake threads; their next scan finds what they missed.
const REPORTS: usize = 16;
/// How long the daemon waits at a stop before it ends running commands and messages. With all other waits of a stop, this stays below the
/// unit's TimeoutStopSec.
const FOLLOW_UP_PATIENCE: Duration = Duration::from_secs(20);

/// A started line.
pub struct Line {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its history.
    pub store: HistoryStore,
    /// Its events, counters and status.
    pub telemetry: Telemetry,
    /// What others see of it.
    pub view: LineView,
    intake: Vec<RootWorker>,
    tokens: Tokens,
}

/// Starts a line on a history and an engine: banks → rebuilders → actions → dispatcher → recorder → intake → the rest.
///
/// # Errors
/// When a thread cannot be started.
pub async fn start(
    config: Config,
    parts: LineParts,
    supervisor: &mut Supervisor,
    progress: &Arc<Progress>,
    monitoring: &Monitoring,
) -> Result<Line, FatalError> {
    let router = rules::check_routing(&config)?;
    let (config, LineParts { store, clock, lock, engine }) = (Arc::new(config), parts);
    let telemetry = Telemetry::new(Arc::new(store.events()), monitoring.counters(), Arc::clone(progress));
    let signals = Signals { wake: Arc::new(Notify::new()), decided: watch::Sender::new(()) };
    let banks = BanksInUse {
        rows: store.banks(),
        active: Arc::<ActiveBanks>::default(),
        telemetry: telemetry.clone(),
        wake: Arc::clone(&signals.wake),
    };
    let (leftovers, claims) = (Arc::<Leftovers>::default(), Arc::<OutputClaims>::default());
    let files = Arc::new(ImageFiles {
        writers: Arc::<Writers>::default(),
        leftovers,
        claims,
        references: line::read_references(&config).await,
        cameras: Arc::<CameraHealth>::default(),
    });
    let products = Arc::new(Products { config: Arc::clone(&config), router });
    telemetry.counters.show(config.products.iter().map(|product| product.name.as_str()));
    let keeper = Worker::new("database keeper", Stage::Watch, Wakes::Every(CARETAKER_LOOK));
    supervisor.start(keeper, look_after(store.database().clone(), lock));

    let (pulse, _watch) = progress.worker("start");
    let work = pulse.begin();
    // Also after a reload: from here on the folders are looked at again, and earlier reports about them are no longer valid.
    telemetry.events.tell(Event::new(EventKind::Start, concat!("patchcored ", env!("CARGO_PKG_VERSION")))).await;
    if let Some(news) = store.database().news() {
        telemetry.events.tell(Event::new(EventKind::DatabaseReplaced, news)).await;
    }
    line::look_for_deaths(&store.queue(), &telemetry).await;
    futures::future::join_all(config.products.iter().map(|product| adopt(&banks, product))).await;
    // From here on the engine has the work, and has its own watch.
    drop(work);
    engine.warm_up(banks_to_load(&config, &banks.active)).await;

    let clock_watch = ClockWatch {
        clock: Arc::clone(&clock),
        stored: store.clock(),
        telemetry: telemetry.clone(),
        give_up_after: config.intake.give_up_after,
        wake: Arc::clone(&signals.wake),
    };
    clock_watch.settle().await;
    let asked = watch::Sender::<Vec<BankRequest>>::default();
    let requests = Requests { rows: store.bank_requests(), config: Arc::clone(&config), asked: asked.clone() };
    // This must come before a rebuilder looks at its ok folder: an unfinished rollback decides what to build.
    requests.look().await;

    let tokens = Tokens::default();
    let context = InspectorContext {
        products: Arc::clone(&products),
        queue: store.queue(),
        clock: Arc::clone(&clock),
        banks: Arc::clone(&banks.active),
        engine,
        telemetry: telemetry.clone(),
        files: Arc::clone(&files),
        signals,
    };
    rebuild::start(supervisor, &config, &banks, (asked, store.bank_requests()), &tokens.work);
    workers::start_follow_up(supervisor, &context, &store, &tokens).await;
    workers::start_images(supervisor, &context, &tokens);
    let recorder = RecorderContext {
        products: Arc::clone(&products),
        arrivals: store.arrivals(),
        banks: Arc::clone(&banks.active),
        cameras: Arc::clone(&files.cameras),
        telemetry: telemetry.clone(),
        wake: Arc::clone(&context.signals.wake),
    };
    let (reports, inbox) = mpsc::channel(REPORTS);
    let recording = line::record_arrivals(recorder, inbox, tokens.intake.clone());
    supervisor.start(Worker::new("recorder", Stage::Intake, Wakes::On("a report of the intake")), recording);
    let intake = line::start_intake(&products, &files.writers, &reports).map_err(|error| FatalError::not_started("intake", &error))?;
    let threads: Vec<_> = intake.iter().map(|worker| (worker.root().to_owned(), worker.pulse())).collect();
    let view = LineView {
        config: Arc::clone(&config),
        records: store.records(),
        database: store.database().clone(),
        clock,
        telemetry: telemetry.clone(),
        threads,
    };
    monitoring.line_runs(view.clone());
    workers::start_watches(supervisor, &view, (&context, &store), clock_watch, requests);
    workers::start_retention(supervisor, &context, &store, &tokens);
    Ok(Line { config, store, telemetry, view, intake, tokens })
}

/// All banks in use; those of products that are on come first.
fn banks_to_load(config: &Config, banks: &ActiveBanks) -> Vec<ActiveBank> {
    let mut products: Vec<&str> = config.products.iter().map(|product| product.name.as_str()).collect();
    products.sort_by_key(|product| !config.is_on(product));
    products.into_iter().filter_map(|product| banks.get(product)).collect()
}

/// Nobody may be able to tell now which bank a product uses. The other products start all the same, and its keeper asks again.
async fn adopt(banks: &BanksInUse, product: &ProductConfig) {
    let Err(error) = banks.adopt(product).await else { return };
    banks.telemetry.banks.begins(&product.name, &product.bank, BankTrouble::Unusable, &error_text(&error)).await;
    if let Err(error) = banks.rows.set_waiting_for_bank(&product.name).await {
        tracing::error!(%error, "history not written; images that wait for a bank do not say so");
    }
}

impl Line {
    /// Stops in this order: intake → recorder → the images in hand → rebuilders and their children → retention → actions and messages.
    /// History and engine stay.
    pub async fn stop(mut self, supervisor: &mut Supervisor) {
        supervisor.abort(Stage::Guard).await;
        for worker in &self.intake {
            worker.stop();
        }
        self.tokens.intake.cancel();
        supervisor.join(Stage::Intake).await;
        self.tokens.work.cancel();
        supervisor.join(Stage::Images).await;
        if tokio::time::timeout(PATIENCE, supervisor.join(Stage::Banks)).await.is_err() {
            tracing::warn!("an ok or bank folder does not answer; it is not waited for");
            supervisor.abort(Stage::Banks).await;
        }
        if tokio::time::timeout(PATIENCE, supervisor.join(Stage::Retention)).await.is_err() {
            tracing::warn!("a folder with old files does not answer; it is not waited for");
            supervisor.abort(Stage::Retention).await;
        }
        self.tokens.follow_up.cancel();
        if tokio::time::timeout(FOLLOW_UP_PATIENCE, supervisor.join(Stage::FollowUp)).await.is_err() {
            self.tokens.kill.cancel();
            supervisor.join(Stage::FollowUp).await;
        }
        supervisor.abort(Stage::Watch).await;
        // The threads end at their next turn; one whose folder does not answer is left behind.
        let patience = tokio::time::Instant::now() + Duration::from_secs(2);
        while !self.intake.iter().all(RootWorker::has_ended) && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.intake.clear();
    }

    /// What the line is doing, in one sentence.
    pub async fn status(&self) -> String {
        let recorded = self.view.records.take(Scope::Brief).await.map_err(|error| Unreadable(error.to_string()));
        sentence(&take(recorded, Witness::Daemon(&self.view)), &self.telemetry.status)
    }
}
