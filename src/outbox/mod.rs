//! Publishes decisions: messages that wait in the history's outbox go to a sink, in their order. The first sink is an MQTT broker.
//!
//! A message is a row that the history writes in the transaction of the decision, so no image waits for a broker. The daemon publishes each
//! message at least once.

mod broker;
mod publisher;
mod session;

pub use broker::file_problems as broker_file_problems;
pub use publisher::{CUT, LOOK, OutboxContext, clear, keep_within, run};
