//! Reads and identifies files that the history may know already, and then records them.
//!
//! Nothing waits for a comparison: a drop folder that hangs delays only its own comparisons, and new images pass by.

use super::products::drop_folder;
use super::recording::{RecorderContext, record};
use crate::history::{Arrival, Evidence, Kin, Recorded};
use crate::intake::{Content, content_of, file_version};
use crate::platform::crash_point;
use crate::platform::folder_io::FolderWork;
use crate::telemetry::Event;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The running comparisons. Dropping this value ends them; a scan finds their files again.
#[derive(Default)]
pub(super) struct Comparing {
    /// One comparison at a time in each drop folder.
    turns: HashMap<PathBuf, Arc<Mutex<()>>>,
    tasks: JoinSet<()>,
}

impl Comparing {
    /// Compares the arrivals of one drop folder with the images that they may be, and records the arrivals.
    pub(super) fn begin(&mut self, context: &RecorderContext, arrivals: Vec<Arrival>, stop: &CancellationToken) {
        let Some(first) = arrivals.first() else { return };
        let root = context.products.router.roots().into_iter().find(|root| first.path.starts_with(&root.path));
        let turn = Arc::clone(self.turns.entry(root.map(|root| root.path).unwrap_or_default()).or_default());
        let (context, stop) = (context.clone(), stop.clone());
        self.tasks.spawn(async move {
            let _turn = turn.lock().await;
            let (pulse, _watch) = context.telemetry.progress.worker("comparison");
            for arrival in arrivals {
                let (arrival, kin) = look(&context, arrival).await;
                crash_point::reach("arrival_compared");
                let _work = pulse.begin();
                let answers = record(&context, std::slice::from_ref(&arrival), &pulse, &stop).await;
                if let Some(Recorded::Known(id)) = answers.first() {
                    tell_known(&context, &arrival, &kin, *id).await;
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

/// Reads the file. One that cannot be identified counts as a new image, and its inspection reports why.
async fn look(context: &RecorderContext, mut arrival: Arrival) -> (Arrival, Vec<Kin>) {
    let kin = match context.arrivals.kin(&arrival).await {
        Ok(kin) => kin,
        Err(error) => {
            tracing::error!(%error, image = %arrival.path.display(), "history not read; the image is taken for a new one");
            Vec::new()
        }
    };
    let waiting = kin.iter().find(|kin| kin.waits).map(|kin| (kin.id, kin.path.clone()));
    let path = arrival.path.clone();
    let mut work = FolderWork::begin(move || examine(&path, waiting));
    let _watch = context.telemetry.progress.watch_thread("comparison", work.thread());
    let (content, gone) = work.end().await.unwrap_or_default();
    let content = content.map(|Content { version, id, hash }| {
        // Its time may have been set again.
        (arrival.size, arrival.mtime_ns, arrival.file_id) = (version.size, version.mtime_ns, id);
        hash
    });
    arrival.evidence = Some(Evidence { content_hash: content, gone });
    (arrival, kin)
}

/// The content of the file, and the id of the waiting image if no file has its name any more.
fn examine(path: &Path, waiting: Option<(i64, PathBuf)>) -> (Option<Content>, Option<i64>) {
    let content = content_of(path).inspect_err(|error| tracing::debug!(image = %path.display(), %error, "not compared")).ok();
    let gone = waiting.filter(|(_, waiting)| matches!(file_version(waiting), Ok(None)));
    (content, gone.map(|(id, _)| id))
}

async fn tell_known(context: &RecorderContext, arrival: &Arrival, kin: &[Kin], id: i64) {
    let (product, path) = (arrival.product.as_deref().unwrap_or_default(), arrival.path.display());
    tracing::info!(product, image = %path, inspection = id, "known: the image of this inspection was moved, or its time was set");
    // A camera that writes the same image again and again under one name hangs.
    let written_again = kin.iter().any(|kin| kin.id == id && kin.path == arrival.path && kin.mtime_ns < arrival.mtime_ns);
    if let Some(config) = context.products.get(product).filter(|_| written_again) {
        let folder = drop_folder(config, &arrival.path);
        for (kind, detail) in context.cameras.repeated(product, folder, &config.health) {
            context.telemetry.events.tell(Event::new(kind, format!("{path}: {detail}")).of_product(product)).await;
        }
    }
}
