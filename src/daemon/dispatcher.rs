//! Takes pending images from the history and has them inspected, a few at a time.
//!
//! The database is the queue: nothing is held in memory but the images in hand and the rest of one turn, however long the backlog.
//! Products with due images take turns, the one served longest ago first, so that a backlog of one does not hold up another.

use super::Line;
use super::hand::Hand;
use super::inspector::inspect;
use crate::config::ProductConfig;
use crate::history::{HistoryError, PendingImage};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Images in hand at once: one decoding, one in the engine, one being written, one spare. Bounds the memory.
const IN_HAND: u32 = 4;
/// Images of one product before another gets its turn, when the banks of all that wait do not fit into the bank cache: enough that
/// alternating products do not thrash it.
const LONG_TURN: u32 = 16;
/// The same when they do fit, and changing costs nothing.
const SHORT_TURN: u32 = 4;
/// Pending images whose time has come are looked for at least this often, besides at every arrival.
const LOOK: Duration = Duration::from_millis(250);
/// Pause when the history cannot be written, e.g. on a full disk.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`; the images in hand are finished first, but not those whose folder does not answer.
///
/// # Errors
/// When the history is lost for good.
pub(super) async fn run(line: Arc<Line>, stop: CancellationToken) -> Result<(), HistoryError> {
    let hands = Arc::new(Semaphore::new(IN_HAND as usize));
    let mut dispatcher =
        Dispatcher { line, tasks: JoinSet::new(), ids: HashMap::new(), turn: VecDeque::new(), served: HashMap::new(), turns: 0 };
    let (pulse, _watch) = dispatcher.line.progress.worker("dispatcher");
    while !stop.is_cancelled() {
        // Without a free hand there is nothing to do here: the images in hand are watched for themselves.
        let hand = tokio::select! {
            () = stop.cancelled() => break,
            hand = Hand::take(&hands) => hand,
        };
        let Some(hand) = hand else { break };
        let _work = pulse.begin();
        match dispatcher.step(hand).await {
            Ok(true) => {}
            Ok(false) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = dispatcher.line.wake.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(error) if error.kind.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "history not written; inspecting pauses");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(HISTORY_PAUSE) => {}
                }
            }
        }
    }
    // All hands free: whatever is left waits for a folder that does not answer, and is done after the next start.
    let _ = hands.acquire_many(IN_HAND).await;
    Ok(())
}

struct Dispatcher {
    line: Arc<Line>,
    tasks: JoinSet<Result<(), HistoryError>>,
    /// Which inspection each task is for.
    ids: HashMap<Id, i64>,
    /// The rest of the present turn: all of one product.
    turn: VecDeque<(ProductConfig, PendingImage)>,
    /// The number of the last turn of each product.
    served: HashMap<String, u64>,
    turns: u64,
}

impl Dispatcher {
    /// 1. looks at what has ended; 2. takes the next image of the turn, or begins the next turn; 3. sets the image going.
    ///
    /// False when there was nothing to do.
    async fn step(&mut self, hand: Hand) -> Result<bool, HistoryError> {
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            outcome = outcome.and(self.ended(ended));
        }
        outcome?;
        let avoid = self.line.places.to_avoid();
        // What is left out here is pending and comes again.
        self.turn.retain(|(product, image)| !avoids(&avoid, product, image));
        if self.turn.is_empty() {
            self.begin_turn(&avoid).await?;
        }
        let Some((product, image)) = self.turn.pop_front() else { return Ok(false) };
        let (line, id) = (Arc::clone(&self.line), image.id);
        let task = self.tasks.spawn(async move { inspect(&line, &product, image, hand).await });
        self.ids.insert(task.id(), id);
        Ok(true)
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), HistoryError>), JoinError>) -> Result<(), HistoryError> {
        match ended {
            Ok((task, result)) => {
                self.ids.remove(&task);
                result
            }
            Err(error) => {
                // The row is still pending and is tried again.
                tracing::error!(%error, "inspection task ended early");
                self.ids.remove(&error.id());
                Ok(())
            }
        }
    }

    /// Gives the turn to the product that was served longest ago and has an image that can be tried.
    async fn begin_turn(&mut self, avoid: &[PathBuf]) -> Result<(), HistoryError> {
        // Without a bank, all of a product's images wait; looking through them would only cost time.
        let has_bank = |product: &&ProductConfig| self.line.banks.get(&product.name).is_some();
        let products = self.line.config.products.iter().filter(has_bank).filter(|product| !avoids_product(avoid, product));
        let mut names: Vec<&str> = products.map(|product| product.name.as_str()).collect();
        names.sort_by_key(|name| self.served.get(*name).copied().unwrap_or(0));
        let now = Timestamp::now();
        let due = self.line.store.due_products(&names, now).await?;
        let length = if due.len() <= self.line.config.engine.bank_cache { SHORT_TURN } else { LONG_TURN };
        let in_work: Vec<i64> = self.ids.values().copied().collect();
        for name in due {
            let Some(product) = self.line.product(&name) else { continue };
            let images = self.line.store.next_pending(&name, now, length, &in_work, avoid).await?;
            if !images.is_empty() {
                self.turn = images.into_iter().map(|image| (product.clone(), image)).collect();
                self.turns += 1;
                self.served.insert(name, self.turns);
                break;
            }
        }
        Ok(())
    }
}

/// True when every image of the product needs a folder that is in trouble.
fn avoids_product(avoid: &[PathBuf], product: &ProductConfig) -> bool {
    avoid.contains(&product.bank) || product.outputs.dir.as_ref().is_some_and(|dir| avoid.contains(dir))
}

fn avoids(avoid: &[PathBuf], product: &ProductConfig, image: &PendingImage) -> bool {
    avoids_product(avoid, product) || avoid.iter().any(|folder| image.path.starts_with(folder))
}
