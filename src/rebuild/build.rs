//! One build, from the guards to the new version in use.
//!
//! The build runs as a child process of the same binary, so that a crash or a lack of memory there cannot stop the line. The current bank
//! stays in use until the new one is whole, synced and linked; a failed or refused build changes nothing.

use super::comparison::compare;
use super::context::RebuildContext;
use crate::banks::{
    BankAway, BankFolder, BankFolderError, BuildJob, BuildReport, Built, EngineJob, ImagesToBuildFrom, Killed, NotStarted, OkFolder,
    OkListing, Refused, allow_build, describe, folder_answers, new_bank, rows_sha256, run_build_process,
};
use crate::codes::EventKind;
use crate::config::{Config, ProductConfig};
use crate::domain::{BankTrigger, BankWork, error_text};
use crate::history::{HistoryError, NewBank};
use crate::platform::{crash_point, folder_io};
use crate::telemetry::{Event, NotRebuilt};
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::{SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

/// Pause before another try to record a published bank.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// The order for a build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The reason, as the history has it.
    pub trigger: BankTrigger,
    /// A person asked to ignore the bank in use and the number of its images.
    pub anew: bool,
}

/// How a build ended.
pub(super) enum Ended {
    /// A bank is in use.
    WithBank {
        /// Its version.
        version: u64,
        /// The fingerprint of its files, if it has one.
        fingerprint: Option<String>,
    },
    /// There is no bank for this reason, which lies in the ok folder or in the build options.
    Without(String),
    /// There is no bank for this reason, which passes: a change of the ok folder would not help.
    ForNow(String),
    /// The build was cut: nobody wants it any more.
    Cut,
}

/// Builds a bank and puts it in use, or records why there is none. `cut` ends a running build.
pub(super) async fn build(
    context: &RebuildContext,
    product: &ProductConfig,
    listing: &OkFolder,
    order: Order,
    cut: &CancellationToken,
) -> Ended {
    let begin = Instant::now();
    let ended = try_build(context, product, listing, order, cut).await;
    context.note_work(&product.name, None).await;
    let error = match ended {
        Ok(ended) => return ended,
        Err(_) if cut.is_cancelled() => return Ended::Cut,
        Err(error) => error,
    };
    if error.is::<BankAway>() {
        tracing::debug!(product = %product.name, %error, "no bank is built now");
        return Ended::ForNow(error.to_string());
    }
    if let (BankTrigger::First, Some((there, needed))) = (order.trigger, error.downcast_ref().and_then(Refused::too_few_listed)) {
        let detail = format!("{}: {there} OK images; the first bank is built when there are {needed}", product.ok.display());
        context.events().tell(Event::new(EventKind::OkImagesTooFew, detail.as_str()).of_product(&product.name)).await;
        context.note_work(&product.name, Some(BankWork::WaitsForImages { there, needed })).await;
        return Ended::Without(detail);
    }
    let for_now = error.is::<Killed>() || error.is::<NotStarted>() || error.is::<BankFolderError>() || error.is::<HistoryError>();
    let again = if for_now && !error.is::<Killed>() { "; it is tried again" } else { "" };
    let reason = error_text(&error) + again;
    context.banks.telemetry.counters.not_rebuilt(&product.name, outcome(&error));
    let stays = if context.banks.active.get(&product.name).is_some() { "the one in use stays" } else { "images wait for it" };
    context.events().tell(Event::new(EventKind::BuildFailed, format!("{reason}; {stays}")).of_product(&product.name)).await;
    let seconds = begin.elapsed().as_secs_f64();
    if let Err(error) = context.banks.rows.failed_bank(&product.name, None, order.trigger, &reason, seconds).await {
        tracing::error!(%error, "failed build not recorded");
    }
    if for_now { Ended::ForNow(reason) } else { Ended::Without(reason) }
}

/// The outcome for the counters.
fn outcome(error: &anyhow::Error) -> NotRebuilt {
    if error.is::<Killed>() {
        NotRebuilt::Killed
    } else if error.is::<Refused>() {
        NotRebuilt::Refused
    } else {
        NotRebuilt::Failed
    }
}

/// Asks the guards, which read the history. Then: 1. waits for its turn: one build at a time leaves the line its cores; 2. builds in a
/// staging folder; 3. asks the guards again, about the usable images; 4. says what the bank changes for recent images; 5. publishes; 6. records and
/// puts in use; 7. removes old versions.
async fn try_build(
    context: &RebuildContext,
    product: &ProductConfig,
    listing: &OkFolder,
    Order { trigger, anew }: Order,
    cut: &CancellationToken,
) -> anyhow::Result<Ended> {
    if !anew {
        folder_answers(&context.banks.rows, product).await?;
    }
    let before = context.banks.rows.active_bank(&product.name).await?;
    let previous = before.as_ref().filter(|_| !anew).and_then(|row| row.images).map(|images| images as usize);
    allow_build(ImagesToBuildFrom::Listed(listing.len()), product.min_images, previous)?;
    context.note_work(&product.name, Some(BankWork::WaitsForTurn)).await;
    let turn = tokio::select! {
        turn = context.build_turn.acquire() => turn?,
        () = cut.cancelled() => return Ok(Ended::Cut),
    };
    let folder = BankFolder::new(&product.bank);
    let beginning = folder.clone();
    let staging = folder_io::work(move || beginning.begin_version()).await??;
    context.banks.telemetry.status.building(Some(&product.name));
    tracing::info!(product = %product.name, images = listing.len(), trigger = trigger.as_str(), "building a bank");
    crash_point::reach("build_begun");
    let built = run_builder(context, product, &staging, turn, cut).await;
    context.banks.telemetry.status.building(None);
    let Some(built) = built else {
        // The ended process may still write there, so the removal can fail; the next start tries again.
        let _ = folder_io::work(move || std::fs::remove_dir_all(staging)).await;
        return Ok(Ended::Cut);
    };
    crash_point::reach("build_ended");
    let published = match built {
        Ok(built) => {
            check_and_publish(context, product, &Staged { folder: &folder, staging: &staging, previous, trigger }, &built, cut).await
        }
        Err(error) => Err(error),
    };
    let bank = match published {
        Ok(published) => published,
        Err(error) => {
            // On a full disk the folder would take the space that the next one needs.
            let _ = folder_io::work(move || std::fs::remove_dir_all(staging)).await;
            return Err(error);
        }
    };
    crash_point::reach("version_published");
    let Some(bank_id) = record(context, &bank, cut).await? else { return Ok(Ended::Cut) };
    context.banks.put(product, &bank, bank_id);
    context.banks.telemetry.counters.rebuilt(&product.name, bank.seconds.unwrap_or_default());
    prune(context, product, folder, before.map(|row| row.version as u64)).await;
    Ok(Ended::WithBank { version: bank.version as u64, fingerprint: bank.ok_fingerprint })
}

/// Records the bank, which is on disk and current by now: "failed" would be false. Tries until the history can be written; `None` when
/// `cut` came first, and the next start finds the bank.
async fn record(context: &RebuildContext, bank: &NewBank, cut: &CancellationToken) -> Result<Option<i64>, HistoryError> {
    loop {
        match context.banks.rows.publish_bank(bank).await {
            Ok(bank_id) => return Ok(Some(bank_id)),
            Err(error) if error.kind.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(product = %bank.product, version = bank.version, %error, "bank built, but not recorded yet; tried again");
            }
        }
        tokio::select! {
            () = cut.cancelled() => return Ok(None),
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }
}

/// Removes old versions. The new bank is in use even if that fails.
async fn prune(context: &RebuildContext, product: &ProductConfig, folder: BankFolder, before: Option<u64>) {
    let keep = product.rebuild.keep_versions;
    let pruned = match folder_io::work(move || folder.prune(keep, before)).await {
        Ok(Ok(pruned)) => pruned,
        Ok(Err(error)) => return not_removed(context, product, &error.to_string()).await,
        Err(error) => return not_removed(context, product, &error.to_string()).await,
    };
    for version in pruned.removed {
        tracing::info!(product = %product.name, version, "old bank version removed");
    }
    if !pruned.left.is_empty() {
        let left: Vec<String> = pruned.left.iter().map(|(version, error)| format!("version {version}: {error}")).collect();
        not_removed(context, product, &left.join("; ")).await;
    }
}

async fn not_removed(context: &RebuildContext, product: &ProductConfig, what: &str) {
    let detail = format!("{}: old versions stay: {what}; the new bank is in use", product.bank.display());
    context.events().tell(Event::new(EventKind::VersionsNotRemoved, detail).of_product(&product.name)).await;
}

/// Runs the build process; `None` when `cut` came first. A build that hangs with its ok folder gives its `turn` to others.
async fn run_builder(
    context: &RebuildContext,
    product: &ProductConfig,
    staging: &Path,
    turn: SemaphorePermit<'_>,
    cut: &CancellationToken,
) -> Option<anyhow::Result<Built>> {
    let (job, listing) = (job(&context.config, product, staging), OkListing { product, events: context.events() });
    let percent = watch::Sender::new(0);
    let heard = percent.subscribe();
    let building = async {
        tokio::select! {
            built = run_build_process(&product.name, job, &context.banks.telemetry.progress, percent) => built,
            never = note_percent(context, product, heard) => match never {},
        }
    };
    let mut building = std::pin::pin!(building);
    tokio::select! {
        built = &mut building => return Some(built),
        // Dropping the child ends it.
        () = cut.cancelled() => return None,
        () = listing.until_no_answer() => {}
    }
    drop(turn);
    listing.no_answer().await;
    let built = tokio::select! {
        built = &mut building => built,
        () = cut.cancelled() => return None,
    };
    listing.answers().await;
    Some(built)
}

/// Records how much of the build is done, as it goes on.
async fn note_percent(context: &RebuildContext, product: &ProductConfig, mut heard: watch::Receiver<u8>) -> Infallible {
    loop {
        let percent = *heard.borrow_and_update();
        context.note_work(&product.name, Some(BankWork::Builds { percent })).await;
        if heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The order for the build process.
fn job(config: &Config, product: &ProductConfig, staging: &Path) -> BuildJob {
    let engine = EngineJob::of_product(config, product);
    BuildJob { ok_dir: product.ok.clone(), out_dir: staging.to_owned(), options: product.build.clone(), engine }
}

/// A bank that was built and is not yet published.
struct Staged<'a> {
    folder: &'a BankFolder,
    /// Where its files are.
    staging: &'a Path,
    /// The number of images of the bank in use.
    previous: Option<usize>,
    trigger: BankTrigger,
}

/// Applies the guards to the images that the bank was really built from, compares it with recent decisions, and publishes it.
async fn check_and_publish(
    context: &RebuildContext,
    product: &ProductConfig,
    &Staged { folder, staging, previous, trigger }: &Staged<'_>,
    built: &Built,
    cut: &CancellationToken,
) -> anyhow::Result<NewBank> {
    let facts = describe(staging.to_owned()).await?;
    if let Some(images) = facts.config.images {
        let left_out = built.report.as_ref().map(left_out).unwrap_or_default();
        allow_build(ImagesToBuildFrom::Usable { images, left_out }, product.min_images, previous)?;
    }
    let sha256 = rows_sha256(&facts, staging.to_owned()).await?;
    let comparison = compare(context, product, staging, cut).await;
    if let Some(cost) = built.report.as_ref().and_then(|report| report.int8_cost) {
        tracing::info!(%cost, "the bank is in int8");
    }
    for (kind, detail) in built.report.iter().flat_map(about_ok_images) {
        context.events().tell(Event::new(kind, detail).of_product(&product.name)).await;
    }
    let (folder, staging) = (folder.clone(), staging.to_owned());
    let version = folder_io::work(move || folder.publish(&staging)).await??;
    Ok(NewBank { seconds: Some(built.seconds), comparison, ..new_bank(product, version, &facts, sha256, trigger) })
}

/// What an engineer should know of the OK images.
fn about_ok_images(report: &BuildReport) -> Vec<(EventKind, String)> {
    let mut found = Vec::new();
    if !report.left_out.is_empty() {
        found.push((EventKind::OkImagesLeftOut, left_out(report)));
    }
    if !report.stands_out.is_empty() {
        let detail = format!("{} OK images are unlike the others: {}", report.stands_out.len(), first_few(&report.stands_out, ", "));
        found.push((EventKind::OkImagesStandOut, detail));
    }
    if !report.near_copies.is_empty() {
        let groups: Vec<String> = report.near_copies.iter().map(|group| first_few(group, " = ")).collect();
        let detail = format!("{} groups of OK images are near-copies and count once each: {}", groups.len(), first_few(&groups, "; "));
        found.push((EventKind::OkImagesAlike, detail));
    }
    found
}

/// A text about the images left out, with the first few names.
fn left_out(report: &BuildReport) -> String {
    format!("{} images left out: {}", report.left_out.len(), first_few(&report.left_out, "; "))
}

fn first_few(names: &[String], between: &str) -> String {
    const NAMED: usize = 5;
    let shown = names[..names.len().min(NAMED)].join(between);
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_about_ok_images_is_an_event_that_names_the_first_few() {
        let names = |count: usize| (0..count).map(|number| format!("{number}.png")).collect::<Vec<_>>();
        let report = |left_out, stands_out, near_copies: Vec<Vec<String>>| -> BuildReport {
            let json = serde_json::json!({"images": 9, "patches": 9, "bank": [1, 1], "tau": {"pixel": 1.0, "image": 1.0},
                "false_alarms_per_1000": null, "tau_warning": null, "stands_out": names(stands_out), "near_copies": near_copies,
                "embed_s": 0.0, "coreset_s": 0.0, "calibrate_s": 0.0, "skipped": left_out, "left_out": names(left_out),
                "precision": "float32", "out_dir": "/bank"});
            serde_json::from_value(json).unwrap()
        };
        assert_eq!(about_ok_images(&report(0, 0, Vec::new())), []);
        let found = about_ok_images(&report(1, 7, vec![names(2), names(3)]));
        let expected = [
            (EventKind::OkImagesLeftOut, "1 images left out: 0.png"),
            (EventKind::OkImagesStandOut, "7 OK images are unlike the others: 0.png, 1.png, 2.png, 3.png, 4.png; and 2 more"),
            (EventKind::OkImagesAlike, "2 groups of OK images are near-copies and count once each: 0.png = 1.png; 0.png = 1.png = 2.png"),
        ];
        assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
    }
}
