//! Takes pending images from the history and has them inspected, a few at a time.
//!
//! The database is the queue. However long the backlog is, memory holds only the images in hand and the rest of one turn. Products with
//! due images take turns, the one served longest ago first, so that a backlog of one product does not delay another.

use super::context::InspectorContext;
use super::in_hand::ImageInHand;
use super::inspector::inspect;
use crate::config::ProductConfig;
use crate::history::{DEATHS, HistoryError, PendingImage};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Images in hand at once: one decoding, one in the engine, one being written, one spare. This limits the memory.
const IN_HAND: u32 = 4;
/// Images of one product before the next product gets its turn, when the banks of all waiting products do not fit into the bank cache.
/// Enough that alternating products do not reload their banks all the time.
const LONG_TURN: u32 = 16;
/// The same when they do fit, and a change of product costs nothing.
const SHORT_TURN: u32 = 4;
/// The dispatcher looks for due images at least this often, and at every arrival.
pub const LOOK: Duration = Duration::from_millis(250);
/// Suspects (images that were in hand when the daemon died) wait until the line has worked for this long: images that came since must be
/// found first.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// A suspect that was alone in hand waits until the line has worked for this long: deaths with another cause come sooner or later than
/// that, and the other images continue in between. The other suspects wait no longer than this for a moment in which nothing else is due.
const PROOF: Duration = Duration::from_secs(10);
/// Pause when the daemon cannot write the history, e.g. on a full disk.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`, and finishes the images in hand, but not those whose folder does not answer. Also ends when the history is lost for
/// good; [`Database::lost`](crate::database::Database::lost) says why.
pub async fn run(context: InspectorContext, stop: CancellationToken) {
    let hands = Arc::new(Semaphore::new(IN_HAND as usize));
    let mut dispatcher = Dispatcher {
        context,
        tasks: JoinSet::new(),
        ids: HashMap::new(),
        turn: VecDeque::new(),
        served: HashMap::new(),
        turns: 0,
        begun: Instant::now(),
        suspects: true,
    };
    let (pulse, _watch) = dispatcher.context.telemetry.progress.worker("dispatcher");
    while !stop.is_cancelled() {
        // Without a free hand there is nothing to do here; the images in hand are watched separately.
        let hand = tokio::select! {
            () = stop.cancelled() => break,
            hand = ImageInHand::take(&hands) => hand,
        };
        let Some(hand) = hand else { break };
        let work = pulse.begin();
        let step = dispatcher.step(hand).await;
        drop(work);
        match step {
            Ok(Step::Begun) => {}
            Ok(Step::Alone(hand, product, image)) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    hand = hand.alone(IN_HAND - 1) => {
                        if let Some(hand) = hand {
                            dispatcher.begin(product, image, hand);
                        }
                    }
                }
            }
            Ok(Step::Idle) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = dispatcher.context.signals.wake.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(error) if error.kind.is_fatal() => {
                tracing::error!(%error, "history lost; nothing more is inspected");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "history not written; inspecting pauses");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(HISTORY_PAUSE) => {}
                }
            }
        }
    }
    // All hands are free: other images wait for a folder that does not answer, and are inspected after the next start.
    let _ = hands.acquire_many(IN_HAND).await;
}

/// The outcome of a step.
enum Step {
    /// An image is in hand.
    Begun,
    /// This image must be taken in hand when nothing else is in hand.
    Alone(ImageInHand, Box<ProductConfig>, PendingImage),
    /// There was nothing to do.
    Idle,
}

struct Dispatcher {
    context: InspectorContext,
    tasks: JoinSet<Result<(), HistoryError>>,
    /// Which inspection each task is for.
    ids: HashMap<Id, i64>,
    /// The rest of the current turn, all of one product.
    turn: VecDeque<(ProductConfig, PendingImage)>,
    /// The number of the last turn of each product.
    served: HashMap<String, u64>,
    turns: u64,
    /// When the line started to work.
    begun: Instant,
    /// There may be images that must be tried alone. No image becomes one while the daemon lives.
    suspects: bool,
}

impl Dispatcher {
    /// 1. collects the ended inspections; 2. takes the next image of the turn, or begins the next turn; 3. starts the inspection.
    ///
    /// Images that were in hand when the daemon died come after the others, or when they have waited long enough.
    async fn step(&mut self, hand: ImageInHand) -> Result<Step, HistoryError> {
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            outcome = outcome.and(self.ended(ended));
        }
        outcome?;
        let avoid = self.context.telemetry.folders.to_avoid();
        // Images that are left out here stay pending and come again.
        self.turn.retain(|(product, image)| !avoids(&avoid, product, image));
        let long_enough = self.begun.elapsed() >= PROOF;
        if self.turn.is_empty() {
            if long_enough && let Some((product, image)) = self.next_suspect(&avoid, DEATHS).await? {
                return Ok(Step::Alone(hand, Box::new(product), image));
            }
            self.begin_turn(&avoid).await?;
        }
        if let Some((product, image)) = self.turn.pop_front() {
            self.begin(Box::new(product), image, hand);
            return Ok(Step::Begun);
        }
        if self.begun.elapsed() >= OTHERS_FIRST
            && let Some((product, image)) = self.next_suspect(&avoid, 0).await?
        {
            return Ok(Step::Alone(hand, Box::new(product), image));
        }
        Ok(Step::Idle)
    }

    fn begin(&mut self, product: Box<ProductConfig>, image: PendingImage, hand: ImageInHand) {
        let (context, id) = (self.context.clone(), image.id);
        let task = self.tasks.spawn(async move { inspect(&context, &product, image, hand).await });
        self.ids.insert(task.id(), id);
    }

    /// The next image to try alone, of the images that were alone in hand at no more than `deaths` deaths.
    async fn next_suspect(&mut self, avoid: &[PathBuf], deaths: i64) -> Result<Option<(ProductConfig, PendingImage)>, HistoryError> {
        if !self.suspects {
            return Ok(None);
        }
        let context = self.context.clone();
        let names: Vec<&str> = able(&context, avoid).map(|product| product.name.as_str()).collect();
        let in_work: Vec<i64> = self.ids.values().copied().collect();
        let Some((name, image)) = context.queue.next_suspect(&names, Timestamp::now(), deaths, &in_work, avoid).await? else {
            self.suspects = context.queue.has_suspects().await?;
            return Ok(None);
        };
        Ok(context.products.get(&name).map(|product| (product.clone(), image)))
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
        let mut names: Vec<&str> = able(&self.context, avoid).map(|product| product.name.as_str()).collect();
        names.sort_by_key(|name| self.served.get(*name).copied().unwrap_or(0));
        let now = Timestamp::now();
        let due = self.context.queue.due_products(&names, now).await?;
        let length = if due.len() <= self.context.products.config.engine.bank_cache { SHORT_TURN } else { LONG_TURN };
        let in_work: Vec<i64> = self.ids.values().copied().collect();
        for name in due {
            let Some(product) = self.context.products.get(&name) else { continue };
            let images = self.context.queue.next_pending(&name, now, length, &in_work, avoid).await?;
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

/// The products whose images can be tried now. Without a bank, all images of a product wait, and a search costs only time.
fn able<'a>(context: &'a InspectorContext, avoid: &'a [PathBuf]) -> impl Iterator<Item = &'a ProductConfig> {
    let products = context.products.config.products.iter().filter(|product| context.banks.get(&product.name).is_some());
    products.filter(|product| !avoids_product(avoid, product))
}

/// True when every image of the product needs a folder that is in trouble.
fn avoids_product(avoid: &[PathBuf], product: &ProductConfig) -> bool {
    avoid.contains(&product.bank) || product.outputs.dir.as_ref().is_some_and(|dir| avoid.contains(dir))
}

fn avoids(avoid: &[PathBuf], product: &ProductConfig, image: &PendingImage) -> bool {
    avoids_product(avoid, product) || avoid.iter().any(|folder| image.path.starts_with(folder))
}
