//! The workers of a line, in the order of their start. Each has a name, a trigger, and a stage at which it is stopped.

use crate::actions::{self, ActionContext, Ends};
use crate::archive::RowArchive;
use crate::history::HistoryStore;
use crate::line::{self, ClockWatch, InspectorContext};
use crate::outbox::{self, OutboxContext};
use crate::rebuild::{self, Requests};
use crate::retention::{self, RetentionContext, Witnesses};
use crate::snapshot::LineView;
use crate::supervisor::{Stage, Supervisor, WATCHDOG_LOOK, Wakes, Watchdog, Worker};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the daemon checks whether the thread of a drop folder has ended.
const THREAD_LOOK: Duration = Duration::from_secs(1);

/// Asks workers to end.
#[derive(Default)]
pub struct Tokens {
    /// The daemon records no new images.
    pub intake: CancellationToken,
    /// It starts no new inspections, builds or deletions.
    pub work: CancellationToken,
    /// A little later, it acts and publishes no more.
    pub follow_up: CancellationToken,
    /// It kills running commands.
    pub kill: CancellationToken,
}

/// Starts the workers that act on defects and publish decisions; first clears up after earlier runs.
pub async fn start_follow_up(supervisor: &mut Supervisor, context: &InspectorContext, store: &HistoryStore, tokens: &Tokens) {
    let (config, outbox) = (&context.products.config, store.outbox());
    let actions = ActionContext {
        actions: store.actions(),
        clock: Arc::clone(&context.clock),
        telemetry: context.telemetry.clone(),
        decided: context.signals.decided.clone(),
    };
    let mut cleared = actions::clear_up(&actions, &config.products).await;
    if config.mqtt.is_none() {
        cleared = cleared.and(outbox::clear(&outbox, &context.telemetry.events).await);
    }
    if let Err(error) = cleared {
        tracing::error!(%error, "what earlier runs left of actions and messages is not cleared up; tried again at the next start");
    }
    let ends = Ends { stop: tokens.follow_up.clone(), kill: tokens.kill.clone() };
    actions::start(supervisor, &actions, &config.products, &ends);
    if let Some(mqtt) = config.mqtt.clone() {
        let (telemetry, decided) = (context.telemetry.clone(), context.signals.decided.clone());
        outbox::start(supervisor, OutboxContext { outbox, config: mqtt, telemetry, decided }, &tokens.follow_up);
    }
}

/// Starts the dispatcher, and the watch over the engine that scores its images.
pub fn start_images(supervisor: &mut Supervisor, context: &InspectorContext, tokens: &Tokens) {
    let worker = Worker::new("dispatcher", Stage::Images, Wakes::OnOrEvery("an arrival", line::DISPATCHER_LOOK));
    supervisor.start(worker, line::dispatch(context.clone(), tokens.work.clone()));
    let engine = context.engine.clone();
    supervisor.start(Worker::new("engine", Stage::Watch, Wakes::On("the end of the thread")), async move { engine.ended().await });
}

/// Starts workers that only watch and have nothing to finish.
pub fn start_watches(
    supervisor: &mut Supervisor,
    line: &LineView,
    (context, store): (&InspectorContext, &HistoryStore),
    clock_watch: ClockWatch,
    requests: Requests,
) {
    let LineView { records, database, telemetry, threads, .. } = line;
    for (root, pulse) in threads.clone() {
        let worker = Worker::new(format!("intake of {}", root.display()), Stage::Guard, Wakes::Every(THREAD_LOOK));
        supervisor.start(worker, async move {
            while !pulse.has_ended() {
                tokio::time::sleep(THREAD_LOOK).await;
            }
        });
    }
    let watchdog = Watchdog { database: database.clone(), telemetry: telemetry.clone(), threads: threads.clone() };
    supervisor.start(Worker::new("watchdog", Stage::Guard, Wakes::Every(WATCHDOG_LOOK)), watchdog.run());
    let full_disk = line::watch_full_disk(database.clone(), store.events(), telemetry.clone(), Arc::clone(&context.signals.wake));
    supervisor.start(Worker::new("full disk", Stage::Watch, Wakes::Every(line::FULL_DISK_LOOK)), full_disk);
    supervisor.start(Worker::new("clock", Stage::Watch, Wakes::Every(line::CLOCK_LOOK)), clock_watch.run());
    supervisor.start(Worker::new("requests", Stage::Watch, Wakes::Every(rebuild::REQUESTS_LOOK)), requests.run());
    let waits = line::watch_waits(records.clone(), telemetry.clone());
    supervisor.start(Worker::new("waits", Stage::Watch, Wakes::Every(line::WAITS_LOOK)), waits);
}

/// Starts the worker that deletes old files.
pub fn start_retention(supervisor: &mut Supervisor, context: &InspectorContext, store: &HistoryStore, tokens: &Tokens) {
    let files = &context.files;
    let witnesses =
        Witnesses { clock: Arc::clone(&context.clock), claims: Arc::clone(&files.claims), leftovers: Arc::clone(&files.leftovers) };
    let context = RetentionContext {
        products: context.products.config.products.clone(),
        deletable: store.deletable_files(),
        archive: RowArchive::of(store.database()),
        witnesses,
        telemetry: context.telemetry.clone(),
        wake: Arc::clone(&context.signals.wake),
    };
    retention::start(supervisor, context, tokens.work.clone());
}
