//! Keeps up the connection to the broker, and says when it is lost and when it is back: once each, however often it is tried.

use super::super::Line;
use super::super::progress::Pulse;
use super::broker::Loss;
use super::session::Session;
use crate::codes::EventKind;
use crate::config::MqttConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pause before the broker is tried again; doubled each time up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A connection that has held this long, and on which the broker has acknowledged what it was sent, is back. One that breaks sooner is
/// the same trouble still, as when two clients have one client id and the broker sends each away for the other.
const SETTLED: Duration = Duration::from_secs(5);
/// New messages are looked for at least this often, besides after every decision.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a stop messages still go.
const LAST_MESSAGES: Duration = Duration::from_secs(2);
/// How often the outbox is cut down to `keep`.
const CUT: Duration = Duration::from_secs(60);

/// What the status says of the broker.
const AWAY: &str = "is away";

/// Publishes until it is stopped; what is unpublished then stays in the outbox.
pub async fn run(line: Arc<Line>, config: MqttConfig, mut decided: watch::Receiver<()>, stop: CancellationToken) {
    // Watched here is the reading of the outbox; a broker may take what time it wants.
    let (pulse, _watch) = line.progress.worker("mqtt");
    let mut standing = Standing { line: &line, broker: config.broker(), lost: None, pause: PAUSE };
    while !stop.is_cancelled() {
        let opened = tokio::select! {
            opened = Session::open(&line.store, &config) => opened,
            () = stop.cancelled() => return,
        };
        let loss = match opened {
            Ok(session) => match serve(session, &mut standing, &pulse, &mut decided, &stop).await {
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
    pulse: &Arc<Pulse>,
    decided: &mut watch::Receiver<()>,
    stop: &CancellationToken,
) -> Option<Loss> {
    let opened = Instant::now();
    let mut settled = false;
    let mut last: Option<Instant> = None;
    loop {
        let work = pulse.begin();
        let sent = session.send().await;
        drop(work);
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

/// What is known of the broker, and was told.
struct Standing<'a> {
    line: &'a Line,
    broker: String,
    /// Since when, and whether it was said that somebody is needed.
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
        self.line.status.folder(Path::new(&self.broker), AWAY, true);
        let kind = if *needs_somebody { EventKind::MqttRefused } else { EventKind::MqttLost };
        self.line.event(kind, None, &format!("{}: {reason}; messages wait in the database", self.broker)).await;
    }

    async fn back(&mut self) {
        self.pause = PAUSE;
        let Some((since, _)) = self.lost.take() else { return };
        self.line.status.folder(Path::new(&self.broker), AWAY, false);
        let detail = format!("{}: connected again after {} s", self.broker, since.elapsed().as_secs());
        self.line.event(EventKind::MqttBack, None, &detail).await;
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Drops the oldest messages of an outbox that has grown beyond `keep`, while the broker is away and otherwise.
pub async fn keep_within(line: Arc<Line>, config: MqttConfig, stop: CancellationToken) {
    loop {
        let keep = config.keep;
        let detail = |count| format!("{}: {count} messages dropped, the oldest: mqtt.keep is {keep}", config.broker());
        match line.store.drop_messages(keep, EventKind::MqttDropped, detail).await {
            Ok(0) => {}
            Ok(messages) => {
                line.meters.event(EventKind::MqttDropped);
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
