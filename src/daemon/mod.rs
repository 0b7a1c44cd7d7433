//! The running line: channels, tasks, order of start and stop. The only place that knows every stage.
//!
//! ```text
//! intake threads ─ reports ─▶ recorder ─ rows ─▶ history ◀─ takes pending ─ dispatcher ─▶ inspector ─▶ engine thread
//!                                                   ▲                                        │
//!                              rebuilders ─ banks ──┘◀──────────── done, in one transaction ─┘
//! ```

mod acting;
mod active;
mod builder_process;
mod dispatcher;
mod engine;
mod folder_state;
mod full_disk;
mod hand;
mod health;
mod inspector;
mod kept;
mod line;
mod litter;
mod lock;
pub mod outputs;
mod places;
mod rebuilder;
mod recorder;
pub mod rules;
mod service;
pub mod source;
mod status;
pub mod verdict;
mod watchdog;

pub use acting::broker_file_problems;
pub use folder_state::{FolderState, folder_event_kinds, folder_state};
pub use lock::{Holder, database_holder};

use crate::config::Config;
use crate::crash_point;
use crate::error::FatalError;
use crate::history::EventLevel;
use kept::{Kept, OwnHistory};
use line::Line;
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

/// What follows a line.
enum Next {
    /// The end of the process.
    Stop,
    /// A line with this configuration, and with this history if not the present one.
    Reload(Box<Config>, Option<OwnHistory>),
}

async fn serve(config_path: &Path, mut config: Config) -> Result<(), FatalError> {
    let mut requests = Requests::listen().map_err(|e| FatalError::Worker { worker: "signals", reason: e.to_string() })?;
    let mut kept = Kept::open(&config).await?;
    loop {
        let mut running = line::start(config.clone(), kept.store(), kept.engine()).await?;
        tracing::info!(products = config.products.len(), "ready");
        tell(&[NotifyState::Ready, NotifyState::Status("ready")]);
        let next = watch(&mut running, &mut requests, config_path, &kept).await;
        let Some(next) = stop(running, &mut requests, next).await else { return Ok(()) };
        match next {
            Ok(Next::Reload(new, history)) => {
                kept = kept.fit(&new, history).await?;
                config = *new;
            }
            Ok(Next::Stop) => {
                kept.close().await?;
                tracing::info!("stopped");
                return Ok(());
            }
            Err(error) => {
                // What ended the line is what matters.
                let _ = kept.close().await;
                return Err(error);
            }
        }
    }
}

/// Serves requests until the line must stop.
async fn watch(running: &mut line::Running, requests: &mut Requests, config_path: &Path, kept: &Kept) -> Result<Next, FatalError> {
    let mut refresh = tokio::time::interval(STATUS_EVERY);
    loop {
        tokio::select! {
            error = running.worker_ended() => return Err(error),
            _ = refresh.tick() => tell(&[NotifyState::Status(&running.line().status_line().await)]),
            request = requests.next() => match request {
                Request::Stop => return Ok(Next::Stop),
                Request::Status => tracing::info!(status = %running.line().status_line().await, "status"),
                Request::Reload => match read_again(config_path, kept).await {
                    Ok(next) => {
                        tracing::info!("configuration read again");
                        running.line().event(EventLevel::Info, "reload", None, "the new configuration is in use").await;
                        return Ok(next);
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

/// The new configuration with all that it needs, before anything is stopped for it.
async fn read_again(config_path: &Path, kept: &Kept) -> Result<Next, FatalError> {
    let new = Config::load(config_path)?;
    let history = if kept.needs_other_history(&new) { Some(OwnHistory::open(&new.database).await?) } else { None };
    Ok(Next::Reload(Box::new(new), history))
}

/// Stops the line. A request to stop that comes meanwhile stops a reload too; `None` when that was asked for a second time: whatever
/// is in hand is still pending in the history and is done at the next start.
async fn stop(running: line::Running, requests: &mut Requests, next: Result<Next, FatalError>) -> Option<Result<Next, FatalError>> {
    let mut next = next;
    tell(&[if matches!(next, Ok(Next::Reload(..))) { NotifyState::Reloading } else { NotifyState::Stopping }]);
    let mut stopping = std::pin::pin!(running.stop());
    loop {
        tokio::select! {
            () = &mut stopping => return Some(next),
            request = requests.receive() => match (request, &next) {
                (Request::Stop, Ok(Next::Reload(..))) => {
                    tell(&[NotifyState::Stopping]);
                    next = Ok(Next::Stop);
                }
                (Request::Stop, _) => {
                    tracing::warn!("stopped at once; images in hand are inspected after the next start");
                    return None;
                }
                // Also what was written to the file after it was read.
                (Request::Reload, Ok(Next::Reload(..))) => requests.put_off_reload(),
                _ => {}
            },
        }
    }
}
