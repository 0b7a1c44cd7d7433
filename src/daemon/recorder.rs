//! Intake reports → rows. The row is written before anything else happens to an image.

use super::Line;
use super::inspector::later;
use super::outputs::OutputPaths;
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{Arrival, ArrivalState, EventLevel, NO_BANK, Recorded};
use crate::intake::{FoundFile, IntakeReport};
use crate::routing::Route;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// Pause before rows that could not be written are tried again. Meanwhile the bounded channel holds intake up.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// Bytes that a file name may have on Linux.
const NAME_MAX: usize = 255;

/// What the status says of a drop folder.
pub(super) const LOST: &str = "is lost";
pub(super) const NOT_WATCHED: &str = "is not all watched";

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
                line.status.folder(&root, LOST, true);
                let detail = format!("{}: {reason}; it is looked at again every 2 s", root.display());
                line.event(EventLevel::Error, "drop_folder_lost", None, &detail).await;
            }
            IntakeReport::RootBack { root } => {
                line.status.folder(&root, LOST, false);
                line.event(EventLevel::Info, "drop_folder_back", None, &root.display().to_string()).await;
            }
            IntakeReport::Overflow { root } => {
                let detail = format!("{}: events were lost; new watches and a full scan make up for it", root.display());
                line.event(EventLevel::Warn, "overflow", None, &detail).await;
            }
            IntakeReport::NotWatched { root, reason } => {
                line.status.folder(&root, NOT_WATCHED, true);
                let detail =
                    format!("{}: {reason}; files there are found by scans alone, every {:?}", root.display(), line.config.intake.rescan);
                line.event(EventLevel::Warn, "not_watched", None, &detail).await;
            }
            IntakeReport::Watched { root } => {
                line.status.folder(&root, NOT_WATCHED, false);
                line.event(EventLevel::Info, "watched", None, &format!("{}: all of it is watched now", root.display())).await;
            }
        }
    }
}

async fn record(line: &Line, files: Vec<FoundFile>, stop: &CancellationToken) {
    let arrivals: Vec<Arrival> = files.into_iter().filter_map(|file| arrival(line, file)).collect();
    loop {
        match line.store.record_arrivals(&arrivals).await {
            Ok(answers) => {
                line.meters.recorded(&arrivals, &answers);
                tell_refused(&arrivals, &answers);
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

/// Every image has a line in the log, also one that is not even tried.
fn tell_refused(arrivals: &[Arrival], answers: &[Recorded]) {
    for (arrival, _) in arrivals.iter().zip(answers).filter(|(_, answer)| matches!(answer, Recorded::New(_))) {
        if let ArrivalState::Failed { reason } = &arrival.state {
            tracing::warn!(product = arrival.product, image = %arrival.path.display(), %reason, "failed");
        }
    }
}

fn arrival(line: &Line, file: FoundFile) -> Option<Arrival> {
    let (product, state) = match line.router.route(&file.path) {
        Route::Product(rule) => {
            let product = line.config.products.get(rule.product);
            let refused = product.and_then(|product| name_too_long(&file.path, product));
            (product.map(|p| p.name.clone()), refused.map_or(ArrivalState::Pending, |reason| ArrivalState::Failed { reason }))
        }
        Route::Unrouted => (None, ArrivalState::Failed { reason: "unrouted".to_owned() }),
        Route::Ignored => return None,
    };
    // Not due until the bank exists, and the row says so from the start.
    let waits = state == ArrivalState::Pending && product.as_deref().is_some_and(|name| line.banks.get(name).is_none());
    Some(Arrival {
        path: file.path,
        product,
        size: file.size,
        mtime_ns: file.mtime_ns,
        seen_at: Timestamp::now(),
        give_up_at: later(line.config.intake.give_up_after),
        state,
        reason: waits.then(|| NO_BANK.to_owned()),
    })
}

/// Why no output of this image could be written, however often it were tried.
fn name_too_long(image: &Path, product: &ProductConfig) -> Option<String> {
    let longest = OutputPaths::beside(image, &product.outputs).longest_name();
    (longest > NAME_MAX).then(|| {
        format!(
            "the name of an output would have {longest} bytes, and {NAME_MAX} is the most; have the camera give its images a shorter name"
        )
    })
}
