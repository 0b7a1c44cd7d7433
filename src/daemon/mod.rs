//! The running line: channels, tasks, order of start and stop. The only place that knows every stage.
//!
//! ```text
//! intake threads ─ reports ─▶ recorder ─ rows ─▶ history ◀─ takes pending ─ dispatcher ─▶ inspector ─▶ engine thread
//!                                                   ▲                                        │
//!                              rebuilders ─ banks ──┘◀──────────── done, in one transaction ─┘
//! ```
//!
//! Beside them, retention deletes files of rows that have long been done.

mod acting;
mod active;
mod aftermath;
mod bank_keeper;
mod bank_troubles;
mod builder_process;
pub mod clock;
mod database;
mod dispatcher;
mod engine;
mod folder_state;
mod full_disk;
mod hand;
mod health;
mod in_use;
mod inspector;
mod kept;
mod kernel;
mod line;
mod litter;
mod lock;
mod monitoring;
mod not_written;
mod off_runtime;
pub mod outputs;
mod patience;
mod places;
pub mod profile;
mod progress;
mod rate;
mod rebuilder;
mod recorder;
mod reload;
mod requests;
pub mod retention;
mod rollback;
pub mod rules;
mod service;
pub mod source;
mod status;
mod systemd;
pub mod verdict;
mod waiting;
mod watchdog;
mod whose;
mod writing;

pub use acting::broker_file_problems;
pub use bank_troubles::{bank_event_kinds, bank_trouble};
pub use folder_state::{FolderState, folder_event_kinds, folder_state};
pub use in_use::{InUse, config_in_use};
pub use lock::{DatabaseLock, Holder, LockError, database_holder};
pub use monitoring::address_problem;
pub use rebuilder::folder_answers;
pub use rollback::{RollbackError, current_version, roll_back, rollback_target, version_in_use};
pub use waiting::BOUND as WAITS_TOO_LONG;

use crate::codes::EventKind;
use crate::config::Config;
use crate::crash_point;
use crate::error::FatalError;
use kept::Kept;
use line::Line;
use monitoring::{Monitoring, NotRunning};
use patience::while_locked;
use reload::{Reload, read_again};
use sd_notify::NotifyState;
use service::{Request, Requests, tell};
use std::path::Path;
use std::time::Duration;
use systemd::{Phase, Systemd};

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
    let monitoring = Monitoring::start();
    let outcome = runtime.block_on(serve(config_path, config, &monitoring));
    drop(monitoring);
    // A thread in a hung system call must not keep the process; everything that matters is on disk.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

/// What follows a line.
enum Next {
    /// The end of the process.
    Stop,
    /// A line with another configuration.
    Reload(Box<Reload>),
}

async fn serve(config_path: &Path, mut config: Config, monitoring: &Monitoring) -> Result<(), FatalError> {
    let mut requests = Requests::listen().map_err(|e| FatalError::Worker { worker: "signals", reason: e.to_string() })?;
    let systemd = Systemd::start();
    let Some(mut kept) = begin(&mut config, &mut requests, &systemd).await? else { return Ok(()) };
    loop {
        monitoring.listen(config.metrics.as_ref());
        let mut running = line::start(config.clone(), (kept.store(), kept.clock()), kept.engine(), systemd.progress(), monitoring).await?;
        in_use::write(&config, config_path);
        profile::taken_up(running.line()).await;
        tracing::info!(products = config.products.len(), "ready");
        systemd.enter(Phase::Running);
        let next = watch(&mut running, &mut requests, config_path, &kept).await;
        monitoring.line_ends(if matches!(next, Ok(Next::Reload(..))) { NotRunning::Reloading } else { NotRunning::Stopping });
        let Some(next) = stop(running, &mut requests, &systemd, next).await else { return Ok(()) };
        match next {
            Ok(Next::Reload(new)) => {
                kept = kept.fit(&new.config, new.history, systemd.progress()).await?;
                config = new.config;
            }
            Ok(Next::Stop) => {
                acting::end_commands().await;
                kept.close().await?;
                tracing::info!("stopped");
                return Ok(());
            }
            Err(error) => {
                acting::end_commands().await;
                // What ended the line is what matters.
                let _ = kept.close().await;
                return Err(error);
            }
        }
    }
}

/// Opens what all lines share, which takes as long as somebody has the database locked; `None` when the daemon is to stop before that.
async fn begin(config: &mut Config, requests: &mut Requests, systemd: &Systemd) -> Result<Option<Kept>, FatalError> {
    let opening = async {
        let kept = Kept::open(config, systemd.progress()).await?;
        let (pulse, _watch) = systemd.progress().worker("profile");
        let _work = pulse.begin();
        let store = kept.store();
        while_locked(&pulse, async || profile::settle(&mut *config, &store).await).await?;
        Ok(kept)
    };
    let mut opening = std::pin::pin!(opening);
    loop {
        tokio::select! {
            opened = &mut opening => return opened.map(Some),
            request = requests.receive() => match request {
                Request::Stop => {
                    systemd.enter(Phase::Stopping);
                    tracing::info!("stopped before the line was started");
                    return Ok(None);
                }
                // The file was read a moment ago, or is read again when the line runs.
                Request::Reload => requests.put_off_reload(),
                Request::Status => tracing::info!("the line is being started"),
            },
        }
    }
}

/// Serves requests until the line must stop.
async fn watch(running: &mut line::Running, requests: &mut Requests, config_path: &Path, kept: &Kept) -> Result<Next, FatalError> {
    let mut refresh = tokio::time::interval(STATUS_EVERY);
    let (pulse, _watch) = running.line().progress.worker("signals");
    loop {
        let request = tokio::select! {
            error = running.worker_ended() => return Err(error),
            _ = refresh.tick() => None,
            request = requests.next() => Some(request),
        };
        let _work = pulse.begin();
        match request {
            None => tell(&[NotifyState::Status(&running.line().status_line().await)]),
            Some(Request::Stop) => return Ok(Next::Stop),
            Some(Request::Status) => tracing::info!(status = %running.line().status_line().await, "status"),
            Some(Request::Reload) => match read_again(config_path, running.line(), kept, &pulse).await {
                Ok(new) => {
                    running.line().event(EventKind::Reload, None, &new.changes).await;
                    return Ok(Next::Reload(Box::new(new)));
                }
                Err(error) => {
                    running.line().status.configuration_refused();
                    running.line().event(EventKind::ReloadRefused, None, &format!("{error}\nthe old one stays in use")).await;
                }
            },
        }
    }
}

/// Stops the line. A request to stop that comes meanwhile stops a reload too; `None` when that was asked for a second time: whatever
/// is in hand is still pending in the history and is done at the next start.
async fn stop(
    running: line::Running,
    requests: &mut Requests,
    systemd: &Systemd,
    next: Result<Next, FatalError>,
) -> Option<Result<Next, FatalError>> {
    let mut next = next;
    systemd.enter(if matches!(next, Ok(Next::Reload(_))) { Phase::Reloading } else { Phase::Stopping });
    if !matches!(next, Ok(Next::Reload(_)))
        && let Err(error) = running.line().store.stops().await
    {
        tracing::debug!(%error, "images in hand may be taken for the cause if the daemon is killed before it has stopped");
    }
    let mut stopping = std::pin::pin!(running.stop());
    loop {
        tokio::select! {
            () = &mut stopping => return Some(next),
            request = requests.receive() => match (request, &next) {
                (Request::Stop, Ok(Next::Reload(_))) => {
                    systemd.enter(Phase::Stopping);
                    next = Ok(Next::Stop);
                }
                (Request::Stop, _) => {
                    tracing::warn!("stopped at once; images in hand are inspected after the next start");
                    return None;
                }
                // Also what was written to the file after it was read.
                (Request::Reload, Ok(Next::Reload(_))) => requests.put_off_reload(),
                _ => {}
            },
        }
    }
}
