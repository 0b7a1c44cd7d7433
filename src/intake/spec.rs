//! What a drop folder's thread has to know about the folder.

use super::writers::Writers;
use crate::domain::Readiness;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Says how a file of this name becomes ready; `None` = not an image of this folder.
pub type Classify = Arc<dyn Fn(&Path) -> Option<Readiness> + Send + Sync>;

/// Says whether the daemon scans and watches a folder below a drop folder.
pub type Enters = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

/// A drop folder to watch.
#[derive(Clone)]
pub struct RootSpec {
    /// The folder.
    pub path: PathBuf,
    /// Whether sub-folders count.
    pub recursive: bool,
    /// Time between two full scans.
    pub rescan: Duration,
    /// Suffixes of marker files in use.
    pub markers: Vec<String>,
    /// Which names matter.
    pub classify: Classify,
    /// Which folders matter.
    pub enters: Enters,
    /// Records the files that are being written.
    pub writers: Arc<Writers>,
}
