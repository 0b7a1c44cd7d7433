//! One task per product: watches its ok folder and publishes a new bank version when it has changed.
//!
//! The build runs as a child process of the same binary, so that running out of memory or a crash in it cannot stop the line.
//! The bank in use stays in use until the new one is whole, synced and linked; a failed or refused build changes nothing.

use super::Line;
use super::active::ActiveBank;
use super::builder_process::{self, Built};
use crate::banks::{BANK_FILES, BankFolder, Debounce, DebounceTimes, OkFolder, refuse_build};
use crate::config::ProductConfig;
use crate::history::{EventLevel, NewBank};
use crate::inspection::Tau;
use crate::patchcore::{BankConfig, MemoryBank, file_sha256};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

/// The ok folder is looked at this often at most and at least; in between a third of `quiet_period` decides.
const LOOK_SHORTEST: Duration = Duration::from_millis(300);
const LOOK_LONGEST: Duration = Duration::from_secs(10);
/// An ok folder that has not been listed after this long does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a product's bank folder ready and puts its current bank, if any, in use. Called before any image is taken.
///
/// # Errors
/// A sentence for the log when the folder cannot be used; the product then waits without a bank.
pub(super) async fn adopt(line: &Line, product: &ProductConfig) -> anyhow::Result<()> {
    let folder = BankFolder::new(&product.bank);
    let recovering = folder.clone();
    let (imported, current) = off_runtime(move || recovering.recover().map(|imported| (imported, recovering.current()))).await??;
    match current {
        Some(version) => put_in_use(line, product, &folder, version, if imported { "imported" } else { "found" }, None).await,
        None => {
            line.store.set_waiting_for_bank(&product.name).await?;
            Ok(())
        }
    }
}

/// Runs until `stop`.
pub(super) async fn run(line: Arc<Line>, product: ProductConfig, stop: CancellationToken) {
    let times = DebounceTimes { quiet_period: product.rebuild.quiet_period, max_wait: product.rebuild.max_wait };
    let look = (times.quiet_period / 3).clamp(LOOK_SHORTEST, LOOK_LONGEST);
    let origin = tokio::select! {
        origin = origin(&line, &product) => origin,
        () = stop.cancelled() => return,
    };
    // A bank that does not say what it was built from (made by hand) stays until the ok folder changes.
    let mut unknown_origin = matches!(origin, Some(None));
    let mut debounce = Debounce::new(times, origin.flatten());
    let mut folder_was_lost = false;
    while !stop.is_cancelled() {
        let listing = tokio::select! {
            listing = list_however_long(&line, &product) => listing,
            () = stop.cancelled() => return,
        };
        match listing {
            Ok(listing) => {
                folder_was_lost = false;
                let fingerprint = listing.fingerprint(&product.build);
                if std::mem::take(&mut unknown_origin) {
                    debounce.settle(&fingerprint);
                }
                if debounce.observe(&fingerprint, Instant::now())
                    && let Some(built) = build(&line, &product, &listing, &stop).await
                {
                    // The folder may have changed since the listing, and the bank says what it was really built from.
                    debounce.settle(&built);
                }
            }
            Err(error) if !folder_was_lost => {
                folder_was_lost = true;
                let detail = format!("{}: {error}; the bank in use stays", product.ok.display());
                line.event(EventLevel::Error, "ok_folder_lost", Some(&product.name), &detail).await;
            }
            Err(_) => {}
        }
        // Images that arrived while the bank was being published may have been set aside too late to be released then.
        if line.banks.get(&product.name).is_some()
            && let Err(error) = line.store.release_waiting(&product.name).await
        {
            tracing::error!(%error, "history not written; waiting images are released later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// What the bank in use was built from: `None` without a bank, `Some(None)` when it does not say.
async fn origin(line: &Line, product: &ProductConfig) -> Option<Option<String>> {
    if line.banks.get(&product.name).is_none() {
        // Its folder may not have answered at the start. What else is wrong with it was said then.
        let _ = adopt(line, product).await;
    }
    let bank = line.banks.get(&product.name)?;
    let (config, _) = describe(bank.dir).await.ok()?;
    Some(config.ok_fingerprint)
}

async fn list(product: &ProductConfig) -> std::io::Result<OkFolder> {
    let ok = product.ok.clone();
    off_runtime(move || OkFolder::list(&ok)).await.map_err(std::io::Error::other)?
}

/// [`list`], with an event when the folder does not answer and another when it does again.
async fn list_however_long(line: &Line, product: &ProductConfig) -> std::io::Result<OkFolder> {
    let mut listing = std::pin::pin!(list(product));
    if let Ok(listed) = tokio::time::timeout(PATIENCE, &mut listing).await {
        return listed;
    }
    stuck(line, product).await;
    let listed = listing.await;
    answers(line, product).await;
    listed
}

/// Resolves when the ok folder does not answer; as long as it does, never.
async fn until_stuck(product: &ProductConfig) {
    while tokio::time::timeout(PATIENCE, list(product)).await.is_ok() {
        tokio::time::sleep(PATIENCE).await;
    }
}

async fn stuck(line: &Line, product: &ProductConfig) {
    let detail = format!("{}: does not answer; the bank in use stays; check the share or the disk", product.ok.display());
    line.event(EventLevel::Error, "folder_stuck", Some(&product.name), &detail).await;
}

async fn answers(line: &Line, product: &ProductConfig) {
    line.event(EventLevel::Info, "folder_stuck_over", Some(&product.name), &format!("{}: answers again", product.ok.display())).await;
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
        // Dropping the child ends it; the staging folder is removed at the next start.
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

async fn describe(dir: PathBuf) -> anyhow::Result<(BankConfig, Tau)> {
    Ok(off_runtime(move || MemoryBank::describe(&dir)).await??)
}

/// File work: it may hang with the share, and must not hang the runtime.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Returns the fingerprint of what the bank was built from, if there is a new one.
async fn build(line: &Line, product: &ProductConfig, listing: &OkFolder, stop: &CancellationToken) -> Option<String> {
    let active = line.banks.get(&product.name);
    let trigger = if active.is_some() { "ok_changed" } else { "first" };
    let begin = Instant::now();
    match try_build(line, product, listing, active.as_ref(), trigger, stop).await {
        Ok(built) => built,
        Err(_) if stop.is_cancelled() => None,
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::error!(product = %product.name, %reason, "bank not built; the one in use stays");
            line.event(EventLevel::Error, "build_failed", Some(&product.name), &reason).await;
            if let Err(error) = line.store.failed_bank(&product.name, None, trigger, &reason, begin.elapsed().as_secs_f64()).await {
                tracing::error!(%error, "failed build not recorded");
            }
            None
        }
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
) -> anyhow::Result<Option<String>> {
    let previous = match active {
        Some(bank) => describe(bank.dir.clone()).await.ok().and_then(|(config, _)| config.images),
        None => None,
    };
    if let Some(reason) = refuse_build(listing.len(), "images", product.min_images, previous) {
        anyhow::bail!("refused: {reason}");
    }
    let turn = tokio::select! {
        turn = line.build_turn.acquire() => turn?,
        () = stop.cancelled() => return Ok(None),
    };
    let folder = BankFolder::new(&product.bank);
    let beginning = folder.clone();
    let staging = off_runtime(move || beginning.begin_version()).await??;
    line.status.building(Some(&product.name));
    tracing::info!(product = %product.name, images = listing.len(), trigger, "building a bank");
    let Some(built) = run_builder(line, product, &staging, turn, stop).await else { return Ok(None) };
    line.status.building(None);
    let checked = match built {
        Ok(built) => check_built(product, &staging, previous, &built).await.map(|fingerprint| (built, fingerprint)),
        Err(error) => Err(error),
    };
    let (built, fingerprint) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            let _ = off_runtime(move || std::fs::remove_dir_all(staging)).await;
            return Err(error);
        }
    };
    if !built.left_out.is_empty() {
        let detail = left_out(&built);
        line.event(EventLevel::Warn, "ok_images_left_out", Some(&product.name), &detail).await;
    }
    let publishing = folder.clone();
    let version = off_runtime(move || publishing.publish(&staging)).await??;
    put_in_use(line, product, &folder, version, trigger, Some(built.seconds)).await?;
    let (pruning, keep) = (folder.clone(), product.rebuild.keep_versions);
    for removed in off_runtime(move || pruning.prune(keep)).await?? {
        tracing::info!(product = %product.name, version = removed, "old bank version removed");
    }
    Ok(fingerprint)
}

/// Applies the guards to what the bank was really built from; returns the fingerprint of that.
async fn check_built(product: &ProductConfig, staging: &Path, previous: Option<usize>, built: &Built) -> anyhow::Result<Option<String>> {
    let (config, _) = describe(staging.to_owned()).await?;
    if let Some(used) = config.images
        && let Some(reason) = refuse_build(used, "usable images", product.min_images, previous)
    {
        anyhow::bail!("refused: {reason} ({})", left_out(built));
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

async fn put_in_use(
    line: &Line,
    product: &ProductConfig,
    folder: &BankFolder,
    version: u64,
    trigger: &str,
    seconds: Option<f64>,
) -> anyhow::Result<()> {
    let dir = folder.version_dir(version);
    let (config, tau) = describe(dir.clone()).await?;
    let sha256 = match config.memory_bank_sha256 {
        Some(sha256) => sha256,
        None => sha256_of(dir.join(BANK_FILES[0])).await?,
    };
    let bank_id = line
        .store
        .publish_bank(&NewBank {
            product: product.name.clone(),
            version: version as i64,
            trigger: trigger.to_owned(),
            images: config.images.map(|n| n as i64),
            patches: config.patches.map(|n| n as i64),
            rows: config.rows.map(|n| n as i64),
            pixel_tau: tau.pixel,
            image_tau: tau.image,
            expected_false_alarms: config.false_alarms.map(|f| f.expected),
            false_alarms_bound: config.false_alarms.map(|f| f.bound),
            warning: config.tau_warning.clone(),
            seconds,
            path: dir.clone(),
            sha256,
            created_at: config.created_at.and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now),
        })
        .await?;
    line.banks.set(&product.name, ActiveBank { version, dir, shorter: config.shorter, bank_id });
    line.store.release_waiting(&product.name).await?;
    line.wake.notify_one();
    tracing::info!(product = %product.name, version, trigger, pixel_tau = tau.pixel, image_tau = tau.image, "bank in use");
    if let Some(warning) = config.tau_warning {
        tracing::warn!(product = %product.name, version, %warning, "tau of the bank in use");
    }
    Ok(())
}

async fn sha256_of(path: PathBuf) -> anyhow::Result<String> {
    Ok(off_runtime(move || file_sha256(&path)).await??)
}
