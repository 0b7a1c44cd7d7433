//! The workers of a line: what each is called, what wakes it, and when it is stopped.

use crate::actions::{self, ActionContext, Ends};
use crate::banks::BanksInUse;
use crate::config::Config;
use crate::history::BankRequest;
use crate::intake::IntakePulse;
use crate::line::{self, ClockWatch, InspectorContext};
use crate::outbox::{self, OutboxContext};
use crate::rebuild::{self, BankKeeper, RebuildContext, Requests};
use crate::retention::{self, RetentionContext, Witnesses};
use crate::supervisor::{Stage, Supervisor, WATCHDOG_LOOK, Wakes, Watchdog, Worker};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
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

/// A keeper and a rebuilder for each product.
pub fn start_banks(
    supervisor: &mut Supervisor,
    config: &Arc<Config>,
    banks: &BanksInUse,
    asked: watch::Sender<Vec<BankRequest>>,
    tokens: &Tokens,
) {
    let keeper = BankKeeper { banks: banks.clone(), reading: Arc::new(Semaphore::new(1)) };
    let context = RebuildContext { banks: banks.clone(), config: Arc::clone(config), build_turn: Arc::new(Semaphore::new(1)), asked };
    for product in &config.products {
        let name = &product.name;
        let wakes = Wakes::Every(rebuild::KEEPER_LOOK);
        supervisor.start(
            Worker::new(format!("bank keeper of {name}"), Stage::Banks, wakes),
            keeper.clone().run(product.clone(), tokens.work.clone()),
        );
        let wakes = Wakes::OnOrEvery("a request", rebuild::look(product));
        supervisor.start(
            Worker::new(format!("rebuilder of {name}"), Stage::Banks, wakes),
            rebuild::run(context.clone(), product.clone(), tokens.work.clone()),
        );
    }
}

/// Starts the workers that act on defects and publish decisions; first clears up after earlier runs.
pub async fn start_follow_up(supervisor: &mut Supervisor, context: &InspectorContext, tokens: &Tokens) {
    let (config, store) = (&context.products.config, &context.store);
    let actions = ActionContext {
        store: store.clone(),
        clock: Arc::clone(&context.clock),
        telemetry: context.telemetry.clone(),
        decided: context.signals.decided.clone(),
    };
    let mut cleared = actions::clear_up(&actions, &config.products).await;
    if config.mqtt.is_none() {
        cleared = cleared.and(outbox::clear(store, &context.telemetry.events).await);
    }
    if let Err(error) = cleared {
        tracing::error!(%error, "what earlier runs left of actions and messages is not cleared up; tried again at the next start");
    }
    if config.products.iter().any(|product| product.on_ng.is_some()) {
        actions::adopt_orphans();
    }
    supervisor.start(Worker::new("processes of on_ng", Stage::Watch, Wakes::On("the end of a command")), actions::watch_families());
    for product in &config.products {
        if let Some(on_ng) = product.on_ng.clone() {
            let ends = Ends { stop: tokens.follow_up.clone(), kill: tokens.kill.clone() };
            let worker = Worker::new(format!("on_ng of {}", product.name), Stage::FollowUp, Wakes::OnOrEvery("a decision", actions::LOOK));
            supervisor.start(worker, actions::run(actions.clone(), product.name.clone(), on_ng, ends));
        }
    }
    if let Some(mqtt) = config.mqtt.clone() {
        let (telemetry, decided) = (context.telemetry.clone(), context.signals.decided.clone());
        let context = OutboxContext { store: store.clone(), config: mqtt, telemetry, decided };
        let worker = Worker::new("mqtt", Stage::FollowUp, Wakes::OnOrEvery("a decision", outbox::LOOK));
        supervisor.start(worker, outbox::run(context.clone(), tokens.follow_up.clone()));
        let worker = Worker::new("mqtt.keep", Stage::FollowUp, Wakes::Every(outbox::CUT));
        supervisor.start(worker, outbox::keep_within(context, tokens.follow_up.clone()));
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
    context: &InspectorContext,
    threads: Vec<(PathBuf, Arc<IntakePulse>)>,
    clock_watch: ClockWatch,
    requests: Requests,
) {
    let InspectorContext { store, telemetry, signals, .. } = context;
    for (root, pulse) in threads.clone() {
        let worker = Worker::new(format!("intake of {}", root.display()), Stage::Guard, Wakes::Every(THREAD_LOOK));
        supervisor.start(worker, async move {
            while !pulse.has_ended() {
                tokio::time::sleep(THREAD_LOOK).await;
            }
        });
    }
    let watchdog = Watchdog { store: store.clone(), telemetry: telemetry.clone(), threads };
    supervisor.start(Worker::new("watchdog", Stage::Guard, Wakes::Every(WATCHDOG_LOOK)), watchdog.run());
    let full_disk = line::watch_full_disk(store.clone(), telemetry.clone(), Arc::clone(&signals.wake));
    supervisor.start(Worker::new("full disk", Stage::Watch, Wakes::Every(line::FULL_DISK_LOOK)), full_disk);
    supervisor.start(Worker::new("clock", Stage::Watch, Wakes::Every(line::CLOCK_LOOK)), clock_watch.run());
    supervisor.start(Worker::new("requests", Stage::Watch, Wakes::Every(rebuild::REQUESTS_LOOK)), requests.run());
    let waits = line::watch_waits(store.clone(), telemetry.clone());
    supervisor.start(Worker::new("waits", Stage::Watch, Wakes::Every(line::WAITS_LOOK)), waits);
}

/// Starts the worker that deletes old files.
pub fn start_retention(supervisor: &mut Supervisor, context: &InspectorContext, tokens: &Tokens) {
    let files = &context.files;
    let witnesses =
        Witnesses { clock: Arc::clone(&context.clock), claims: Arc::clone(&files.claims), leftovers: Arc::clone(&files.leftovers) };
    let context = RetentionContext {
        products: context.products.config.products.clone(),
        store: context.store.clone(),
        witnesses,
        telemetry: context.telemetry.clone(),
        wake: Arc::clone(&context.signals.wake),
    };
    let worker = Worker::new("retention", Stage::Retention, Wakes::Every(retention::LOOK));
    supervisor.start(worker, retention::run(context, tokens.work.clone()));
}
