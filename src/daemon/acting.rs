//! What follows a decision: the command of `on_ng`, and the message for the MQTT broker.
//!
//! Both are rows that the history writes in the transaction of the decision, and tasks of their own that work them off, so that no
//! image waits for a command or a broker. A command is started at most once; a message is published at least once.

mod broker;
mod command;
mod families;
mod publisher;
mod runner;
mod session;

pub use broker::file_problems as broker_file_problems;
pub use families::end_all as end_commands;

use super::Line;
use crate::codes::EventKind;
use crate::config::{Config, ProductConfig};
use crate::history::{FollowUp, HistoryError};
use jiff::Timestamp;
use runner::Ends;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a stop waits for running commands before it kills them. With all else that a stop waits for, it stays below the unit's
/// TimeoutStopSec.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The tasks of one run of the line.
pub struct Acting {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    kill: CancellationToken,
    /// What commands have left behind is looked after, also while they stop.
    _families: AbortOnDropHandle<()>,
}

/// What is to follow from a decision on an image of this product that came at `arrived_at`.
pub fn follow_up(config: &Config, product: &ProductConfig, arrived_at: Timestamp) -> FollowUp {
    FollowUp { act_since: product.on_ng.as_ref().map(|_| arrived_at), publish: config.mqtt.as_ref().map(|mqtt| mqtt.publish) }
}

/// Clears up after what ran before, and starts the tasks.
pub async fn start(line: &Arc<Line>) -> Acting {
    if let Err(error) = clear_up(line).await {
        tracing::error!(%error, "what earlier runs left of actions and messages is not cleared up; tried again at the next start");
    }
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = JoinSet::new();
    if line.config.products.iter().any(|product| product.on_ng.is_some()) {
        families::adopt_orphans();
    }
    let families = AbortOnDropHandle::new(tokio::spawn(families::watch()));
    for product in &line.config.products {
        if let Some(on_ng) = product.on_ng.clone() {
            let ends = Ends { stop: stop.clone(), kill: kill.clone() };
            tasks.spawn(runner::run(Arc::clone(line), product.name.clone(), on_ng, line.decided.subscribe(), ends));
        }
    }
    if let Some(mqtt) = line.config.mqtt.clone() {
        tasks.spawn(publisher::run(Arc::clone(line), mqtt.clone(), line.decided.subscribe(), stop.clone()));
        tasks.spawn(publisher::keep_within(Arc::clone(line), mqtt, stop.clone()));
    }
    Acting { tasks, stop, kill, _families: families }
}

/// No row waits for ever for what the configuration no longer has.
async fn clear_up(line: &Line) -> Result<(), HistoryError> {
    let reason = "the daemon ended before the end of the command was recorded, so it is not known what it did; it is not run again";
    let interrupted = line.store.interrupt_actions(reason).await?;
    runner::report(line, EventKind::OnNgInterrupted, &interrupted, reason).await;

    let acting = line.config.products.iter().filter(|product| product.on_ng.is_some());
    let reason = "not run: on_ng was taken out of the configuration";
    let cancelled = line.store.cancel_actions(&acting.map(|product| product.name.as_str()).collect::<Vec<_>>(), reason).await?;
    runner::report(line, EventKind::OnNgCancelled, &cancelled, reason).await;

    if line.config.mqtt.is_none() {
        let detail = |count| format!("{count} messages were not published, as mqtt was taken out of the configuration");
        let cleared = line.store.drop_messages(0, EventKind::MqttCleared, detail).await?;
        if cleared > 0 {
            line.meters.event(EventKind::MqttCleared);
            tracing::warn!(messages = cleared, "not published, as mqtt was taken out of the configuration");
        }
    }
    Ok(())
}

impl Acting {
    /// Resolves when a task ended although nobody asked it to; never, when there are none.
    pub async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Ok(())) => "it returned".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => std::future::pending().await,
        }
    }

    /// Lets the last defects be acted on and the last messages go, for a short while; what is left stays in the history.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, all).await.is_err() {
            self.kill.cancel();
            while self.tasks.join_next().await.is_some() {}
        }
    }
}
