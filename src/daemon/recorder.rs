//! Intake reports → rows. The row is written before anything else happens to an image.

mod comparing;

use super::Line;
use super::inspector::later;
use super::outputs::{OutputPaths, PATH_MAX};
use super::progress::Pulse;
use crate::codes::{EventKind, Reason, ReasonCode};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{Arrival, ArrivalState, Recorded};
use crate::intake::{FoundFile, IntakeReport};
use crate::routing::Route;
use comparing::Comparing;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// Pause before rows that could not be written are tried again. Meanwhile the bounded channel holds intake up.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// What the status says of a drop folder.
pub(super) const LOST: &str = "is lost";
pub(super) const NOT_WATCHED: &str = "is not all watched";

/// Runs until `stop`; files not recorded by then are found by the first scan of the next start.
pub(super) async fn run(line: Arc<Line>, mut reports: Receiver<IntakeReport>, stop: CancellationToken) {
    let (pulse, _watch) = line.progress.worker("recorder");
    // What is not compared when the line stops has no row, and is found by the first scan of the next start.
    let mut comparing = Comparing::default();
    loop {
        let report = tokio::select! {
            () = stop.cancelled() => return,
            () = comparing.ended() => continue,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        let _work = pulse.begin();
        match report {
            IntakeReport::Found(files) => take(&line, files, &mut comparing, &pulse, &stop).await,
            IntakeReport::RootLost { root, reason } => {
                line.status.folder(&root, LOST, true);
                let detail = format!("{}: {reason}; it is looked at again every 2 s", root.display());
                line.event(EventKind::DropFolderLost, None, &detail).await;
            }
            IntakeReport::RootBack { root } => {
                line.status.folder(&root, LOST, false);
                line.event(EventKind::DropFolderBack, None, &root.display().to_string()).await;
            }
            IntakeReport::Overflow { root } => {
                let detail = format!("{}: events were lost; new watches and a full scan make up for it", root.display());
                line.event(EventKind::Overflow, None, &detail).await;
            }
            IntakeReport::NotWatched { root, reason } => {
                line.status.folder(&root, NOT_WATCHED, true);
                let detail =
                    format!("{}: {reason}; files there are found by scans alone, every {:?}", root.display(), line.config.intake.rescan);
                line.event(EventKind::NotWatched, None, &detail).await;
            }
            IntakeReport::Watched { root } => {
                line.status.folder(&root, NOT_WATCHED, false);
                line.event(EventKind::Watched, None, &format!("{}: all of it is watched now", root.display())).await;
            }
        }
    }
}

/// Records them, however long that takes. What may be known already is left to `comparing`.
async fn take(line: &Arc<Line>, files: Vec<FoundFile>, comparing: &mut Comparing, pulse: &Pulse, stop: &CancellationToken) {
    let arrivals: Vec<Arrival> = files.into_iter().filter_map(|file| arrival(line, file)).collect();
    let answers = record(line, &arrivals, pulse, stop).await;
    let unclear = arrivals.into_iter().zip(answers).filter(|(_, answer)| *answer == Recorded::Unclear).map(|(arrival, _)| arrival);
    comparing.begin(line, unclear.collect(), stop);
}

/// One answer per arrival; none when it was asked to stop before.
async fn record(line: &Line, arrivals: &[Arrival], pulse: &Pulse, stop: &CancellationToken) -> Vec<Recorded> {
    loop {
        match line.store.record_arrivals(arrivals).await {
            Ok(answers) => {
                line.meters.recorded(arrivals, &answers);
                tell_refused(arrivals, &answers);
                crash_point::reach("row_recorded");
                line.wake.notify_one();
                return answers;
            }
            Err(error) => tracing::error!(%error, files = arrivals.len(), "arrivals not recorded; intake pauses and tries again"),
        }
        // A full disk may take days; whether the database hangs, the watchdog asks for itself.
        pulse.step();
        tokio::select! {
            () = stop.cancelled() => return Vec::new(),
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }
}

/// Every image has a line in the log, also one that is not even tried.
fn tell_refused(arrivals: &[Arrival], answers: &[Recorded]) {
    for (arrival, _) in arrivals.iter().zip(answers).filter(|(_, answer)| matches!(answer, Recorded::New(_))) {
        if let ArrivalState::Failed { reason } = &arrival.state {
            tracing::warn!(product = arrival.product, image = %arrival.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "failed");
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
        Route::Unrouted => (None, ArrivalState::Failed { reason: ReasonCode::Unrouted.into() }),
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
        reason: waits.then(|| ReasonCode::NoBank.into()),
        file_id: file.id,
        said_whole: file.said_whole,
        evidence: None,
    })
}

/// Why no output of this image could be written, however often it were tried.
fn name_too_long(image: &Path, product: &ProductConfig) -> Option<Reason> {
    let length = image.as_os_str().len();
    let unnamed = (length > PATH_MAX).then(|| {
        let text = format!("its path has {length} bytes, and {PATH_MAX} is the most; have the camera use fewer or shorter folders");
        Reason::new(ReasonCode::NameTooLong, text)
    });
    unnamed.or_else(|| OutputPaths::beside(image, &product.outputs).too_long())
}
