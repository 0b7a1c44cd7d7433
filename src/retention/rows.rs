//! Rows that are older than `retention.rows`: the daemon moves them out of the history, a dry run counts them.

use crate::archive::RowArchive;
use crate::config::ProductConfig;
use crate::domain::TimeSpan;
use crate::history::HistoryError;
use crate::platform::clock::{LineClock, Purpose};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows per step: few, so that a new image waits a few milliseconds at most.
const BATCH: u32 = 200;
/// The next look when no row was old enough.
const AGAIN: Duration = Duration::from_secs(10);
/// The next try when rows could not be moved.
const AFTER_ERROR: Duration = Duration::from_secs(3600);

/// The rows of all products that have `retention.rows`.
pub struct OldRows {
    products: Vec<(String, Duration)>,
    archive: RowArchive,
    clock: Arc<LineClock>,
    /// Nothing to do before.
    rests_until: Option<Instant>,
    /// Rows moved since this was last taken, by product and file.
    pub moved: BTreeMap<(String, PathBuf), u64>,
}

impl OldRows {
    pub fn new(products: &[ProductConfig], archive: RowArchive, clock: Arc<LineClock>) -> Self {
        let products = products.iter().filter_map(|product| product.retention.rows.map(|age| (product.name.clone(), age))).collect();
        Self { products, archive, clock, rests_until: None, moved: BTreeMap::new() }
    }

    /// Moves some rows; false when there are none to move. After an error it moves none for an hour.
    pub async fn step(&mut self) -> Result<bool, HistoryError> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(false);
        }
        let moved = self.move_some().await;
        let rest = match &moved {
            Ok(true) => Duration::ZERO,
            Ok(false) => AGAIN,
            Err(_) => AFTER_ERROR,
        };
        self.rests_until = Some(Instant::now() + rest);
        moved
    }

    async fn move_some(&mut self) -> Result<bool, HistoryError> {
        for (product, age) in &self.products {
            for TimeSpan { from, until } in self.clock.old(*age, Purpose::Delete) {
                if let Some(moved) = self.archive.move_oldest(product, from, until, BATCH).await? {
                    *self.moved.entry((product.clone(), moved.file)).or_default() += moved.rows;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// How many rows of each product would go now.
    pub async fn count(&self) -> Result<BTreeMap<String, u64>, HistoryError> {
        let mut counts = BTreeMap::new();
        for (product, age) in &self.products {
            let mut rows = 0;
            for TimeSpan { from, until } in self.clock.old(*age, Purpose::Delete) {
                rows += self.archive.count(product, from, until).await?;
            }
            if rows > 0 {
                counts.insert(product.clone(), rows);
            }
        }
        Ok(counts)
    }

    /// What was moved since the last time, in words; `None` when nothing was.
    pub fn told(&mut self) -> Option<String> {
        let moved = std::mem::take(&mut self.moved);
        let parts: Vec<String> =
            moved.into_iter().map(|((product, file), rows)| format!("{rows} rows of {product} to {}", file.display())).collect();
        (!parts.is_empty()).then(|| format!("moved {}", parts.join(", ")))
    }
}
