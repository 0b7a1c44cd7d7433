//! The parts that a reload keeps: the history, and the engine with its networks and loaded banks.

use super::error::FatalError;
use super::patience::while_locked;
use crate::config::{Config, EngineConfig};
use crate::database::DatabaseLock;
use crate::engine::{self, EngineHandle};
use crate::history::HistoryStore;
use crate::platform::clock::LineClock;
use crate::telemetry::{Progress, Pulse};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the daemon waits for an engine that may hang in a bank folder.
const PATIENCE: Duration = Duration::from_secs(10);

/// The history, locked: no other daemon works with it while this one lives.
pub struct LockedHistory {
    store: HistoryStore,
    clock: Arc<LineClock>,
    lock: Arc<DatabaseLock>,
}

impl LockedHistory {
    /// Locks and opens the history; a large one takes long, and makes steps meanwhile.
    ///
    /// # Errors
    /// When another daemon has it, or it cannot be opened.
    pub async fn open(database: &Path, pulse: &Arc<Pulse>) -> Result<Self, FatalError> {
        Self::locked(Arc::new(DatabaseLock::take(database)?), database, pulse).await
    }

    async fn locked(lock: Arc<DatabaseLock>, database: &Path, pulse: &Arc<Pulse>) -> Result<Self, FatalError> {
        let pulse = Arc::clone(pulse);
        let store = HistoryStore::open_telling(database, &lock, move || pulse.step()).await?;
        store.database().note().await;
        let clock = Arc::new(LineClock::resume(store.clock().clock_record().await?));
        store.go_by(&clock);
        Ok(Self { store, clock, lock })
    }

    pub fn store(&self) -> &HistoryStore {
        &self.store
    }
}

/// The long-lived parts that a line uses.
pub struct LineParts {
    /// The history.
    pub store: HistoryStore,
    /// Its clock.
    pub clock: Arc<LineClock>,
    /// The right to work with the history.
    pub lock: Arc<DatabaseLock>,
    /// The engine.
    pub engine: EngineHandle,
}

/// Created at the start; a reload changes only what its configuration requires.
pub struct LongLived {
    history: LockedHistory,
    engine: EngineHandle,
    engine_config: EngineConfig,
    thread: JoinHandle<()>,
}

impl LongLived {
    /// Opens the history and starts the engine. Waits for as long as another program has the database locked.
    ///
    /// # Errors
    /// When the history cannot be opened or the system gives no thread.
    pub async fn open(config: &Config, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        let (pulse, _watch) = progress.worker("start");
        let _work = pulse.begin();
        let lock = Arc::new(DatabaseLock::take(&config.database)?);
        let history = while_locked(&pulse, async || LockedHistory::locked(Arc::clone(&lock), &config.database, &pulse).await).await?;
        Self::with(history, &config.engine, progress)
    }

    fn with(history: LockedHistory, config: &EngineConfig, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        let (engine, thread) = engine::start(config.clone(), progress).map_err(|error| FatalError::not_started("engine", &error))?;
        Ok(Self { history, engine, engine_config: config.clone(), thread })
    }

    /// The parts that a line uses.
    pub fn parts(&self) -> LineParts {
        let LockedHistory { store, clock, lock } = &self.history;
        LineParts { store: store.clone(), clock: Arc::clone(clock), lock: Arc::clone(lock), engine: self.engine.clone() }
    }

    /// True when the configuration names another database.
    pub fn needs_other_history(&self, config: &Config) -> bool {
        !self.history.lock.is_of(&config.database)
    }

    /// Prepares for a new configuration, between two lines: `history` replaces the current one.
    ///
    /// # Errors
    /// When the current history cannot be closed or the system gives no thread.
    pub async fn fit(mut self, config: &Config, history: Option<LockedHistory>, progress: &Arc<Progress>) -> Result<Self, FatalError> {
        // Loaded banks belong to one history.
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

    /// Closes the engine and then the history, after the last line.
    ///
    /// # Errors
    /// When the history cannot be closed.
    pub async fn close(self) -> Result<(), FatalError> {
        end_engine(&self.engine, self.thread).await;
        close(self.history).await
    }
}

async fn close(history: LockedHistory) -> Result<(), FatalError> {
    let database = history.store.database();
    database.note().await;
    database.clone().close().await?;
    database.note_closed();
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
