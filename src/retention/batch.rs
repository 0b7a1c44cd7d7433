//! Some images of one product and the deletion of their files: work on one folder, outside the runtime.

use super::remove::{Expected, Fate, FileId, Remover};
use super::tally::{Count, Why};
use crate::domain::FileKind;
use crate::history::{KeptCursor, KeptFiles, KeptOutput};
use crate::inspect::OutputClaims;
use crate::intake::FileVersion;
use crate::platform::disk_space::{DiskSpace, disk_space};
use crate::platform::leftovers::Leftovers;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer of the history about a row is valid. A hung folder may answer much later, when the camera has already written the
/// same name again.
const HOLDS: Duration = Duration::from_secs(5);
/// An earlier version did not record when outputs were written. They are no newer than the decision, but the clock of a file server may be
/// wrong by a time zone.
const OFF_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Images whose files lie below one folder.
pub struct Batch {
    /// Index of the product.
    pub product: usize,
    /// Which files of the images.
    pub kind: FileKind,
    /// The reason of the deletion.
    pub why: Why,
    /// The drop folder or `outputs.dir`.
    pub root: PathBuf,
    /// The images.
    pub images: Vec<KeptFiles>,
    /// Files that must stay, whatever the history says.
    pub protected: Arc<HashSet<FileId>>,
    /// Protects outputs from deletion while they are written.
    pub claims: Arc<OutputClaims>,
    /// Cleans up after a daemon that died here.
    pub leftovers: Arc<Leftovers>,
    /// The batch ends when files of this many images were deleted.
    pub most: usize,
    /// False: only look, delete nothing.
    pub delete: bool,
    /// When the history was asked.
    pub asked: Instant,
}

/// The outcome of a [`Batch`].
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
    /// The deleted files, counted; in a dry run, those that would be deleted.
    pub count: Count,
    /// The paths of these files.
    pub deleted: Vec<PathBuf>,
    /// Empty folders: nobody can tell whether their files are gone.
    pub empty: BTreeSet<PathBuf>,
    /// Where the batch ended, if it did not reach all images.
    pub ended_at: Option<KeptCursor>,
    /// How many files the folder refused to delete, and the last reason.
    pub refused: (u32, String),
    /// The space on the disk afterwards.
    pub space: Option<DiskSpace>,
}

impl Batch {
    /// Deletes image by image. After it returns, the deletions survive a power cut.
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
            folders.into_iter().for_each(|folder| self.leftovers.clear(folder));
        }
        let mut last = None;
        for image in self.images {
            if self.asked.elapsed() > HOLDS || outcome.count.images >= self.most as u64 {
                outcome.ended_at = last;
                break;
            }
            last = Some(image.cursor());
            // A file that is written just now belongs to another image, and the history will say so.
            let held = if self.kind.is_image() { None } else { Some(self.claims.to_delete(&image.image, self.asked)) };
            if !matches!(held, Some(None)) {
                outcome.take(&image, &mut remover);
            }
        }
        remover.sync();
        outcome.space = disk_space(&self.root).ok();
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

/// The files of an image to delete, each with its expected identity; `None` for a name that cannot be right.
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

/// A path that shows where the files of an image are; `None` when there is nothing to delete.
pub fn place_of(image: &KeptFiles, kind: FileKind) -> Option<PathBuf> {
    files(image, kind).into_iter().find_map(|(path, _)| path)
}
