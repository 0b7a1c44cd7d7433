//! The threads that watch the drop folders of the line.

use super::products::Products;
use crate::domain::Readiness;
use crate::intake::{IntakeReport, RootSpec, RootWorker, Writers};
use crate::routing::{Route, rules};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// Starts one thread per drop folder.
///
/// # Errors
/// When the system gives no thread.
pub fn start_intake(products: &Arc<Products>, writers: &Arc<Writers>, reports: &Sender<IntakeReport>) -> io::Result<Vec<RootWorker>> {
    let markers: Vec<String> = rules::markers(&products.config);
    let roots = products.router.roots();
    let paths: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    let spec = |root: crate::routing::Root| {
        let (classifying, entering) = (Arc::clone(products), Arc::clone(products));
        let others: Vec<PathBuf> = paths.iter().filter(|other| **other != root.path).cloned().collect();
        RootSpec {
            path: root.path,
            recursive: root.recursive,
            rescan: products.config.intake.rescan,
            markers: markers.clone(),
            writers: Arc::clone(writers),
            classify: Arc::new(move |path| match classifying.router.route(path) {
                Route::Product(rule) => Some(rule.readiness.clone()),
                // Recorded as failed, so that nobody waits for it; complete when its writer closes it.
                Route::Unrouted => Some(Readiness::CloseWrite),
                Route::Ignored => None,
            }),
            // An excluded drop folder inside this one has its own thread.
            enters: Arc::new(move |folder| entering.router.enters(folder) && !others.iter().any(|other| folder == other)),
        }
    };
    roots.into_iter().map(|root| RootWorker::start(spec(root), reports.clone())).collect()
}
