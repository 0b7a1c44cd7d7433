//! Keeps the connection to the broker, and reports its loss and its return once each, however many tries there were.

use super::broker::Loss;
use super::session::Session;
use crate::codes::EventKind;
use crate::config::MqttConfig;
use crate::domain::{Place, Trouble};
use crate::history::{HistoryError, Outbox};
use crate::telemetry::{Event, Events, Telemetry};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pause before the next try; it doubles each time up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The broker is back when a connection lasted this long and the broker acknowledged the messages on it. An earlier break is still the same
/// trouble, as when two clients have one client id and the broker disconnects each for the other.
const SETTLED: Duration = Duration::from_secs(5);
/// How often the daemon looks for new messages at least, besides after every decision.
pub const LOOK: Duration = Duration::from_secs(1);
/// How long after a stop the daemon still sends messages.
const LAST_MESSAGES: Duration = Duration::from_secs(2);
/// How often the outbox is cut down to `keep`.
pub const CUT: Duration = Duration::from_secs(60);

/// Everything that publishing needs.
#[derive(Clone)]
pub struct OutboxContext {
    /// The messages.
    pub outbox: Outbox,
    /// The broker, and the decisions to publish.
    pub config: MqttConfig,
    /// Where news goes.
    pub telemetry: Telemetry,
    /// Marked when an image was decided.
    pub decided: watch::Sender<()>,
}

/// Publishes until it is stopped. Unpublished messages stay in the outbox.
pub async fn run(context: OutboxContext, stop: CancellationToken) {
    let mut decided = context.decided.subscribe();
    let (pulse, _watch) = context.telemetry.progress.worker("mqtt");
    let mut standing = Standing { context: &context, broker: context.config.broker(), lost: None, pause: PAUSE };
    while !stop.is_cancelled() {
        let opened = tokio::select! {
            opened = Session::open(&context.outbox, &context.config, &pulse) => opened,
            () = stop.cancelled() => return,
        };
        let loss = match opened {
            Ok(session) => match serve(session, &mut standing, &mut decided, &stop).await {
                Some(loss) => loss,
                None => return,
            },
            Err(loss) => loss,
        };
        standing.lost(&loss).await;
        tokio::select! {
            () = tokio::time::sleep(standing.next_pause()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// `None` after a stop.
async fn serve(
    mut session: Session<'_>,
    standing: &mut Standing<'_>,
    decided: &mut watch::Receiver<()>,
    stop: &CancellationToken,
) -> Option<Loss> {
    let opened = Instant::now();
    let mut settled = false;
    let mut last: Option<Instant> = None;
    loop {
        let sent = session.send().await;
        if !settled && opened.elapsed() >= SETTLED && session.works() {
            settled = true;
            standing.back().await;
        }
        let lost = match sent {
            Err(loss) => Some(loss),
            Ok(()) if last.is_some_and(|last| session.is_done() || Instant::now() >= last) => {
                session.close().await;
                return None;
            }
            Ok(()) => tokio::select! {
                taken = session.take_next() => taken.err(),
                _ = decided.changed() => {
                    session.look_again();
                    None
                }
                () = tokio::time::sleep(LOOK) => {
                    session.look_again();
                    None
                }
                () = stop.cancelled(), if last.is_none() => {
                    last = Some(Instant::now() + LAST_MESSAGES);
                    session.look_again();
                    None
                }
            },
        };
        if let Some(loss) = lost {
            session.close().await;
            return if last.is_some() { None } else { Some(loss) };
        }
    }
}

/// The state of the broker, as far as it was reported.
struct Standing<'a> {
    context: &'a OutboxContext,
    broker: String,
    /// Since when, and whether it was reported that somebody must act.
    lost: Option<(Instant, bool)>,
    pause: Duration,
}

impl Standing<'_> {
    async fn lost(&mut self, loss: &Loss) {
        let Loss { reason, needs_somebody } = loss;
        tracing::debug!(broker = %self.broker, %reason, "no connection");
        let told = self.lost.is_some_and(|(_, told)| told || !needs_somebody);
        let since = self.lost.map_or_else(Instant::now, |(since, _)| since);
        self.lost = Some((since, *needs_somebody || self.lost.is_some_and(|(_, told)| told)));
        if told {
            return;
        }
        self.context.telemetry.status.trouble(self.place(), Trouble::BrokerAway, true);
        let kind = if *needs_somebody { EventKind::MqttRefused } else { EventKind::MqttLost };
        let detail = format!("{}: {reason}; messages wait in the database", self.broker);
        self.context.telemetry.events.tell(Event::new(kind, detail).at(self.place())).await;
    }

    async fn back(&mut self) {
        self.pause = PAUSE;
        let Some((since, _)) = self.lost.take() else { return };
        self.context.telemetry.status.trouble(self.place(), Trouble::BrokerAway, false);
        let detail = format!("{}: connected again after {} s", self.broker, since.elapsed().as_secs());
        self.context.telemetry.events.tell(Event::new(EventKind::MqttBack, detail).at(self.place())).await;
    }

    fn place(&self) -> Place {
        Place::Broker(self.broker.clone())
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Drops the oldest messages of an outbox that has more than `keep`, whether or not the broker is connected.
pub async fn keep_within(context: OutboxContext, stop: CancellationToken) {
    let OutboxContext { outbox, config, telemetry, .. } = context;
    loop {
        let keep = config.keep;
        let detail = |count| format!("{}: {count} messages dropped, the oldest: mqtt.keep is {keep}", config.broker());
        match outbox.drop_messages(keep, EventKind::MqttDropped, detail).await {
            Ok(0) => {}
            Ok(messages) => {
                telemetry.events.count(EventKind::MqttDropped);
                tracing::error!(messages, keep, "the oldest messages were dropped");
            }
            Err(error) => tracing::error!(%error, "the outbox is not cut down to mqtt.keep"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CUT) => {}
        }
    }
}

/// Empties the outbox when the configuration has no broker any more, so that no row waits for ever.
///
/// # Errors
/// When the history cannot be written.
pub async fn clear(outbox: &Outbox, events: &Events) -> Result<(), HistoryError> {
    let detail = |count| format!("{count} messages were not published, as mqtt was taken out of the configuration");
    let cleared = outbox.drop_messages(0, EventKind::MqttCleared, detail).await?;
    if cleared > 0 {
        events.count(EventKind::MqttCleared);
        tracing::warn!(messages = cleared, "not published, as mqtt was taken out of the configuration");
    }
    Ok(())
}
