//! One build, from the guards to the new version in use.
//!
//! The build runs as a child process of the same binary, so that running out of memory or a crash in it cannot stop the line.
//! The bank in use stays in use until the new one is whole, synced and linked; a failed or refused build changes nothing.

use super::super::Line;
use super::super::active::ActiveBank;
use super::super::builder_process::{self, Built, Killed};
use super::super::monitoring::NotRebuilt;
use super::in_use::{describe, put_in_use};
use super::off_runtime;
use super::ok_listing::{answers, stuck, until_stuck};
use crate::banks::{BankFolder, OkFolder, refuse_build};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::EventLevel;
use std::path::Path;
use std::time::Instant;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

/// How the reason of a build begins that a guard did not allow.
const REFUSED: &str = "refused: ";

/// How a build ended.
pub(super) enum Ended {
    /// With a bank in use, built from the files of this fingerprint.
    WithBank(Option<String>),
    /// For a reason that lies in the ok folder or the machine's disk, or because the daemon stops.
    Without,
    /// By a signal to its process: nobody will change the ok folder because of that.
    Killed,
}

/// A new version that is on disk, whole and current.
struct Published {
    version: u64,
    fingerprint: Option<String>,
    seconds: f64,
}

/// Builds a bank and puts it in use; records why when it does not come to that.
pub(super) async fn build(line: &Line, product: &ProductConfig, listing: &OkFolder, stop: &CancellationToken) -> Ended {
    let active = line.banks.get(&product.name);
    let trigger = if active.is_some() { "ok_changed" } else { "first" };
    let begin = Instant::now();
    match try_build(line, product, listing, active.as_ref(), trigger, stop).await {
        Ok(ended) => ended,
        Err(_) if stop.is_cancelled() => Ended::Without,
        Err(error) => {
            let reason = format!("{error:#}");
            line.meters.not_rebuilt(&product.name, outcome(&error, &reason));
            tracing::error!(product = %product.name, %reason, "bank not built; the one in use stays");
            line.event(EventLevel::Error, "build_failed", Some(&product.name), &reason).await;
            if let Err(error) = line.store.failed_bank(&product.name, None, trigger, &reason, begin.elapsed().as_secs_f64()).await {
                tracing::error!(%error, "failed build not recorded");
            }
            if error.is::<Killed>() { Ended::Killed } else { Ended::Without }
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

/// 1. guards; 2. waits for its turn, as one build at a time leaves the line its cores; 3. builds in a staging folder;
/// 4. guards again, on the images that could be used; 5. publishes; 6. records and puts in use; 7. removes old versions.
async fn try_build(
    line: &Line,
    product: &ProductConfig,
    listing: &OkFolder,
    active: Option<&ActiveBank>,
    trigger: &str,
    stop: &CancellationToken,
) -> anyhow::Result<Ended> {
    let previous = match active {
        Some(bank) => describe(bank.dir.clone()).await.ok().and_then(|(config, _)| config.images),
        None => None,
    };
    if let Some(reason) = refuse_build(listing.len(), "images", product.min_images, previous) {
        anyhow::bail!("{REFUSED}{reason}");
    }
    let turn = tokio::select! {
        turn = line.build_turn.acquire() => turn?,
        () = stop.cancelled() => return Ok(Ended::Without),
    };
    let folder = BankFolder::new(&product.bank);
    let beginning = folder.clone();
    let staging = off_runtime(move || beginning.begin_version()).await??;
    line.status.building(Some(&product.name));
    tracing::info!(product = %product.name, images = listing.len(), trigger, "building a bank");
    crash_point::reach("build_begun");
    // The staging folder of a build that is cut off here is removed at the next start.
    let Some(built) = run_builder(line, product, &staging, turn, stop).await else { return Ok(Ended::Without) };
    line.status.building(None);
    crash_point::reach("build_ended");
    let published = match built {
        Ok(built) => check_and_publish(line, product, &folder, &staging, previous, &built).await,
        Err(error) => Err(error),
    };
    let published = match published {
        Ok(published) => published,
        Err(error) => {
            // On a full disk it would take the place that the next one needs.
            let _ = off_runtime(move || std::fs::remove_dir_all(staging)).await;
            return Err(error);
        }
    };
    crash_point::reach("version_published");
    put_in_use(line, product, &folder, published.version, trigger, Some(published.seconds)).await?;
    line.meters.rebuilt(&product.name, published.seconds);
    let keep = product.rebuild.keep_versions;
    for removed in off_runtime(move || folder.prune(keep)).await?? {
        tracing::info!(product = %product.name, version = removed, "old bank version removed");
    }
    Ok(Ended::WithBank(published.fingerprint))
}

/// Runs the build process; `None` when `stop` came first. One that hangs with its ok folder gives its `turn` to others.
async fn run_builder(
    line: &Line,
    product: &ProductConfig,
    staging: &Path,
    turn: SemaphorePermit<'_>,
    stop: &CancellationToken,
) -> Option<anyhow::Result<Built>> {
    let mut building = std::pin::pin!(builder_process::run(&line.config.engine, product, staging));
    tokio::select! {
        built = &mut building => return Some(built),
        // Dropping the child ends it.
        () = stop.cancelled() => return None,
        () = until_stuck(product) => {}
    }
    drop(turn);
    stuck(line, product).await;
    let built = tokio::select! {
        built = &mut building => built,
        () = stop.cancelled() => return None,
    };
    answers(line, product).await;
    Some(built)
}

async fn check_and_publish(
    line: &Line,
    product: &ProductConfig,
    folder: &BankFolder,
    staging: &Path,
    previous: Option<usize>,
    built: &Built,
) -> anyhow::Result<Published> {
    let fingerprint = check_built(product, staging, previous, built).await?;
    if !built.left_out.is_empty() {
        line.event(EventLevel::Warn, "ok_images_left_out", Some(&product.name), &left_out(built)).await;
    }
    let (folder, staging) = (folder.clone(), staging.to_owned());
    let version = off_runtime(move || folder.publish(&staging)).await??;
    Ok(Published { version, fingerprint, seconds: built.seconds })
}

/// Applies the guards to what the bank was really built from; returns the fingerprint of that.
async fn check_built(product: &ProductConfig, staging: &Path, previous: Option<usize>, built: &Built) -> anyhow::Result<Option<String>> {
    let (config, _) = describe(staging.to_owned()).await?;
    if let Some(used) = config.images
        && let Some(reason) = refuse_build(used, "usable images", product.min_images, previous)
    {
        anyhow::bail!("{REFUSED}{reason} ({})", left_out(built));
    }
    Ok(config.ok_fingerprint)
}

/// The images that were left out, the first few by name.
fn left_out(built: &Built) -> String {
    const NAMED: usize = 5;
    let names = &built.left_out[..built.left_out.len().min(NAMED)];
    let more = built.left_out.len() - names.len();
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{} images left out: {}{rest}", built.left_out.len(), names.join("; "))
}
