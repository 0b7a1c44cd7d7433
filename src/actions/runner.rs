//! Runs the commands of one product, the oldest defect first, a few at a time. The history is the queue; memory holds only the running
//! ones.

use super::command::{self, Job};
use crate::codes::EventKind;
use crate::config::{OnNgConfig, ProductConfig};
use crate::domain::TimeSpan;
use crate::history::{ActionEnd, Actions, Defect, GivenUp, HistoryError};
use crate::platform::clock::{LineClock, Purpose};
use crate::platform::crash_point;
use crate::telemetry::{Event, Pulse, Telemetry};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the daemon looks for actions at least, besides after every decision: a look may have failed.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often the daemon gives up actions that are too old. It does not start them any more in any case.
const EXPIRE: Duration = Duration::from_secs(5);
/// How long after a stop the daemon still acts on defects of the last images. The rest stays pending until the next start.
const LAST_STARTS: Duration = Duration::from_secs(2);
/// The pause before the next try to record an end.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// When a product's commands end.
#[derive(Clone)]
pub struct Ends {
    /// A little later, no new commands start.
    pub stop: CancellationToken,
    /// The running commands are killed.
    pub kill: CancellationToken,
}

/// Everything that acting on defects needs.
#[derive(Clone)]
pub struct ActionContext {
    /// The queue.
    pub actions: Actions,
    /// Knows the age of a defect.
    pub clock: Arc<LineClock>,
    /// Where news goes.
    pub telemetry: Telemetry,
    /// Marked when an image was decided.
    pub decided: watch::Sender<()>,
}

/// Gives up the actions that earlier runs left. So no row waits for ever for a command that the configuration no longer has.
///
/// # Errors
/// When the history cannot be written.
pub async fn clear_up(context: &ActionContext, products: &[ProductConfig]) -> Result<(), HistoryError> {
    let reason = "the daemon ended before the end of the command was recorded, so it is not known what it did; it is not run again";
    let interrupted = context.actions.interrupt_actions(reason).await?;
    report(context, EventKind::OnNgInterrupted, &interrupted, reason).await;

    let acting = products.iter().filter(|product| product.on_ng.is_some());
    let reason = "not run: on_ng was taken out of the configuration";
    let cancelled = context.actions.cancel_actions(&acting.map(|product| product.name.as_str()).collect::<Vec<_>>(), reason).await?;
    report(context, EventKind::OnNgCancelled, &cancelled, reason).await;
    Ok(())
}

/// Acts on the defects of `product` until it is stopped and the last command has ended.
pub async fn run(context: ActionContext, product: String, on_ng: OnNgConfig, ends: Ends) {
    let mut decided = context.decided.subscribe();
    // The pulse covers the start of commands; a command itself ends at its own time-out.
    let (pulse, _watch) = context.telemetry.progress.worker(format!("on_ng of {product}"));
    let (running, kill) = (JoinSet::new(), ends.kill.clone());
    let mut runner = Runner { context, product, on_ng, running, kill, expire_at: Instant::now(), pulse };
    while !ends.stop.is_cancelled() {
        runner.step().await;
        tokio::select! {
            () = ends.stop.cancelled() => {}
            // An error would mean that no sender is left, but this task holds one.
            _ = decided.changed() => {}
            Some(_) = runner.running.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let last_start = Instant::now() + LAST_STARTS;
    loop {
        let waits = Instant::now() < last_start && !ends.kill.is_cancelled() && runner.step().await;
        if !waits && runner.running.is_empty() {
            break;
        }
        tokio::select! {
            _ = runner.running.join_next(), if !runner.running.is_empty() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Runner {
    context: ActionContext,
    product: String,
    on_ng: OnNgConfig,
    running: JoinSet<()>,
    kill: CancellationToken,
    expire_at: Instant,
    pulse: Arc<Pulse>,
}

impl Runner {
    /// 1. gives up actions that are too old; 2. starts due actions, as many as may run. True when an action still waits for its turn.
    async fn step(&mut self) -> bool {
        let _work = self.pulse.begin();
        match self.try_step().await {
            Ok(waits) => waits,
            Err(error) => {
                tracing::error!(%error, product = %self.product, "defects are not acted on; tried again");
                true
            }
        }
    }

    async fn try_step(&mut self) -> Result<bool, HistoryError> {
        let (context, product) = (&self.context, &self.product);
        while let Some(ended) = self.running.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, %product, "task of a command ended early");
            }
        }
        if !context.actions.has_pending_action(product).await? {
            return Ok(false);
        }
        if Instant::now() >= self.expire_at {
            let reason = format!("not run: the image is older than on_ng.max_age ({:?})", self.on_ng.max_age);
            let expired = context.actions.expire_actions(product, &self.too_old(), &reason).await?;
            report(context, EventKind::OnNgExpired, &expired, &reason).await;
            self.expire_at = Instant::now() + EXPIRE;
        }
        while self.running.len() < self.on_ng.concurrent {
            let Some(action) = self.context.actions.start_action(&self.product, &self.too_old(), Timestamp::now()).await? else {
                return Ok(false);
            };
            crash_point::reach("action_started");
            let (context, product, on_ng, kill) = (self.context.clone(), self.product.clone(), self.on_ng.clone(), self.kill.clone());
            self.running.spawn(async move { act(&context, &product, &on_ng, action, &kill).await });
        }
        Ok(true)
    }

    /// The times of images that are too old, whatever happened to the wall clock since.
    fn too_old(&self) -> Vec<TimeSpan> {
        self.context.clock.old(self.on_ng.max_age, Purpose::Act)
    }
}

async fn act(context: &ActionContext, product: &str, on_ng: &OnNgConfig, action: i64, kill: &CancellationToken) {
    let begin = Instant::now();
    let (defect, end) = match context.actions.defect(action).await {
        Ok(defect) => {
            let environment = environment(product, &defect);
            let job = Job { command: on_ng.command.clone(), environment, timeout: on_ng.timeout };
            let end = command::run(job, kill).await;
            (Some(defect), end)
        }
        Err(error) => (None, ActionEnd { failure: Some(format!("not run: {error}")), ..ActionEnd::default() }),
    };
    crash_point::reach("action_ended");
    record(context, action, &end, kill).await;
    let image = defect.as_ref().map_or_else(String::new, |defect| defect.image.display().to_string());
    let inspection = defect.map_or(0, |defect| defect.inspection_id);
    match &end.failure {
        None => tracing::info!(product, %image, inspection, seconds = begin.elapsed().as_secs_f64(), "acted on"),
        Some(failure) => {
            let program = on_ng.command.first().map_or("", String::as_str);
            let said = if end.stderr.is_empty() { String::new() } else { format!("; it said: {}", one_line(&end.stderr)) };
            let detail = format!("{image}: inspection {inspection}: {program} {failure}{said}; look for the part");
            context.telemetry.events.tell(Event::new(EventKind::OnNgFailed, detail).of_product(product)).await;
        }
    }
}

/// Tries until the end is recorded. If the daemon stops first, the action is `interrupted` at the next start.
async fn record(context: &ActionContext, id: i64, end: &ActionEnd, kill: &CancellationToken) {
    let ended_at = Timestamp::now();
    while let Err(error) = context.actions.end_action(id, end, ended_at).await {
        tracing::error!(%error, "the end of a command is not recorded; tried again");
        tokio::select! {
            () = kill.cancelled() => return,
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }
}

fn environment(product: &str, defect: &Defect) -> Vec<(&'static str, OsString)> {
    let number = |value: Option<f64>| value.map_or_else(|| "nan".to_owned(), |value| value.to_string());
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("PATCHCORED_PRODUCT", product.into()),
        ("PATCHCORED_INSPECTION_ID", defect.inspection_id.to_string().into()),
        ("PATCHCORED_IMAGE", defect.image.clone().into()),
        ("PATCHCORED_DECISION", "ng".into()),
        ("PATCHCORED_SCORE", number(defect.image_score).into()),
        ("PATCHCORED_TAU", number(defect.image_tau).into()),
        ("PATCHCORED_PIXEL_TAU", number(defect.pixel_tau).into()),
        ("PATCHCORED_MASK_PIXELS", defect.mask_pixels.to_string().into()),
        ("PATCHCORED_MASK_REGIONS", defect.mask_regions.to_string().into()),
        ("PATCHCORED_BANK_VERSION", defect.bank_version.to_string().into()),
        ("PATCHCORED_DECIDED_AT", defect.decided_at.clone().into()),
    ];
    // Empty when there is no mask, so that a script always finds the variable set.
    variables.push(("PATCHCORED_MASK", defect.mask.clone().unwrap_or_default().into()));
    variables.push(("PATCHCORED_OVERLAY", defect.overlay.clone().unwrap_or_default().into()));
    variables
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
}

/// One event for all actions of a product that were given up together.
async fn report(context: &ActionContext, kind: EventKind, given_up: &[GivenUp], reason: &str) {
    let mut products: BTreeMap<&str, Vec<&GivenUp>> = BTreeMap::new();
    for action in given_up {
        products.entry(&action.product).or_default().push(action);
    }
    for (product, actions) in products {
        let Some(first) = actions.first() else { continue };
        let more = if actions.len() > 1 { format!(" and {} more (see action_history)", actions.len() - 1) } else { String::new() };
        let detail = format!("{}: inspection {}{more}: {reason}; look for the part", first.image_path, first.inspection_id);
        context.telemetry.events.tell(Event::new(kind, detail).of_product(product)).await;
    }
}
