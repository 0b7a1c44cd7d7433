//! What a reload keeps: the history, and the engine with its networks and loaded banks.

use super::clock::LineClock;
use super::database::look_after;
use super::engine::{self, EngineHandle};
use super::lock::DatabaseLock;
use super::patience::while_locked;
use super::progress::{Progress, Pulse};
use crate::config::{Config, EngineConfig};
use crate::error::FatalError;
use crate::history::HistoryStore;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long an engine that may hang in a bank folder is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The history, which no other daemon works with while this one lives.
pub struct OwnHistory {
    store: HistoryStore,
    clock: Arc<LineClock>,
    /// Ends with this.
    care: JoinSet<()>,
    lock: Arc<DatabaseLock>,
}

impl OwnHistory {
    /// Locks and opens it; a large one takes its time, and makes steps meanwhile.
    ///
    /// # Errors
    /// When another daemon has it, or it cannot be opened.
    pub async fn open(database: &Path, pulse: &Arc<Pulse>) -> Result<Self, FatalError> {
        Self::locked(Arc::new(DatabaseLock::take(database)?), database, pulse).await
    }

    async fn locked(lock: Arc<DatabaseLock>, database: &Path, pulse: &Arc<Pulse>) -> Result<Self, FatalError> {
        let pulse = Arc::clone(pulse);
        let store = HistoryStore::open_telling(database, move || pulse.step()).await.map_err(|e| FatalError::History(e.into()))?;
        store.note().await;
        let clock = LineClock::open(&store).await.map_err(|e| FatalError::History(e.into()))?;
        let mut care = JoinSet::new();
        care.spawn(look_after(store.clone(), Arc::clone(&lock)));
        Ok(Self { store, clock: Arc::new(clock), care, lock })
    }

    pub fn store(&self) -> &HistoryStore {
        &self.store
    }
}

/// Made at the start; a reload changes only what its configuration asks for.
pub struct Kept {
    history: OwnHistory,
    engine: EngineHandle,
    engine_config: EngineConfig,
    thread: JoinHandle<()>,
}

impl Kept {
    /// Opens the history and starts the engine. Waits for as long as another program has the database locked.
    ///
    /// # Errors
    /// When the history cannot be opened or the system gives no thread.
    pub async fn open(config: &Config, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        let (pulse, _watch) = progress.worker("start");
        let _work = pulse.begin();
        let lock = Arc::new(DatabaseLock::take(&config.database)?);
        let history = while_locked(&pulse, async || OwnHistory::locked(Arc::clone(&lock), &config.database, &pulse).await).await?;
        Self::with(history, &config.engine, progress)
    }

    fn with(history: OwnHistory, config: &EngineConfig, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        let no_thread = |e: std::io::Error| FatalError::Worker { worker: "engine", reason: e.to_string() };
        let (engine, thread) = engine::start(config.clone(), progress).map_err(no_thread)?;
        Ok(Self { history, engine, engine_config: config.clone(), thread })
    }

    pub fn store(&self) -> HistoryStore {
        self.history.store.clone()
    }

    pub fn clock(&self) -> Arc<LineClock> {
        Arc::clone(&self.history.clock)
    }

    pub fn engine(&self) -> EngineHandle {
        self.engine.clone()
    }

    /// True when the configuration names another database than this one.
    pub fn needs_other_history(&self, config: &Config) -> bool {
        !self.history.lock.is_of(&config.database)
    }

    /// For a new configuration, between two lines: `history` takes the place of the present one.
    ///
    /// # Errors
    /// When the present history cannot be closed or the system gives no thread.
    pub async fn fit(mut self, config: &Config, history: Option<OwnHistory>, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        // Loaded banks go by their rows in the history.
        if history.is_none() && self.engine_config == config.engine && self.engine_answers().await {
            return Ok(self);
        }
        end_engine(&self.engine, self.thread).await;
        if let Some(new) = history {
            close(std::mem::replace(&mut self.history, new)).await?;
        }
        Self::with(self.history, &config.engine, progress)
    }

    async fn engine_answers(&self) -> bool {
        tokio::time::timeout(PATIENCE, self.engine.warm_up(Vec::new())).await.is_ok()
    }

    /// After the last line: the engine first, then the history.
    ///
    /// # Errors
    /// When the history cannot be closed.
    pub async fn close(self) -> Result<(), FatalError> {
        end_engine(&self.engine, self.thread).await;
        close(self.history).await
    }
}

async fn close(mut history: OwnHistory) -> Result<(), FatalError> {
    history.care.shutdown().await;
    history.store.note().await;
    history.store.clone().close().await.map_err(|e| FatalError::History(e.into()))?;
    history.store.note_closed();
    Ok(())
}

async fn end_engine(engine: &EngineHandle, thread: JoinHandle<()>) {
    let ends = async {
        engine.close().await;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    };
    if tokio::time::timeout(PATIENCE, ends).await.is_err() {
        tracing::warn!("the engine waits for a bank folder that does not answer; it is not waited for");
    }
}
