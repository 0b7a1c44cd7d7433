//! One build, from the guards to the new version in use.
//!
//! The build runs as a child process of the same binary, so that running out of memory or a crash in it cannot stop the line.
//! The bank in use stays in use until the new one is whole, synced and linked; a failed or refused build changes nothing.

use super::super::Line;
use super::super::builder_process::{self, Built, Killed, NotStarted};
use super::super::monitoring::NotRebuilt;
use super::in_use::{describe, in_use, new_bank, rows_sha256};
use super::off_runtime;
use super::ok_listing::{answers, stuck, until_stuck};
use crate::banks::{BankFolder, BankFolderError, OkFolder, refuse_build};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{HistoryError, HistoryStore, NewBank};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

/// How the reason of a build begins that a guard did not allow.
const REFUSED: &str = "refused: ";

/// Pause before a bank that was published is recorded again.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// What is to be built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// As the history has it.
    pub trigger: &'static str,
    /// Whatever became of the bank in use, and however many images it was built from: somebody says so.
    pub anew: bool,
}

/// How a build ended.
pub(super) enum Ended {
    /// With a bank in use.
    WithBank {
        /// Its version.
        version: u64,
        /// Of the files that it was built from, if it says so.
        fingerprint: Option<String>,
    },
    /// For this reason, which lies in the ok folder or in how the bank is to be built.
    Without(String),
    /// For this reason, which passes: nobody will change the ok folder because of that.
    ForNow(String),
    /// Because it is not wanted any more.
    Cut,
}

/// The bank folder cannot be told from an empty mount point, or cannot be looked at. The bank keeper tells.
#[derive(Debug, thiserror::Error)]
#[error("{0}; mount what should be there; when the bank in use is gone for good, `patchcored rebuild PRODUCT --anew` starts anew")]
struct Away(String);

/// Builds a bank and puts it in use; records why when it does not come to that. `cut` ends a build that is running.
pub(super) async fn build(line: &Line, product: &ProductConfig, listing: &OkFolder, order: Order, cut: &CancellationToken) -> Ended {
    let begin = Instant::now();
    match try_build(line, product, listing, order, cut).await {
        Ok(ended) => ended,
        Err(_) if cut.is_cancelled() => Ended::Cut,
        Err(error) if error.is::<Away>() => {
            tracing::debug!(product = %product.name, %error, "no bank is built now");
            Ended::ForNow(error.to_string())
        }
        Err(error) => {
            let for_now = error.is::<Killed>() || error.is::<NotStarted>() || error.is::<BankFolderError>() || error.is::<HistoryError>();
            let again = if for_now && !error.is::<Killed>() { "; it is tried again" } else { "" };
            let reason = format!("{error:#}{again}");
            line.meters.not_rebuilt(&product.name, outcome(&error, &reason));
            tracing::error!(product = %product.name, %reason, "bank not built; the one in use stays");
            line.event(EventKind::BuildFailed, Some(&product.name), &reason).await;
            if let Err(error) = line.store.failed_bank(&product.name, None, order.trigger, &reason, begin.elapsed().as_secs_f64()).await {
                tracing::error!(%error, "failed build not recorded");
            }
            if for_now { Ended::ForNow(reason) } else { Ended::Without(reason) }
        }
    }
}

/// How it ended, for the counters.
fn outcome(error: &anyhow::Error, reason: &str) -> NotRebuilt {
    match reason {
        _ if error.is::<Killed>() => NotRebuilt::Killed,
        _ if reason.starts_with(REFUSED) => NotRebuilt::Refused,
        _ => NotRebuilt::Failed,
    }
}

/// The folder of a product whose bank the history knows must answer, and hold something of a bank: what is built into an empty mount
/// point is hidden when the share is there again.
///
/// # Errors
/// What the folder lacks, and what to do; or the history cannot be read.
pub async fn folder_answers(store: &HistoryStore, product: &ProductConfig) -> anyhow::Result<()> {
    let recorded = store.active_bank(&product.name).await?;
    let folder = BankFolder::new(&product.bank);
    match (off_runtime(move || folder.survey()).await?, recorded) {
        (Err(error), _) => Err(Away(error.to_string()).into()),
        (Ok(survey), Some(row)) if survey.is_bare() => {
            Err(Away(format!("bank folder {}: holds nothing, although version {} is in use", product.bank.display(), row.version)).into())
        }
        (Ok(_), _) => Ok(()),
    }
}

/// The guards, which ask the history. Then: 1. waits for its turn, as one build at a time leaves the line its cores; 2. builds in a
/// staging folder; 3. guards again, on the images that could be used; 4. publishes; 5. records and puts in use; 6. removes old versions.
async fn try_build(
    line: &Line,
    product: &ProductConfig,
    listing: &OkFolder,
    Order { trigger, anew }: Order,
    cut: &CancellationToken,
) -> anyhow::Result<Ended> {
    if !anew {
        folder_answers(&line.store, product).await?;
    }
    let before = line.store.active_bank(&product.name).await?;
    let previous = before.as_ref().filter(|_| !anew).and_then(|row| row.images).map(|images| images as usize);
    if let Some(reason) = refuse_build(listing.len(), "images", product.min_images, previous) {
        anyhow::bail!("{REFUSED}{reason}");
    }
    let turn = tokio::select! {
        turn = line.build_turn.acquire() => turn?,
        () = cut.cancelled() => return Ok(Ended::Cut),
    };
    let folder = BankFolder::new(&product.bank);
    let beginning = folder.clone();
    let staging = off_runtime(move || beginning.begin_version()).await??;
    line.status.building(Some(&product.name));
    tracing::info!(product = %product.name, images = listing.len(), trigger, "building a bank");
    crash_point::reach("build_begun");
    let built = run_builder(line, product, &staging, turn, cut).await;
    line.status.building(None);
    let Some(built) = built else {
        // What the ended process still writes there keeps it from being removed; the next start tries again.
        let _ = off_runtime(move || std::fs::remove_dir_all(staging)).await;
        return Ok(Ended::Cut);
    };
    crash_point::reach("build_ended");
    let published = match built {
        Ok(built) => check_and_publish(line, product, &folder, &staging, previous, &built, trigger).await,
        Err(error) => Err(error),
    };
    let bank = match published {
        Ok(published) => published,
        Err(error) => {
            // On a full disk it would take the place that the next one needs.
            let _ = off_runtime(move || std::fs::remove_dir_all(staging)).await;
            return Err(error);
        }
    };
    crash_point::reach("version_published");
    let Some(bank_id) = record(line, &bank, cut).await? else { return Ok(Ended::Cut) };
    in_use(line, product, &bank, bank_id);
    line.meters.rebuilt(&product.name, bank.seconds.unwrap_or_default());
    prune(line, product, folder, before.map(|row| row.version as u64)).await;
    Ok(Ended::WithBank { version: bank.version as u64, fingerprint: bank.ok_fingerprint })
}

/// Records the bank, which is on disk and current by now: that it failed would not be true. As long as the history cannot be written,
/// it is tried again; `None` when `cut` came first, and the next start finds it.
async fn record(line: &Line, bank: &NewBank, cut: &CancellationToken) -> Result<Option<i64>, HistoryError> {
    loop {
        match line.store.publish_bank(bank).await {
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

/// Removes old versions. The new bank is in use whether or not that succeeds.
async fn prune(line: &Line, product: &ProductConfig, folder: BankFolder, before: Option<u64>) {
    let keep = product.rebuild.keep_versions;
    let pruned = match off_runtime(move || folder.prune(keep, before)).await {
        Ok(Ok(pruned)) => pruned,
        Ok(Err(error)) => return not_removed(line, product, &error.to_string()).await,
        Err(error) => return not_removed(line, product, &error.to_string()).await,
    };
    for version in pruned.removed {
        tracing::info!(product = %product.name, version, "old bank version removed");
    }
    if !pruned.left.is_empty() {
        let left: Vec<String> = pruned.left.iter().map(|(version, error)| format!("version {version}: {error}")).collect();
        not_removed(line, product, &left.join("; ")).await;
    }
}

async fn not_removed(line: &Line, product: &ProductConfig, what: &str) {
    let detail = format!("{}: old versions stay: {what}; the new bank is in use", product.bank.display());
    line.event(EventKind::VersionsNotRemoved, Some(&product.name), &detail).await;
}

/// Runs the build process; `None` when `cut` came first. One that hangs with its ok folder gives its `turn` to others.
async fn run_builder(
    line: &Line,
    product: &ProductConfig,
    staging: &Path,
    turn: SemaphorePermit<'_>,
    cut: &CancellationToken,
) -> Option<anyhow::Result<Built>> {
    let mut building = std::pin::pin!(builder_process::run(&line.config.engine, product, staging, &line.progress));
    tokio::select! {
        built = &mut building => return Some(built),
        // Dropping the child ends it.
        () = cut.cancelled() => return None,
        () = until_stuck(product) => {}
    }
    drop(turn);
    stuck(line, product).await;
    let built = tokio::select! {
        built = &mut building => built,
        () = cut.cancelled() => return None,
    };
    answers(line, product).await;
    Some(built)
}

/// Applies the guards to what the bank was really built from, and publishes it.
async fn check_and_publish(
    line: &Line,
    product: &ProductConfig,
    folder: &BankFolder,
    staging: &Path,
    previous: Option<usize>,
    built: &Built,
    trigger: &str,
) -> anyhow::Result<NewBank> {
    let facts = describe(staging.to_owned()).await?;
    if let Some(used) = facts.config.images
        && let Some(reason) = refuse_build(used, "usable images", product.min_images, previous)
    {
        anyhow::bail!("{REFUSED}{reason} ({})", left_out(built));
    }
    let sha256 = rows_sha256(&facts, staging.to_owned()).await?;
    if !built.left_out.is_empty() {
        line.event(EventKind::OkImagesLeftOut, Some(&product.name), &left_out(built)).await;
    }
    let (folder, staging) = (folder.clone(), staging.to_owned());
    let version = off_runtime(move || folder.publish(&staging)).await??;
    Ok(NewBank { seconds: Some(built.seconds), ..new_bank(product, version, &facts, sha256, trigger) })
}

/// The images that were left out, the first few by name.
fn left_out(built: &Built) -> String {
    const NAMED: usize = 5;
    let names = &built.left_out[..built.left_out.len().min(NAMED)];
    let more = built.left_out.len() - names.len();
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{} images left out: {}{rest}", built.left_out.len(), names.join("; "))
}
