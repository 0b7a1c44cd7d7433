//! The demo's view of the history database: read-only, as anybody else would look.

use crate::history::{Counts, HistoryStore, InspectionFilter, InspectionRow};
use anyhow::Context;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};

/// An open history and the small runtime that its queries need.
#[derive(Debug)]
pub struct DropWatch {
    runtime: Runtime,
    store: HistoryStore,
}

impl DropWatch {
    /// Opens the history, or says `None` while the daemon has not made it yet.
    pub fn open(database: &Path) -> anyhow::Result<Option<DropWatch>> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime of the demo")?;
        // Between the file's creation and its schema every read fails; the daemon's own log tells of lasting trouble.
        let store = runtime.block_on(async {
            let store = HistoryStore::open_read_only(database).await.ok()?;
            store.lists().counts().await.ok().map(|_| store)
        });
        Ok(store.map(|store| DropWatch { runtime, store }))
    }

    /// How many images arrived and what became of them.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        self.runtime.block_on(self.store.lists().counts()).context("cannot count the inspections")
    }

    /// Version of the bank in use for `product`; 0 = none yet.
    pub fn bank_version(&self, product: &str) -> anyhow::Result<i64> {
        let bank = self.runtime.block_on(self.store.banks().active_bank(product)).context("cannot read the banks")?;
        Ok(bank.map_or(0, |bank| bank.version))
    }

    /// Every inspection of `product`.
    pub fn inspections(&self, product: &str) -> anyhow::Result<Vec<InspectionRow>> {
        let filter = InspectionFilter { product: Some(product.to_owned()), ..InspectionFilter::default() };
        self.runtime.block_on(self.store.lists().inspections(&filter)).context("cannot read the inspections")
    }
}
