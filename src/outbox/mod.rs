//! Publishes decisions: messages that wait in the history's outbox go to a sink, in their order. The first sink is an MQTT broker.
//!
//! A message is a row that the history writes in the transaction of the decision, so no image waits for a broker. The daemon publishes each
//! message at least once.

mod broker;
mod broker_files;
mod publisher;
mod session;

pub use broker_files::file_problems as broker_file_problems;
pub use publisher::{OutboxContext, clear};

use crate::supervisor::{Stage, Supervisor, Wakes, Worker};
use tokio_util::sync::CancellationToken;

/// Starts the worker that publishes, and the one that keeps the outbox within its limit.
pub fn start(supervisor: &mut Supervisor, context: OutboxContext, stop: &CancellationToken) {
    let worker = Worker::new("mqtt", Stage::FollowUp, Wakes::OnOrEvery("a decision", publisher::LOOK));
    supervisor.start(worker, publisher::run(context.clone(), stop.clone()));
    let worker = Worker::new("mqtt.keep", Stage::FollowUp, Wakes::Every(publisher::CUT));
    supervisor.start(worker, publisher::keep_within(context, stop.clone()));
}
