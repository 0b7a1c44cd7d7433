//! One task per product: watches its ok folder and publishes a new bank version when it has changed.
//!
//! The build runs as a child process of the same binary, so that running out of memory or a crash in it cannot stop the line.
//! The bank in use stays in use until the new one is whole, synced and linked; a failed or refused build changes nothing.

use super::Line;
use super::active::ActiveBank;
use super::builder_process::{self, Built, Killed};
use crate::banks::{BANK_FILES, BankFolder, Debounce, DebounceTimes, OkFolder, refuse_build};
use crate::config::ProductConfig;
use crate::crash_point;
use crate::history::{EventLevel, NewBank};
use crate::patchcore::{MemoryBank, file_sha256};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The ok folder is looked at this often at most and at least; in between a third of `quiet_period` decides.
const LOOK_SHORTEST: Duration = Duration::from_millis(300);
const LOOK_LONGEST: Duration = Duration::from_secs(10);

/// Makes a product's bank folder ready and puts its current bank, if any, in use. Called before any image is taken.
///
/// # Errors
/// A sentence for the log when the folder cannot be used; the product then waits without a bank.
pub(super) async fn adopt(line: &Line, product: &ProductConfig) -> anyhow::Result<()> {
    let folder = BankFolder::new(&product.bank);
    let imported = folder.recover()?;
    match folder.current() {
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
    let active = line.banks.get(&product.name);
    let built_from = active.as_ref().and_then(|bank| MemoryBank::describe(&bank.dir).ok()).map(|(config, _)| config.ok_fingerprint);
    // A bank that does not say what it was built from (made by hand) stays until the ok folder changes.
    let mut unknown_origin = matches!(built_from, Some(None));
    let mut debounce = Debounce::new(times, built_from.flatten());
    let mut folder_was_lost = false;
    while !stop.is_cancelled() {
        match list(&product).await {
            Ok(listing) => {
                folder_was_lost = false;
                let fingerprint = listing.fingerprint(&product.build);
                if std::mem::take(&mut unknown_origin) {
                    debounce.settle(&fingerprint);
                }
                if debounce.observe(&fingerprint, Instant::now()) {
                    match build(&line, &product, &listing, &stop).await {
                        Ended::Killed => debounce.killed(Instant::now()),
                        Ended::ByItself => debounce.ended(),
                    }
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

async fn list(product: &ProductConfig) -> std::io::Result<OkFolder> {
    let ok = product.ok.clone();
    tokio::task::spawn_blocking(move || OkFolder::list(&ok)).await.map_err(std::io::Error::other)?
}

/// How a build ended.
enum Ended {
    /// With a bank, or with a reason that lies in the ok folder or the machine's disk.
    ByItself,
    /// By a signal to its process: nobody will change the ok folder because of that.
    Killed,
}

async fn build(line: &Line, product: &ProductConfig, listing: &OkFolder, stop: &CancellationToken) -> Ended {
    let active = line.banks.get(&product.name);
    let trigger = if active.is_some() { "ok_changed" } else { "first" };
    let begin = Instant::now();
    let outcome = try_build(line, product, listing, active.as_ref(), trigger, stop).await;
    if let Err(error) = outcome
        && !stop.is_cancelled()
    {
        let ended = if error.is::<Killed>() { Ended::Killed } else { Ended::ByItself };
        let reason = format!("{error:#}");
        tracing::error!(product = %product.name, %reason, "bank not built; the one in use stays");
        line.event(EventLevel::Error, "build_failed", Some(&product.name), &reason).await;
        if let Err(error) = line.store.failed_bank(&product.name, None, trigger, &reason, begin.elapsed().as_secs_f64()).await {
            tracing::error!(%error, "failed build not recorded");
        }
        return ended;
    }
    Ended::ByItself
}

/// 1. guards; 2. waits for its turn, as one build at a time leaves the line its cores; 3. builds in a staging folder;
/// 4. publishes; 5. records and puts in use; 6. removes old versions.
async fn try_build(
    line: &Line,
    product: &ProductConfig,
    listing: &OkFolder,
    active: Option<&ActiveBank>,
    trigger: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let previous = active.and_then(|bank| MemoryBank::describe(&bank.dir).ok()).and_then(|(config, _)| config.images);
    if let Some(reason) = refuse_build(listing.len(), product.min_images, previous) {
        anyhow::bail!("refused: {reason}");
    }
    let _turn = tokio::select! {
        turn = line.build_turn.acquire() => turn?,
        () = stop.cancelled() => return Ok(()),
    };
    let folder = BankFolder::new(&product.bank);
    let staging = folder.begin_version()?;
    line.status.building(Some(&product.name));
    tracing::info!(product = %product.name, images = listing.len(), trigger, "building a bank");
    crash_point::reach("build_begun");
    let built = tokio::select! {
        built = builder_process::run(&line.config.engine, product, &staging) => built,
        // Dropping the child ends it; the staging folder is removed at the next start.
        () = stop.cancelled() => return Ok(()),
    };
    line.status.building(None);
    let Built { seconds } = built.inspect_err(|_| drop(std::fs::remove_dir_all(&staging)))?;
    crash_point::reach("build_ended");
    let version = folder.publish(&staging)?;
    crash_point::reach("version_published");
    put_in_use(line, product, &folder, version, trigger, Some(seconds)).await?;
    for removed in folder.prune(product.rebuild.keep_versions)? {
        tracing::info!(product = %product.name, version = removed, "old bank version removed");
    }
    Ok(())
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
    let (config, tau) = MemoryBank::describe(&dir)?;
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
    crash_point::reach("bank_recorded");
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
    Ok(tokio::task::spawn_blocking(move || file_sha256(&path)).await??)
}
