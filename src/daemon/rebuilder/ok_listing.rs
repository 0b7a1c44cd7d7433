//! Listing an ok folder that may not answer.

use super::super::Line;
use super::off_runtime;
use crate::banks::OkFolder;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use std::time::Duration;

/// An ok folder that has not been listed after this long does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

async fn list(product: &ProductConfig) -> std::io::Result<OkFolder> {
    let ok = product.ok.clone();
    off_runtime(move || OkFolder::list(&ok)).await.map_err(std::io::Error::other)?
}

/// The ok folder as it is now; `None` when it cannot be listed, or does not answer.
pub(in crate::daemon) async fn list_for(product: &ProductConfig) -> Option<OkFolder> {
    tokio::time::timeout(PATIENCE, list(product)).await.ok()?.ok()
}

/// [`list`], with an event when the folder does not answer and another when it does again.
pub(super) async fn list_however_long(line: &Line, product: &ProductConfig) -> std::io::Result<OkFolder> {
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
pub(super) async fn until_stuck(product: &ProductConfig) {
    while tokio::time::timeout(PATIENCE, list(product)).await.is_ok() {
        tokio::time::sleep(PATIENCE).await;
    }
}

pub(super) async fn stuck(line: &Line, product: &ProductConfig) {
    let detail = format!("{}: does not answer; the bank in use stays; check the share or the disk", product.ok.display());
    line.event(EventKind::FolderStuck, Some(&product.name), &detail).await;
}

pub(super) async fn answers(line: &Line, product: &ProductConfig) {
    line.event(EventKind::FolderStuckOver, Some(&product.name), &format!("{}: answers again", product.ok.display())).await;
}
