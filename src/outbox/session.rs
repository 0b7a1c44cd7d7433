//! One connection to the broker: messages from the outbox, in its order, and their acknowledgements.
//!
//! A message stays in the outbox until the broker has acknowledged it. A new connection begins again with the oldest message, so sent but
//! unacknowledged messages are sent once more, in the same order. Nothing is lost, and for each product the broker first sees every
//! decision in the order in which they were made.

use super::broker;
use super::broker::Loss;
use crate::config::MqttConfig;
use crate::history::{Message, Outbox};
use crate::platform::crash_point;
use crate::telemetry::Pulse;
use rumqttc::{AsyncClient, ConnectionError, Event, Incoming, Outgoing, QoS};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Messages that were sent and are still in the outbox. Limits the memory, and the repeats after a crash.
const WINDOW: u16 = 64;
/// The daemon removes acknowledged messages together, when it has this many …
const FORGET_AT: usize = WINDOW as usize / 2;
/// … or this long after the first one: this saves commits beside those of the decisions.
const FORGET_AFTER: Duration = Duration::from_millis(200);
/// A broker that does not acknowledge a message in this time does not work, even if it answers otherwise.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(20);
/// How long a good-bye may take.
const GOOD_BYE: Duration = Duration::from_millis(500);

type Happening = Result<Event, ConnectionError>;

/// A connection.
pub struct Session<'a> {
    outbox: &'a Outbox,
    config: &'a MqttConfig,
    /// Covers all work with the outbox; the broker may take any time.
    pulse: &'a Arc<Pulse>,
    client: AsyncClient,
    happenings: mpsc::Receiver<Happening>,
    _polling: AbortOnDropHandle<()>,
    /// The last message handed to the library.
    last: i64,
    /// Handed over, but not sent yet.
    queued: VecDeque<i64>,
    /// Sent, but not acknowledged; by packet id, with the time.
    unacknowledged: HashMap<u16, (i64, Instant)>,
    /// The broker has acknowledged something.
    has_acknowledged: bool,
    /// Acknowledged and still in the outbox, and when to remove them.
    acknowledged: Vec<i64>,
    forget_at: Option<Instant>,
    /// There may be messages after `last`.
    more: bool,
}

impl<'a> Session<'a> {
    /// Connects.
    pub async fn open(outbox: &'a Outbox, config: &'a MqttConfig, pulse: &'a Arc<Pulse>) -> Result<Self, Loss> {
        let (client, mut events) = broker::client(config, WINDOW).await?;
        let (sender, happenings) = mpsc::channel(usize::from(WINDOW));
        // A task of its own, so that nothing cancels it in the middle of a packet.
        let polling = tokio::spawn(async move {
            loop {
                let happening = events.poll().await;
                let is_end = happening.is_err();
                if sender.send(happening).await.is_err() || is_end {
                    return;
                }
            }
        });
        let mut session = Self {
            pulse,
            outbox,
            config,
            client,
            happenings,
            _polling: AbortOnDropHandle::new(polling),
            last: 0,
            queued: VecDeque::new(),
            unacknowledged: HashMap::new(),
            has_acknowledged: false,
            acknowledged: Vec::new(),
            forget_at: None,
            more: true,
        };
        loop {
            if let Event::Incoming(Incoming::ConnAck(_)) = session.happening().await? {
                return Ok(session);
            }
        }
    }

    /// Waits for an answer or for the time to remove acknowledged messages, and handles it. A cancelled call leaves nothing half done.
    pub async fn take_next(&mut self) -> Result<(), Loss> {
        let forget_at = self.forget_at;
        let oldest = self.unacknowledged.values().map(|(_, sent_at)| *sent_at).min();
        let too_long = async {
            match oldest {
                Some(sent_at) => tokio::time::sleep_until(sent_at + ACKNOWLEDGEMENT).await,
                None => std::future::pending().await,
            }
        };
        let time_to_forget = async {
            match forget_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            happening = self.happenings.recv() => self.take(happening).await,
            () = time_to_forget => {
                self.forget().await;
                Ok(())
            }
            () = too_long => {
                let seconds = ACKNOWLEDGEMENT.as_secs();
                Err(Loss::passing(format!("takes messages and has acknowledged none for {seconds} s; check the broker and its disk")))
            }
        }
    }

    /// True when the broker works, as far as anybody asked it to.
    pub fn works(&self) -> bool {
        self.has_acknowledged || self.in_hand() == 0
    }

    /// There may be new messages.
    pub fn look_again(&mut self) {
        self.more = true;
    }

    /// True when every message of the outbox was acknowledged and removed.
    pub fn is_done(&self) -> bool {
        !self.more && self.in_hand() == 0
    }

    /// Removes acknowledged messages, and says good-bye if the broker still listens.
    pub async fn close(mut self) {
        self.forget().await;
        if self.client.try_disconnect().is_ok() {
            let gone = async { while !matches!(self.happening().await, Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)) {} };
            let _ = tokio::time::timeout(GOOD_BYE, gone).await;
        }
    }

    fn in_hand(&self) -> usize {
        self.queued.len() + self.unacknowledged.len() + self.acknowledged.len()
    }

    /// Sends new messages, as many as the window allows.
    pub async fn send(&mut self) -> Result<(), Loss> {
        let room = usize::from(WINDOW).saturating_sub(self.in_hand());
        if !self.more || room == 0 {
            return Ok(());
        }
        let _work = self.pulse.begin();
        let messages = match self.outbox.next_messages(self.last, u32::try_from(room).unwrap_or(1)).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(%error, "messages not read; tried again");
                self.more = false;
                return Ok(());
            }
        };
        self.more = messages.len() == room;
        for message in messages {
            let payload = serde_json::to_vec(&message).map_err(|e| Loss::passing(e.to_string()))?;
            let sent = self.client.try_publish(topic(self.config, &message), QoS::AtLeastOnce, false, payload);
            sent.map_err(|e| Loss::passing(e.to_string()))?;
            self.queued.push_back(message.id);
            self.last = message.id;
        }
        Ok(())
    }

    async fn take(&mut self, happening: Option<Happening>) -> Result<(), Loss> {
        match self.look_at(happening)? {
            // They arrive in the order in which they were handed over.
            Event::Outgoing(Outgoing::Publish(packet)) => {
                if let Some(id) = self.queued.pop_front() {
                    self.unacknowledged.insert(packet, (id, Instant::now()));
                }
                crash_point::reach("message_sent");
            }
            Event::Incoming(Incoming::PubAck(ack)) => {
                if let Some((id, _)) = self.unacknowledged.remove(&ack.pkid) {
                    self.has_acknowledged = true;
                    self.acknowledged.push(id);
                    self.forget_at.get_or_insert_with(|| Instant::now() + FORGET_AFTER);
                }
                crash_point::reach("message_acknowledged");
                if self.acknowledged.len() >= FORGET_AT {
                    self.forget().await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn happening(&mut self) -> Result<Event, Loss> {
        let happening = self.happenings.recv().await;
        self.look_at(happening)
    }

    fn look_at(&self, happening: Option<Happening>) -> Result<Event, Loss> {
        match happening {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Loss::from_library(&error, self.config)),
            None => Err(Loss::passing("the connection ended")),
        }
    }

    /// If the removal fails, it is tried again later; until then, the messages take room in the window.
    async fn forget(&mut self) {
        if self.acknowledged.is_empty() {
            return;
        }
        let _work = self.pulse.begin();
        match self.outbox.forget_messages(&self.acknowledged).await {
            Ok(()) => {
                crash_point::reach("messages_forgotten");
                self.acknowledged.clear();
                self.forget_at = None;
            }
            Err(error) => {
                tracing::error!(%error, "published messages are not taken out of the outbox; tried again");
                self.forget_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }
}

fn topic(config: &MqttConfig, message: &Message) -> String {
    config.topic.replace("{product}", &message.product).replace("{decision}", &message.decision)
}
