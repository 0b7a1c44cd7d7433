//! The running line: channels, tasks, order of start and stop. The only place that knows every stage.
//!
//! ```text
//! intake threads ─ reports ─▶ recorder ─ rows ─▶ history ◀─ takes pending ─ dispatcher ─▶ inspector ─▶ engine thread
//!                                                   ▲                                        │
//!                              rebuilders ─ banks ──┘◀──────────── done, in one transaction ─┘
//! ```
//!
//! Beside them, retention deletes files of rows that have long been done.

mod active;
mod builder_process;
mod dispatcher;
mod engine;
mod folder_state;
mod full_disk;
mod hand;
mod health;
mod inspector;
mod line;
mod litter;
mod lock;
pub mod outputs;
mod places;
mod rebuilder;
mod recorder;
pub mod retention;
pub mod rules;
mod service;
pub mod source;
mod status;
pub mod verdict;
mod watchdog;

pub use folder_state::{FolderState, folder_event_kinds, folder_state};
pub use lock::{Holder, database_holder};

use crate::config::Config;
use crate::crash_point;
use crate::error::FatalError;
use crate::history::EventLevel;
use line::Line;
use lock::DatabaseLock;
use sd_notify::NotifyState;
use service::{Request, Requests, tell};
use std::path::Path;
use std::time::Duration;

/// How often systemd's STATUS line is refreshed.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Runs the line described by the file until SIGTERM or SIGINT. Returns after the images in hand are recorded.
///
/// # Errors
/// A configuration that cannot be used, a history that is lost, or a worker that ended by itself.
pub fn run(config_path: &Path) -> Result<(), FatalError> {
    let config = Config::load(config_path)?;
    if let Some(point) = crash_point::arm().map_err(FatalError::Config)? {
        tracing::warn!(point, "{} is set: the daemon will kill itself at this point", crash_point::VARIABLE);
    }
    let no_runtime = |e: std::io::Error| FatalError::Worker { worker: "runtime", reason: e.to_string() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(no_runtime)?;
    let outcome = runtime.block_on(serve(config_path, config));
    // A thread in a hung system call must not keep the process; everything that matters is on disk.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn serve(config_path: &Path, mut config: Config) -> Result<(), FatalError> {
    let mut requests = Requests::listen().map_err(|e| FatalError::Worker { worker: "signals", reason: e.to_string() })?;
    let mut lock = DatabaseLock::take(&config.database)?;
    loop {
        if lock.database() != config.database {
            lock = DatabaseLock::take(&config.database)?;
        }
        let mut running = line::start(config.clone()).await?;
        tracing::info!(products = config.products.len(), "ready");
        tell(&[NotifyState::Ready, NotifyState::Status("ready")]);
        let next = watch(&mut running, &mut requests, config_path).await;
        tell(&[if matches!(next, Ok(Some(_))) { NotifyState::Reloading } else { NotifyState::Stopping }]);
        tokio::select! {
            stopped = running.stop() => stopped?,
            // Asked a second time: whatever is in hand is still pending in the history and is done at the next start.
            () = requests.next_stop() => {
                tracing::warn!("stopped at once; images in hand are inspected after the next start");
                return Ok(());
            }
        }
        match next? {
            Some(new) => config = new,
            None => {
                tracing::info!("stopped");
                return Ok(());
            }
        }
    }
}

/// Serves requests until the line must stop: `Some` = start again with this configuration.
async fn watch(running: &mut line::Running, requests: &mut Requests, config_path: &Path) -> Result<Option<Config>, FatalError> {
    let mut refresh = tokio::time::interval(STATUS_EVERY);
    loop {
        tokio::select! {
            error = running.worker_ended() => return Err(error),
            _ = refresh.tick() => tell(&[NotifyState::Status(&running.line().status_line().await)]),
            request = requests.next() => match request {
                Request::Stop => return Ok(None),
                Request::Status => tracing::info!(status = %running.line().status_line().await, "status"),
                Request::Reload => match Config::load(config_path) {
                    Ok(new) => {
                        tracing::info!("configuration read again");
                        running.line().event(EventLevel::Info, "reload", None, "the new configuration is in use").await;
                        return Ok(Some(new));
                    }
                    Err(error) => {
                        tracing::error!(%error, "the new configuration cannot be used; the old one stays");
                        running.line().event(EventLevel::Error, "reload_refused", None, &error.to_string()).await;
                    }
                },
            },
        }
    }
}
