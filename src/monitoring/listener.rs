//! Listens on the configured address, and tries again when it cannot: monitoring never stops the line.

use super::pages::{answer, pages};
use super::shared::{MonitoringNews, Shared};
use super::socket::{NoSocket, Socket};
use crate::codes::EventKind;
use crate::config::MetricsAddress;
use crate::platform::http_clients::{Call, Clients, PAUSE};
use axum::Router;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The pause before the next try of an address that cannot be used.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until the sender of `address` is gone.
pub async fn run(shared: Arc<Shared>, mut address: watch::Receiver<Option<MetricsAddress>>) {
    let pages = pages(Arc::clone(&shared));
    let mut said: Option<NoSocket> = None;
    loop {
        let wanted = address.borrow_and_update().clone();
        let Some(wanted) = wanted else {
            said = None;
            if address.changed().await.is_err() {
                return;
            }
            continue;
        };
        let gone = match Socket::open(&wanted).await {
            Ok(socket) => {
                tracing::info!(address = %show(&wanted), "metrics can be asked for");
                if said.take().is_some() {
                    let detail = format!("{}: metrics can be asked for", show(&wanted));
                    shared.tell(MonitoringNews { kind: EventKind::MetricsAvailable, detail });
                }
                serve(&socket, &pages, &mut address).await
            }
            Err(why) => {
                if said.as_ref() != Some(&why) {
                    let detail = format!("{why}; the line runs on without monitoring, and it is tried again every {AGAIN:?}");
                    shared.tell(MonitoringNews { kind: EventKind::MetricsUnavailable, detail });
                }
                said = Some(why);
                tokio::select! {
                    changed = address.changed() => changed.is_err(),
                    () = tokio::time::sleep(AGAIN) => false,
                }
            }
        };
        if gone {
            return;
        }
    }
}

/// Answers until the address changes; true when there will be no other address.
async fn serve(socket: &Socket, pages: &Router, address: &mut watch::Receiver<Option<MetricsAddress>>) -> bool {
    let clients = Clients::default();
    loop {
        tokio::select! {
            changed = address.changed() => return changed.is_err(),
            stream = socket.accept() => match stream {
                Ok(stream) => {
                    let call = Arc::<Call>::default();
                    let task = tokio::spawn(answer(stream, pages.clone(), Arc::clone(&call)));
                    if clients.add(call, task.abort_handle()) {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                // Usually no descriptor is free.
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be taken");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
}

fn show(address: &MetricsAddress) -> String {
    match address {
        MetricsAddress::Listen(address) => format!("http://{address}/metrics"),
        MetricsAddress::Socket(path) => path.display().to_string(),
    }
}
