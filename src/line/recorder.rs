//! Turns intake reports into rows. The row comes before anything else happens to an image.

use super::comparing::Comparing;
use super::products::Products;
use super::recording::{RecorderContext, record};
use super::retry::later;
use crate::codes::{EventKind, Reason, ReasonCode};
use crate::config::ProductConfig;
use crate::domain::{FolderTrouble, Trouble};
use crate::history::{Arrival, ArrivalState, Recorded};
use crate::inspect::{OutputPaths, PATH_MAX};
use crate::intake::{FoundFile, IntakeReport};
use crate::routing::Route;
use crate::telemetry::{Event, Pulse};
use jiff::Timestamp;
use std::path::Path;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// Runs until `stop`; the first scan of the next start finds the files that are not recorded by then.
pub async fn run(context: RecorderContext, mut reports: Receiver<IntakeReport>, stop: CancellationToken) {
    let (pulse, _watch) = context.telemetry.progress.worker("recorder");
    // A file that is not compared when the line stops has no row; the first scan of the next start finds it.
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
            IntakeReport::Found(files) => take(&context, files, &mut comparing, &pulse, &stop).await,
            IntakeReport::RootLost { root, reason } => {
                let detail = format!("{}: {reason}; it is looked at again every 2 s", root.display());
                trouble(&context, &root, FolderTrouble::Lost, true, detail).await;
            }
            IntakeReport::RootBack { root } => {
                let detail = root.display().to_string();
                trouble(&context, &root, FolderTrouble::Lost, false, detail).await;
            }
            IntakeReport::Overflow { root } => {
                let detail = format!("{}: events were lost; new watches and a full scan make up for it", root.display());
                context.telemetry.events.tell(Event::new(EventKind::Overflow, detail).at(root.as_path())).await;
            }
            IntakeReport::NotWatched { root, reason } => {
                let rescan = context.products.config.intake.rescan;
                let detail = format!("{}: {reason}; files there are found by scans alone, every {rescan:?}", root.display());
                trouble(&context, &root, FolderTrouble::NotWatched, true, detail).await;
            }
            IntakeReport::Watched { root } => {
                let detail = format!("{}: all of it is watched now", root.display());
                trouble(&context, &root, FolderTrouble::NotWatched, false, detail).await;
            }
        }
    }
}

/// A drop folder has this trouble, or no longer has it.
async fn trouble(context: &RecorderContext, root: &Path, trouble: FolderTrouble, is_so: bool, detail: String) {
    context.telemetry.status.trouble(root.into(), Trouble::Folder(trouble), is_so);
    let (begins, ends) = EventKind::of_folder_trouble(trouble);
    context.telemetry.events.tell(Event::new(if is_so { begins } else { ends }, detail).at(root)).await;
}

/// Records the files, however long that takes. Those that may be known already are left to `comparing`.
async fn take(context: &RecorderContext, files: Vec<FoundFile>, comparing: &mut Comparing, pulse: &Pulse, stop: &CancellationToken) {
    let arrivals: Vec<Arrival> = files.into_iter().filter_map(|file| arrival(context, file)).collect();
    let answers = record(context, &arrivals, pulse, stop).await;
    let unclear = arrivals.into_iter().zip(answers).filter(|(_, answer)| *answer == Recorded::Unclear).map(|(arrival, _)| arrival);
    comparing.begin(context, unclear.collect(), stop);
}

fn arrival(context: &RecorderContext, file: FoundFile) -> Option<Arrival> {
    let Products { config, router } = &*context.products;
    let (product, state) = match router.route(&file.path) {
        Route::Product(rule) => {
            let product = config.products.get(rule.product);
            let refused = product.and_then(|product| name_too_long(&file.path, product));
            (product.map(|p| p.name.clone()), refused.map_or(ArrivalState::Pending, |reason| ArrivalState::Failed { reason }))
        }
        Route::Unrouted => (None, ArrivalState::Failed { reason: ReasonCode::Unrouted.into() }),
        Route::Ignored => return None,
    };
    // Not due until the bank exists; the row says so from the start.
    let waits = state == ArrivalState::Pending && product.as_deref().is_some_and(|name| context.banks.get(name).is_none());
    Some(Arrival {
        path: file.path,
        product,
        size: file.size,
        mtime_ns: file.mtime_ns,
        seen_at: Timestamp::now(),
        give_up_at: later(config.intake.give_up_after),
        state,
        reason: waits.then(|| ReasonCode::NoBank.into()),
        file_id: file.id,
        said_whole: file.said_whole,
        evidence: None,
    })
}

/// Why no output of this image can ever be written.
fn name_too_long(image: &Path, product: &ProductConfig) -> Option<Reason> {
    let length = image.as_os_str().len();
    let unnamed = (length > PATH_MAX).then(|| {
        let text = format!("its path has {length} bytes, and {PATH_MAX} is the most; have the camera use fewer or shorter folders");
        Reason::new(ReasonCode::NameTooLong, text)
    });
    unnamed.or_else(|| OutputPaths::beside(image, &product.outputs).too_long())
}
