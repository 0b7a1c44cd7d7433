//! One driver for all background tasks. Each has a name, a stage at which it is stopped, and a trigger. One that ends without a request
//! is a failure, and the daemon ends with its name.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// The environment variable with which a test ends one worker, by its name, half a second after its start.
pub const END_WORKER: &str = "PATCHCORED_END_WORKER";
/// The time until then.
const END_AFTER: Duration = Duration::from_millis(500);

/// When a worker is stopped, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// First of all: those that watch the others.
    Guard,
    /// With the intake: those that record new images.
    Intake,
    /// With the images in hand.
    Images,
    /// After the images: those that build and watch banks.
    Banks,
    /// After the banks: those that delete old files.
    Retention,
    /// After retention: those that act on defects and publish decisions.
    FollowUp,
    /// At the end of the line: those with nothing to finish.
    Watch,
    /// At the end of the process: those that a reload keeps.
    Process,
}

/// What makes a worker look for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakes {
    /// This much time has passed.
    Every(Duration),
    /// Something happened, in words.
    On(&'static str),
    /// Something happened, or this much time has passed.
    OnOrEvery(&'static str, Duration),
}

impl fmt::Display for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(period) => write!(f, "every {period:?}"),
            Self::On(what) => write!(f, "on {what}"),
            Self::OnOrEvery(what, period) => write!(f, "on {what}, and every {period:?}"),
        }
    }
}

/// A background task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Its name, unique among those that run.
    pub name: String,
    /// When it is stopped.
    pub stage: Stage,
    /// What wakes it.
    pub wakes: Wakes,
}

impl Worker {
    /// A worker of this name.
    pub fn new(name: impl Into<String>, stage: Stage, wakes: Wakes) -> Self {
        Self { name: name.into(), stage, wakes }
    }
}

/// A worker ended without a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("worker `{worker}` ended: {reason}; this is a bug or a failing disk: see the log lines before this one")]
pub struct WorkerEnded {
    /// Its name.
    pub worker: String,
    /// How it ended.
    pub reason: String,
}

struct Running {
    worker: Worker,
    since: Instant,
    task: AbortHandle,
}

/// All background tasks of the process.
#[derive(Default)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
}

impl Supervisor {
    /// Starts a worker, which runs until its stage is stopped.
    pub fn start(&mut self, worker: Worker, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(task);
        if std::env::var(END_WORKER).is_ok_and(|name| name == worker.name) {
            let ended = task.clone();
            tokio::spawn(async move {
                tokio::time::sleep(END_AFTER).await;
                ended.abort();
            });
        }
        tracing::debug!(worker = worker.name, wakes = %worker.wakes, "worker started");
        self.running.insert(task.id(), Running { worker, since: Instant::now(), task });
    }

    /// Resolves when a worker ended without a request; never while there are none.
    pub async fn ended(&mut self) -> WorkerEnded {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.take(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits for all workers of a stage, which were asked to end. Workers of later stages may have been asked as well, and end before;
    /// one that panics is logged.
    pub async fn join(&mut self, stage: Stage) {
        while self.running.values().any(|running| running.worker.stage == stage) {
            let Some(ended) = self.tasks.join_next_with_id().await else { return };
            let panicked = ended.as_ref().is_err_and(JoinError::is_panic);
            let WorkerEnded { worker, reason } = self.take(ended);
            if panicked {
                tracing::error!(worker, reason, "a worker panicked while the line was stopped");
            }
        }
    }

    /// Ends the workers of a stage at once, and waits until they have.
    pub async fn abort(&mut self, stage: Stage) {
        for running in self.running.values().filter(|running| running.worker.stage == stage) {
            running.task.abort();
        }
        self.join(stage).await;
    }

    /// One line per worker, by name: what wakes it, and how long it has run.
    pub fn table(&self) -> Vec<String> {
        let mut lines: Vec<String> = (self.running.values())
            .map(|Running { worker, since, .. }| {
                format!("{}: wakes {}, runs since {} s", worker.name, worker.wakes, since.elapsed().as_secs())
            })
            .collect();
        lines.sort();
        lines
    }

    fn take(&mut self, ended: Result<(Id, ()), JoinError>) -> WorkerEnded {
        let (id, reason) = match ended {
            Ok((id, ())) => (id, "it returned".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let worker = self.running.remove(&id).map_or_else(|| "unknown".to_owned(), |running| running.worker.name);
        WorkerEnded { worker, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    fn worker(name: &str, stage: Stage) -> Worker {
        Worker::new(name, stage, Wakes::Every(Duration::from_secs(1)))
    }

    #[tokio::test]
    async fn a_worker_that_ends_by_itself_is_named() {
        let mut supervisor = Supervisor::default();
        supervisor.start(worker("stays", Stage::Watch), std::future::pending());
        supervisor.start(worker("returns", Stage::Images), async {});
        assert_eq!(supervisor.ended().await, WorkerEnded { worker: "returns".into(), reason: "it returned".into() });
        supervisor.start(worker("panics", Stage::Images), async { panic!("as a library does") });
        let ended = supervisor.ended().await;
        assert!(ended.worker == "panics" && ended.reason.contains("panicked"), "{ended:?}");
        assert_eq!(supervisor.table().len(), 1);
        assert!(supervisor.table()[0].starts_with("stays: wakes every 1s, runs since "), "{:?}", supervisor.table());
    }

    #[tokio::test]
    async fn a_stage_is_waited_for_and_others_go_on() {
        let mut supervisor = Supervisor::default();
        let stop = std::sync::Arc::new(Notify::new());
        let asked = std::sync::Arc::clone(&stop);
        supervisor.start(worker("a", Stage::Images), async move { asked.notified().await });
        supervisor.start(worker("b", Stage::Watch), std::future::pending());
        let waits = tokio::time::timeout(Duration::from_millis(20), supervisor.join(Stage::Images)).await;
        assert!(waits.is_err(), "nobody asked it to end");
        stop.notify_one();
        supervisor.join(Stage::Images).await;
        assert_eq!(supervisor.table().len(), 1);
        supervisor.abort(Stage::Watch).await;
        assert!(supervisor.table().is_empty());
    }
}
