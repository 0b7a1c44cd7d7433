//! Some images of one product and what happens to their files: work on one folder, off the runtime.

use super::super::litter::Litter;
use super::super::writing::Writing;
use super::remove::{Expected, Fate, FileId, Remover};
use super::space::{Space, space_of};
use super::tally::{Count, Why};
use crate::history::{KeptCursor, KeptFiles, KeptOutput};
use crate::inspection::FileKind;
use crate::intake::FileVersion;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the history said of a row holds for so long. A folder that hangs may answer much later, when the camera has long written the
/// same name again.
const HOLDS: Duration = Duration::from_secs(5);
/// An earlier version did not record when outputs were written: they are no newer than the decision, but the clock of a file server may be
/// off by a time zone.
const OFF_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Images whose files lie below one folder.
pub struct Batch {
    /// Index of the product.
    pub product: usize,
    /// Which files of the images.
    pub kind: FileKind,
    /// Why they go.
    pub why: Why,
    /// The drop folder or `outputs.dir`.
    pub root: PathBuf,
    /// The images.
    pub images: Vec<KeptFiles>,
    /// Files that must stay whatever the history says.
    pub protected: Arc<HashSet<FileId>>,
    /// Keeps outputs from being deleted while they are written.
    pub writing: Arc<Writing>,
    /// Clears up after a daemon that died here.
    pub litter: Arc<Litter>,
    /// It ends when files of so many images were deleted.
    pub most: usize,
    /// False: look, and delete nothing.
    pub delete: bool,
    /// When the history was asked.
    pub asked: Instant,
}

/// What became of a [`Batch`].
pub struct Outcome {
    /// Of the batch.
    pub product: usize,
    /// Of the batch.
    pub kind: FileKind,
    /// Of the batch.
    pub why: Why,
    /// Of the batch.
    pub root: PathBuf,
    /// Inspections whose files of this kind are all gone.
    pub gone: Vec<i64>,
    /// What was deleted, or would be.
    pub count: Count,
    /// The files that were, or would be.
    pub deleted: Vec<PathBuf>,
    /// Folders in which there is nothing, so that it is not known whether files are gone.
    pub empty: BTreeSet<PathBuf>,
    /// Where it ended, when it did not come to all images.
    pub ended_at: Option<KeptCursor>,
    /// Files that the folder did not let us delete, and the last reason.
    pub refused: (u32, String),
    /// The disk afterwards.
    pub space: Option<Space>,
}

impl Batch {
    /// Deletes image by image; what is on disk when it returns stays so after a power cut.
    pub fn run(self) -> Outcome {
        let mut outcome = Outcome {
            product: self.product,
            kind: self.kind,
            why: self.why,
            gone: Vec::new(),
            count: Count::default(),
            deleted: Vec::new(),
            empty: BTreeSet::new(),
            ended_at: None,
            refused: (0, String::new()),
            space: None,
            root: self.root.clone(),
        };
        let mut remover = Remover::new(&self.root, &self.protected, self.delete);
        if self.delete && self.kind.is_image() {
            let folders: BTreeSet<&Path> = self.images.iter().filter_map(|image| image.image.parent()).collect();
            folders.into_iter().for_each(|folder| self.litter.clear(folder));
        }
        let mut last = None;
        for image in self.images {
            if self.asked.elapsed() > HOLDS || outcome.count.images >= self.most as u64 {
                outcome.ended_at = last;
                break;
            }
            last = Some(image.cursor());
            // What is written just now is of another image, and the history will say so.
            let held = if self.kind.is_image() { None } else { Some(self.writing.to_delete(&image.image, self.asked)) };
            if !matches!(held, Some(None)) {
                outcome.take(&image, &mut remover);
            }
        }
        remover.sync();
        outcome.space = space_of(&self.root);
        outcome
    }
}

impl Outcome {
    fn take(&mut self, image: &KeptFiles, remover: &mut Remover<'_>) {
        let mut all_gone = true;
        let files_before = self.count.files;
        for (file, expected) in files(image, self.kind) {
            let fate = file.as_ref().map_or(Fate::Left("its name is not that of an output of its image"), |file| {
                remover.remove(file, expected, image.decided_ns())
            });
            match fate {
                Fate::Deleted(bytes) => {
                    self.count += Count { images: 0, files: 1, bytes };
                    self.deleted.extend(file);
                }
                Fate::Missing | Fate::Replaced => {}
                Fate::InEmptyFolder => {
                    all_gone = false;
                    tracing::debug!(id = image.id, file = ?file, reason = "its folder is empty: perhaps a share is not mounted", "not deleted");
                    self.empty.extend(file.as_deref().and_then(Path::parent).map(Path::to_owned));
                }
                Fate::Left(reason) => {
                    all_gone = false;
                    tracing::debug!(id = image.id, file = ?file, reason, "not deleted");
                }
                Fate::Refused(reason) => {
                    all_gone = false;
                    self.refused = (self.refused.0 + 1, format!("{} cannot be deleted: {reason}", file.unwrap_or_default().display()));
                }
            }
        }
        self.count.images += u64::from(self.count.files > files_before);
        if all_gone {
            self.gone.push(image.id);
        }
    }
}

/// The files of an image that are to go, each with what it must be; `None` for a name that cannot be right.
fn files(image: &KeptFiles, kind: FileKind) -> Vec<(Option<PathBuf>, Expected)> {
    if kind.is_image() {
        return vec![(Some(image.image.clone()), Expected::Version(FileVersion { size: image.size, mtime_ns: image.mtime_ns }))];
    }
    let expected = Expected::NotLater(image.outputs_newest_ns.unwrap_or_else(|| image.decided_ns().saturating_add(OFF_NS)));
    let file = |output: &KeptOutput| match output {
        KeptOutput::File(path) => Some((Some(path.clone()), expected)),
        KeptOutput::OfLaterImage => None,
        KeptOutput::Strange(_) => Some((None, expected)),
    };
    image.outputs.iter().filter_map(file).collect()
}

/// A path that tells where the files of an image lie; `None` when there are none to delete.
pub fn place_of(image: &KeptFiles, kind: FileKind) -> Option<PathBuf> {
    files(image, kind).into_iter().find_map(|(path, _)| path)
}
