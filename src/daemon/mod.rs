//! The daemon: the order in which everything starts, reloads and stops. The only place that knows every stage.
//!
//! ```text
//! intake threads ─ reports ─▶ recorder ─ rows ─▶ history ◀─ takes pending ─ dispatcher ─▶ inspector ─▶ engine thread
//!                                                   ▲                                        │
//!                              rebuilders ─ banks ──┘◀──────────── done, in one transaction ─┘
//! ```

mod config_in_use;
mod error;
mod line;
mod long_lived;
mod patience;
mod reload;
mod workers;

pub use config_in_use::{InUse, config_in_use};
pub use error::{EX_CONFIG, FatalError};

use crate::actions::end_commands;
use crate::codes::EventKind;
use crate::config::Config;
use crate::line::{calendar, profile};
use crate::monitoring::Monitoring;
use crate::platform::crash_point;
use crate::snapshot::NotRunning;
use crate::supervisor::{Phase, Request, SignalRequests, Supervisor, Systemd, tell_status};
use crate::telemetry::Event;
use line::Line;
use long_lived::LongLived;
use patience::while_locked;
use reload::{Reload, read_again};
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
    if let Some(point) = crash_point::arm().map_err(|error| FatalError::Config(error.to_string()))? {
        tracing::warn!(point, "{} is set: the daemon will kill itself at this point", crash_point::VARIABLE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| FatalError::not_started("runtime", &error))?;
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
    let mut requests = SignalRequests::listen().map_err(|error| FatalError::not_started("signals", &error))?;
    let mut supervisor = Supervisor::default();
    let systemd = Systemd::start(&mut supervisor);
    let Some(mut long_lived) = begin(&mut config, &mut requests, &systemd).await? else { return Ok(()) };
    loop {
        monitoring.listen(config.metrics.as_ref());
        let line = line::start(config.clone(), long_lived.parts(), &mut supervisor, systemd.progress(), monitoring).await?;
        config_in_use::write(&config, config_path);
        profile::taken_up(&line.config, &line.store.profiles(), &line.telemetry.events).await;
        calendar::note(&line.config.local, &line.store.calendar()).await;
        if let Some(text) = config.packaged_text() {
            tracing::warn!("{text}");
        }
        tracing::info!(products = config.products.len(), "ready");
        systemd.enter(Phase::Running);
        let next = watch(&line, &mut supervisor, &mut requests, config_path, &long_lived).await;
        monitoring.line_ends(if matches!(next, Ok(Next::Reload(..))) { NotRunning::Reloading } else { NotRunning::Stopping });
        let Some(next) = stop(line, &mut supervisor, &mut requests, &systemd, next).await else { return Ok(()) };
        match next {
            Ok(Next::Reload(new)) => {
                long_lived = long_lived.fit(&new.config, new.history, systemd.progress()).await?;
                config = new.config;
            }
            Ok(Next::Stop) => {
                end_commands().await;
                long_lived.close().await?;
                tracing::info!("stopped");
                return Ok(());
            }
            Err(error) => {
                end_commands().await;
                // What ended the line is what matters.
                let _ = long_lived.close().await;
                return Err(error);
            }
        }
    }
}

/// Opens what all lines share, which takes as long as somebody has the database locked; `None` when the daemon is to stop before that.
async fn begin(config: &mut Config, requests: &mut SignalRequests, systemd: &Systemd) -> Result<Option<LongLived>, FatalError> {
    let opening = async {
        let long_lived = LongLived::open(config, systemd.progress()).await?;
        let (pulse, _watch) = systemd.progress().worker("profile");
        let _work = pulse.begin();
        let profiles = long_lived.parts().store.profiles();
        while_locked(&pulse, async || Ok(profile::settle(&mut *config, &profiles).await?)).await?;
        Ok(long_lived)
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
async fn watch(
    line: &Line,
    supervisor: &mut Supervisor,
    requests: &mut SignalRequests,
    config_path: &Path,
    long_lived: &LongLived,
) -> Result<Next, FatalError> {
    let mut refresh = tokio::time::interval(STATUS_EVERY);
    let (pulse, _watch) = line.telemetry.progress.worker("signals");
    loop {
        let request = tokio::select! {
            // A history that is lost ends workers, too, and it is what matters.
            biased;
            error = line.store.database().lost() => return Err(error.into()),
            ended = supervisor.ended() => return Err(ended.into()),
            request = requests.next() => Some(request),
            _ = refresh.tick() => None,
        };
        let _work = pulse.begin();
        match request {
            None => tell_status(&line.status().await),
            Some(Request::Stop) => return Ok(Next::Stop),
            Some(Request::Status) => {
                tracing::info!(status = %line.status().await, "status");
                supervisor.table().iter().for_each(|worker| tracing::debug!(%worker, "worker"));
            }
            Some(Request::Reload) => match read_again(config_path, line, long_lived, &pulse).await {
                Ok(new) => {
                    line.telemetry.events.tell(Event::new(EventKind::Reload, &new.changes)).await;
                    return Ok(Next::Reload(Box::new(new)));
                }
                Err(error) => {
                    line.telemetry.status.configuration_refused();
                    let detail = format!("{error}\nthe old one stays in use");
                    line.telemetry.events.tell(Event::new(EventKind::ReloadRefused, detail)).await;
                }
            },
        }
    }
}

/// Stops the line. A request to stop that comes meanwhile stops a reload too; `None` when that was asked for a second time: whatever
/// is in hand is still pending in the history and is done at the next start.
async fn stop(
    line: Line,
    supervisor: &mut Supervisor,
    requests: &mut SignalRequests,
    systemd: &Systemd,
    next: Result<Next, FatalError>,
) -> Option<Result<Next, FatalError>> {
    let mut next = next;
    systemd.enter(if matches!(next, Ok(Next::Reload(_))) { Phase::Reloading } else { Phase::Stopping });
    if !matches!(next, Ok(Next::Reload(_)))
        && let Err(error) = line.store.queue().stops().await
    {
        tracing::debug!(%error, "images in hand may be taken for the cause if the daemon is killed before it has stopped");
    }
    let mut stopping = std::pin::pin!(line.stop(supervisor));
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
