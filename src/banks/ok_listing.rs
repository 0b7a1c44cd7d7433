//! Listing an ok folder that may not answer.

use super::OkFolder;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::platform::folder_io::{self, FolderWork, PATIENCE};
use crate::telemetry::{Event, Events};
use std::io;

/// The ok folder of a product, and where to report that it does not answer.
#[derive(Clone, Copy)]
pub struct OkListing<'a> {
    /// The product.
    pub product: &'a ProductConfig,
    /// Where events go.
    pub events: &'a Events,
}

impl OkListing<'_> {
    /// Lists the ok folder, however long that takes; with an event when the folder does not answer, and another when it answers again.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub async fn list(self) -> io::Result<OkFolder> {
        let mut listing = begin(self.product);
        if let Some(listed) = listing.end_in_time().await {
            return listed.map_err(io::Error::other)?;
        }
        self.no_answer().await;
        let listed = listing.end().await;
        self.answers().await;
        listed.map_err(io::Error::other)?
    }

    /// Resolves when the ok folder does not answer; never as long as it does.
    pub async fn until_no_answer(&self) {
        while begin(self.product).end_in_time().await.is_some() {
            tokio::time::sleep(PATIENCE).await;
        }
    }

    /// Reports that the folder does not answer.
    pub async fn no_answer(&self) {
        let ok = self.product.ok.as_path();
        let detail = format!("{}: does not answer; the bank in use stays; check the share or the disk", ok.display());
        self.events.tell(Event::new(EventKind::FolderStuck, detail).of_product(&self.product.name).at(ok)).await;
    }

    /// Reports that the folder answers again.
    pub async fn answers(&self) {
        let ok = self.product.ok.as_path();
        let detail = format!("{}: answers again", ok.display());
        self.events.tell(Event::new(EventKind::FolderStuckOver, detail).of_product(&self.product.name).at(ok)).await;
    }
}

fn begin(product: &ProductConfig) -> FolderWork<io::Result<OkFolder>> {
    let ok = product.ok.clone();
    FolderWork::begin(move || OkFolder::list(&ok))
}

/// The ok folder as it is now; `None` when it cannot be listed, or does not answer.
pub(super) async fn list_in_time(product: &ProductConfig) -> Option<OkFolder> {
    let ok = product.ok.clone();
    folder_io::work_in_time(&product.ok, move || OkFolder::list(&ok)).await.ok()?.ok()
}
