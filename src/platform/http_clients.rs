//! The connected clients, so that those that only hold their connection cannot keep others from an answer.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The most connections at once: far more than monitoring systems make. Each costs some tens of KiB.
pub const CONNECTIONS: usize = 64;
/// Pause after a client had to give way, so that a crowd that reconnects at once costs little.
pub const PAUSE: Duration = Duration::from_millis(2);

/// The connections that are served now, in the order of their arrival.
#[derive(Default)]
pub struct Clients {
    connected: Mutex<Vec<Client>>,
}

struct Client {
    call: Arc<Call>,
    task: AbortHandle,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Call {
    /// The whole request has arrived.
    asked: AtomicBool,
}

impl Call {
    /// The whole request has arrived.
    pub fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Clients {
    /// Adds a connection. When there are too many, one is closed: the oldest without a request or, if all have one, the oldest. True when
    /// that was necessary.
    ///
    /// A client that sends its request at once is never closed for one that does not.
    pub fn add(&self, call: Arc<Call>, task: AbortHandle) -> bool {
        let mut connected = self.connected();
        connected.retain(|client| !client.task.is_finished());
        let gives_way = (connected.len() >= CONNECTIONS)
            .then(|| connected.iter().position(|client| !client.call.asked.load(Ordering::Relaxed)).unwrap_or(0));
        if let Some(place) = gives_way {
            connected.remove(place).task.abort();
        }
        connected.push(Client { call, task });
        gives_way.is_some()
    }

    fn connected(&self) -> MutexGuard<'_, Vec<Client>> {
        self.connected.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinHandle;

    fn come(clients: &Clients, asks: bool) -> (JoinHandle<()>, bool) {
        let call = Arc::<Call>::default();
        let task = tokio::spawn(std::future::pending());
        if asks {
            call.asks();
        }
        let sent_away = clients.add(call, task.abort_handle());
        (task, sent_away)
    }

    #[tokio::test]
    async fn the_idle_give_way_to_those_who_ask() {
        let clients = Clients::default();
        let (asking, _) = come(&clients, true);
        let (first_idle, _) = come(&clients, false);
        for _ in 2..CONNECTIONS {
            assert!(!come(&clients, false).1, "there is room");
        }
        assert!(come(&clients, false).1);
        assert!(first_idle.await.unwrap_err().is_cancelled());
        for _ in 0..CONNECTIONS * 2 {
            assert!(come(&clients, false).1);
            tokio::task::yield_now().await;
        }
        assert!(!asking.is_finished(), "it is being answered");
        for _ in 0..CONNECTIONS {
            come(&clients, true);
        }
        assert!(asking.await.unwrap_err().is_cancelled(), "when all have asked, the first gives way");
    }
}
