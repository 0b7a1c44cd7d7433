//! The thread that owns the networks and the loaded banks, behind a bounded channel.

mod library;

use crate::banks::ActiveBank;
use crate::config::EngineConfig;
use crate::domain::{AnomalyScores, Backbone, OverlayStyle, Precision, PrecisionChoice, ResizedImage, Tau};
use crate::patchcore::{BankConfig, EngineError, FeatureExtractor, MemoryBank, find_weights, score, set_threads};
use crate::platform::allocator::give_back_freed_memory;
use crate::telemetry::{Progress, Pulse, Watch, Work};
use library::{BankKey, BankLibrary};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

/// Images waiting for the engine: one is enough to keep it busy, a second hides a slow decode.
const QUEUE: usize = 2;

/// The score of one image.
#[derive(Debug)]
pub struct Scored {
    /// What the image scores, and where.
    pub scores: AnomalyScores,
    /// The thresholds from the row of the bank.
    pub tau: Tau,
    /// How the overlay shows the mask of an image that this bank judged.
    pub overlay_style: OverlayStyle,
    /// Time for network and distances.
    pub engine_time: Duration,
}

/// The reason for a missing score.
#[derive(Debug, thiserror::Error)]
pub enum EngineFailure {
    /// The bank or its network cannot be used: every image of the product must wait.
    #[error("{0}")]
    Bank(String),
    /// This image cannot be scored.
    #[error("{0}")]
    Image(String),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

enum Job {
    /// The span belongs to the image.
    Score {
        image: ResizedImage,
        bank: ActiveBank,
        reply: oneshot::Sender<Result<Scored, EngineFailure>>,
        work: Work,
        span: Span,
    },
    WarmUp {
        banks: Vec<ActiveBank>,
        reply: oneshot::Sender<()>,
        work: Work,
    },
    Close,
}

/// Hands images to the engine thread.
#[derive(Clone)]
pub struct EngineHandle {
    jobs: mpsc::Sender<Job>,
    /// The banks in memory after the last job.
    loaded: Arc<Mutex<Vec<BankKey>>>,
    pulse: Arc<Pulse>,
    _watch: Arc<Watch>,
}

impl EngineHandle {
    /// Scores an image, resized as `bank` requires, against that bank.
    ///
    /// # Errors
    /// See [`EngineFailure`].
    pub async fn score(&self, image: ResizedImage, bank: ActiveBank) -> Result<Scored, EngineFailure> {
        let (reply, answer) = oneshot::channel();
        let work = self.pulse.begin();
        self.jobs.send(Job::Score { image, bank, reply, work, span: Span::current() }).await.map_err(|_| EngineFailure::Stopped)?;
        answer.await.map_err(|_| EngineFailure::Stopped)?
    }

    /// True when scoring against this bank needs no file.
    pub fn has_loaded(&self, bank: &ActiveBank) -> bool {
        self.loaded.lock().contains(&BankKey::of(&bank.record))
    }

    /// Loads networks and banks before the first image comes, so that READY means ready.
    pub async fn warm_up(&self, banks: Vec<ActiveBank>) {
        let (reply, answer) = oneshot::channel();
        let work = self.pulse.begin();
        if self.jobs.send(Job::WarmUp { banks, reply, work }).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Resolves when the thread has ended.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Ends the thread after the images that it already has.
    pub async fn close(&self) {
        // An engine that has already ended is closed.
        let _ = self.jobs.send(Job::Close).await;
    }
}

/// Starts the engine thread; it ends at [`EngineHandle::close`].
///
/// # Errors
/// When the system gives no thread.
pub fn start(config: EngineConfig, progress: &Arc<Progress>) -> std::io::Result<(EngineHandle, JoinHandle<()>)> {
    let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
    let loaded: Arc<Mutex<Vec<BankKey>>> = Arc::default();
    let told = Arc::clone(&loaded);
    let (pulse, watch) = progress.worker("engine");
    let stamps = Arc::clone(&pulse);
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        set_threads(config.threads);
        let mut engine = Engine::new(config, stamps);
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::Score { image, bank, reply, work, span } => {
                    let result = span.in_scope(|| one_image(|| engine.score(&image, &bank)));
                    *told.lock() = engine.library.loaded();
                    drop(work);
                    let _ = reply.send(result);
                }
                Job::WarmUp { banks, reply, work } => {
                    engine.warm_up(&banks);
                    *told.lock() = engine.library.loaded();
                    drop(work);
                    let _ = reply.send(());
                }
                Job::Close => return,
            }
        }
    })?;
    Ok((EngineHandle { jobs, loaded, pulse, _watch: Arc::new(watch) }, thread))
}

/// A panic in a library ends this image, not the line.
fn one_image(work: impl FnOnce() -> Result<Scored, EngineFailure>) -> Result<Scored, EngineFailure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(EngineFailure::Image("the engine panicked on this image; see the log".to_owned())))
}

/// What a loaded network is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct NetworkKey {
    backbone: Backbone,
    /// A bank is scored in the precision that it was built in, so one network may be loaded twice.
    precision: Precision,
    /// A network in int8 is of one bank.
    of_bank: Option<BankKey>,
}

struct Engine {
    config: EngineConfig,
    library: BankLibrary,
    extractors: HashMap<NetworkKey, FeatureExtractor>,
    pulse: Arc<Pulse>,
}

impl Engine {
    fn new(config: EngineConfig, pulse: Arc<Pulse>) -> Self {
        let capacity = NonZeroUsize::new(config.bank_cache).unwrap_or(NonZeroUsize::MIN);
        Self { config, library: BankLibrary::new(capacity), extractors: HashMap::new(), pulse }
    }

    /// Loads as many of the banks as the cache holds.
    fn warm_up(&mut self, banks: &[ActiveBank]) {
        for bank in banks.iter().take(self.config.bank_cache) {
            if let Err(error) = self.prepare(bank) {
                // The images that need the bank report this again, in the history.
                tracing::error!(bank = %bank.dir.display(), %error, "bank cannot be used");
            }
        }
    }

    fn prepare(&mut self, bank: &ActiveBank) -> Result<(&FeatureExtractor, &MemoryBank), EngineError> {
        let Self { config, library, extractors, pulse } = self;
        pulse.long_step();
        let key = BankKey::of(&bank.record);
        if !library.holds(&key) {
            // Its place will be taken, and so the network of that bank is of no more use.
            library.make_room();
            extractors.retain(|network, _| network.of_bank.as_ref().is_none_or(|bank| library.holds(bank)));
        }
        let bank = library.get(&bank.dir, &bank.record, |bank| {
            let extractor = extractor_for(extractors, config, (key.clone(), &bank))?;
            bank.check_extractor(extractor)?;
            let placed = bank.beside(extractor)?;
            // Reading a bank and dropping an old one left memory in pieces that no image uses.
            give_back_freed_memory();
            Ok(placed)
        })?;
        let extractor = extractor_for(extractors, config, (key, bank))?;
        pulse.step();
        Ok((extractor, bank))
    }

    fn score(&mut self, image: &ResizedImage, active: &ActiveBank) -> Result<Scored, EngineFailure> {
        let (extractor, bank) = self.prepare(active).map_err(|e| EngineFailure::Bank(e.to_string()))?;
        let begin = Instant::now();
        let scores = score(extractor, bank, image).map_err(|e| EngineFailure::Image(e.to_string()))?;
        let overlay_style = OverlayStyle::of(&bank.config().options());
        Ok(Scored { scores, tau: active.record.tau, overlay_style, engine_time: begin.elapsed() })
    }
}

/// The network that `bank` was built with; it is loaded if necessary.
fn extractor_for<'a>(
    extractors: &'a mut HashMap<NetworkKey, FeatureExtractor>,
    config: &EngineConfig,
    (key, bank): (BankKey, &MemoryBank),
) -> Result<&'a FeatureExtractor, EngineError> {
    let BankConfig { backbone, precision, ref activation_ranges, .. } = *bank.config();
    Ok(match extractors.entry(NetworkKey { backbone, precision, of_bank: activation_ranges.is_some().then_some(key) }) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let weights = find_weights(backbone, config.weights.get(&backbone).map(PathBuf::as_path))?;
            let choice = PrecisionChoice::Fixed(precision);
            entry.insert(FeatureExtractor::load(backbone, &weights, config.device, choice, activation_ranges.as_ref())?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DistanceGrid, ScoreMethod};

    #[test]
    fn a_panic_fails_one_image_and_the_next_is_scored() {
        let panicked = one_image(|| panic!("as a library may"));
        assert!(matches!(panicked, Err(EngineFailure::Image(reason)) if reason.contains("panicked on this image")));
        let grid = DistanceGrid { width: 1, height: 1, values: vec![1.0] };
        let scores = AnomalyScores { image: 1.0, method: ScoreMethod::Guide, grid };
        let tau = Tau { pixel: 1.0, image: 1.0 };
        let scored = Scored { scores, tau, overlay_style: OverlayStyle::Outline, engine_time: Duration::ZERO };
        assert!(one_image(|| Ok(scored)).is_ok());
    }
}
