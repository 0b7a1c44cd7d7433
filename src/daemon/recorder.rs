//! Intake reports → rows. The row is written before anything else happens to an image.

use super::Line;
use super::inspector::later;
use crate::crash_point;
use crate::history::{Arrival, ArrivalState, EventLevel, NO_BANK};
use crate::intake::{FoundFile, IntakeReport};
use crate::routing::Route;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// Pause before rows that could not be written are tried again. Meanwhile the bounded channel holds intake up.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`; files not recorded by then are found by the first scan of the next start.
pub(super) async fn run(line: Arc<Line>, mut reports: Receiver<IntakeReport>, stop: CancellationToken) {
    loop {
        let report = tokio::select! {
            () = stop.cancelled() => return,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        match report {
            IntakeReport::Found(files) => record(&line, files, &stop).await,
            IntakeReport::RootLost { root, reason } => {
                let detail = format!("{}: {reason}; it is tried again every 2 s", root.display());
                line.event(EventLevel::Error, "drop_folder_lost", None, &detail).await;
            }
            IntakeReport::RootBack { root } => {
                line.event(EventLevel::Info, "drop_folder_back", None, &root.display().to_string()).await;
            }
            IntakeReport::Overflow { root } => {
                line.event(
                    EventLevel::Warn,
                    "overflow",
                    None,
                    &format!("{}: events were lost; a full scan made up for it", root.display()),
                )
                .await;
            }
            IntakeReport::NotWatched { root, reason } => {
                let detail = format!("{}: {reason}; files are found by scans alone, every {:?}", root.display(), line.config.intake.rescan);
                line.event(EventLevel::Warn, "not_watched", None, &detail).await;
            }
        }
    }
}

async fn record(line: &Line, files: Vec<FoundFile>, stop: &CancellationToken) {
    let arrivals: Vec<Arrival> = files.into_iter().filter_map(|file| arrival(line, file)).collect();
    loop {
        match line.store.record_arrivals(&arrivals).await {
            Ok(_) => {
                crash_point::reach("row_recorded");
                return line.wake.notify_one();
            }
            Err(error) => tracing::error!(%error, files = arrivals.len(), "arrivals not recorded; intake pauses and tries again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }
}

fn arrival(line: &Line, file: FoundFile) -> Option<Arrival> {
    let (product, state) = match line.router.route(&file.path) {
        Route::Product(rule) => (line.config.products.get(rule.product).map(|p| p.name.clone()), ArrivalState::Pending),
        Route::Unrouted => (None, ArrivalState::Failed { reason: "unrouted".to_owned() }),
        Route::Ignored => return None,
    };
    // Not due until the bank exists, and the row says so from the start.
    let reason = product.as_deref().is_some_and(|name| line.banks.get(name).is_none()).then(|| NO_BANK.to_owned());
    Some(Arrival {
        path: file.path,
        product,
        size: file.size,
        mtime_ns: file.mtime_ns,
        seen_at: Timestamp::now(),
        give_up_at: later(line.config.intake.give_up_after),
        state,
        reason,
    })
}
