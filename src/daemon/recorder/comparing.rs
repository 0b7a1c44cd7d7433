//! Files that may be known already: read, and recorded once it is known what they are.
//!
//! Nobody waits for it: a drop folder that hangs keeps its own files from being compared and no others, and new images pass by.

use super::super::whose::drop_folder;
use super::super::{Line, off_runtime};
use super::record;
use crate::crash_point;
use crate::history::{Arrival, Evidence, Kin, Recorded};
use crate::intake::{Content, content_of, file_version};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The comparisons that go on. Dropping it ends them; what they would have recorded is found again by a scan.
#[derive(Default)]
pub(super) struct Comparing {
    /// One at a time in each drop folder.
    turns: HashMap<PathBuf, Arc<Mutex<()>>>,
    tasks: JoinSet<()>,
}

impl Comparing {
    /// Compares the arrivals of one drop folder with the images that they may be, and records them.
    pub(super) fn begin(&mut self, line: &Arc<Line>, arrivals: Vec<Arrival>, stop: &CancellationToken) {
        let Some(first) = arrivals.first() else { return };
        let root = line.router.roots().into_iter().find(|root| first.path.starts_with(&root.path));
        let turn = Arc::clone(self.turns.entry(root.map(|root| root.path).unwrap_or_default()).or_default());
        let (line, stop) = (Arc::clone(line), stop.clone());
        self.tasks.spawn(async move {
            let _turn = turn.lock().await;
            let (pulse, _watch) = line.progress.worker("comparison");
            for arrival in arrivals {
                let (arrival, kin) = look(&line, arrival).await;
                crash_point::reach("arrival_compared");
                let _work = pulse.begin();
                let answers = record(&line, std::slice::from_ref(&arrival), &pulse, &stop).await;
                if let Some(Recorded::Known(id)) = answers.first() {
                    tell_known(&line, &arrival, &kin, *id).await;
                }
            }
        });
    }

    /// Resolves when a comparison has ended; never while there is none.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%error, "comparison ended early; a scan finds its files after a restart")
            }
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Reads the file. Whatever cannot be told makes it a new image, which is then said of it as of any other.
async fn look(line: &Line, mut arrival: Arrival) -> (Arrival, Vec<Kin>) {
    let kin = match line.store.kin(&arrival).await {
        Ok(kin) => kin,
        Err(error) => {
            tracing::error!(%error, image = %arrival.path.display(), "history not read; the image is taken for a new one");
            Vec::new()
        }
    };
    let waiting = kin.iter().find(|kin| kin.waits).map(|kin| (kin.id, kin.path.clone()));
    let path = arrival.path.clone();
    let (task, _, _watch) = off_runtime::begin(&line.progress, "comparison", move || examine(&path, waiting));
    let (content, gone) = task.await.unwrap_or_default();
    let content = content.map(|Content { version, id, hash }| {
        // Its time may have been set once more.
        (arrival.size, arrival.mtime_ns, arrival.file_id) = (version.size, version.mtime_ns, id);
        hash
    });
    arrival.evidence = Some(Evidence { content_hash: content, gone });
    (arrival, kin)
}

/// The file's bytes, and the image that waits if its file is not under its name any more.
fn examine(path: &Path, waiting: Option<(i64, PathBuf)>) -> (Option<Content>, Option<i64>) {
    let content = content_of(path).inspect_err(|error| tracing::debug!(image = %path.display(), %error, "not compared")).ok();
    let gone = waiting.filter(|(_, waiting)| matches!(file_version(waiting), Ok(None)));
    (content, gone.map(|(id, _)| id))
}

async fn tell_known(line: &Line, arrival: &Arrival, kin: &[Kin], id: i64) {
    let (product, path) = (arrival.product.as_deref().unwrap_or_default(), arrival.path.display());
    tracing::info!(product, image = %path, inspection = id, "known: the image of this inspection was moved, or its time was set");
    // A camera that writes one name again and again, and the same picture, hangs.
    let written_again = kin.iter().any(|kin| kin.id == id && kin.path == arrival.path && kin.mtime_ns < arrival.mtime_ns);
    if let Some(config) = line.product(product).filter(|_| written_again) {
        let folder = drop_folder(config, &arrival.path);
        for (kind, detail) in line.cameras.repeated(product, folder, &config.health) {
            line.event(kind, Some(product), &format!("{path}: {detail}")).await;
        }
    }
}
