//! The walk through the files that may be deleted, oldest first: the daemon deletes them, a dry run reports them.

use super::batch::{Batch, Outcome, place_of};
use super::disks::{Disks, Shortage, folders_to_ask, places};
use super::gone::Gone;
use super::outside::{News, Step, Witnesses};
use super::protect::{Guarded, Protected};
use super::remove::FileId;
use super::tally::{Tally, Why};
use crate::config::ProductConfig;
use crate::domain::FileKind;
use crate::history::{DeletableFiles, HistoryError, KeptCursor, KeptFiles};
use crate::platform::clock::Purpose;
use crate::platform::crash_point;
use crate::platform::disk_space::{DiskSpace, disk_space};
use crate::platform::folder_io::FolderWork;
use crate::telemetry::Pulse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Images per batch: few, so that a new image waits a few milliseconds at most when the batch is noted.
const BATCH: u32 = 64;
/// Images per batch when space is short, because a batch does not stop when there is enough.
const SHORT_BATCH: u32 = 8;
/// Images per look while there is nothing to delete: rows whose files are long gone pass quickly.
const PASSING: u32 = 1024;
/// The ok images are read again after this time.
const FRESH: Duration = Duration::from_secs(2);
/// Files that were left are tried again after this time.
const AGAIN: Duration = Duration::from_secs(3600);
/// A folder that refused this many files is left alone until then.
const REFUSALS: u32 = 10;

/// The position of a walk: its disk (`None`: it deletes by age), its product, its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Walk {
    disk: Option<u64>,
    product: usize,
    kind: FileKind,
}

/// The answer of file work, in time or late.
enum Answer {
    Space(PathBuf, Option<DiskSpace>),
    Guarded(usize, std::io::Result<HashSet<FileId>>),
    Done(Box<Outcome>, Walk),
}

/// The walk.
pub struct Sweep {
    products: Vec<ProductConfig>,
    deletable: DeletableFiles,
    witnesses: Witnesses,
    delete: bool,
    began: Instant,
    looked: Instant,
    cursors: HashMap<Walk, KeptCursor>,
    /// Walks that had reached their end when last asked.
    at_end: HashSet<Walk>,
    /// Walks that found nothing to delete when they last looked.
    passing: HashSet<Walk>,
    /// Empty folders: a share may not be mounted, and one look is enough for all its images.
    empty: HashSet<PathBuf>,
    disks: Disks,
    protected: Protected,
    learned: Option<Instant>,
    hanging: Vec<(PathBuf, FolderWork<Answer>)>,
    avoid: Vec<PathBuf>,
    refusals: HashMap<PathBuf, u32>,
    gone: Gone,
    /// The number of files deleted or reported since the start.
    files: u64,
    pulse: Arc<Pulse>,
    /// The deletions since the tally was last taken.
    pub tally: Tally,
    /// The files of the last batches of a dry run, with product, kind and reason.
    pub told: Vec<(String, FileKind, Why, PathBuf)>,
    /// The news since it was last taken.
    pub news: Vec<News>,
}

impl Sweep {
    /// For these products. Without `delete`, it looks at everything and changes nothing. Whoever watches the pulse begins the work.
    pub fn new(products: Vec<ProductConfig>, deletable: DeletableFiles, witnesses: Witnesses, delete: bool, pulse: Arc<Pulse>) -> Self {
        Self {
            protected: Protected::new(products.len()),
            products,
            deletable,
            witnesses,
            delete,
            began: Instant::now(),
            looked: Instant::now(),
            cursors: HashMap::new(),
            at_end: HashSet::new(),
            passing: HashSet::new(),
            empty: HashSet::new(),
            disks: Disks::default(),
            learned: None,
            hanging: Vec::new(),
            avoid: Vec::new(),
            refusals: HashMap::new(),
            gone: Gone::default(),
            files: 0,
            pulse,
            tally: Tally::default(),
            told: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Reads the time and the disks again. Does nothing in the folders of `avoid`, which do not answer.
    pub async fn look(&mut self, avoid: Vec<PathBuf>) {
        self.looked = Instant::now();
        self.avoid = avoid;
        self.at_end.clear();
        if self.began.elapsed() >= AGAIN {
            self.began = Instant::now();
            self.cursors.clear();
            self.refusals.clear();
            self.empty.clear();
        }
        for folder in folders_to_ask(&self.products) {
            let asked = folder.clone();
            self.ask(folder, move || Answer::Space(asked.clone(), disk_space(&asked).ok())).await;
        }
        self.news.extend(self.disks.enough_again(&self.products).into_iter().map(News::Enough));
    }

    /// One batch:
    /// 1. notes deletions that are not noted yet;
    /// 2. takes late answers from folders that hung;
    /// 3. on a disk short of space: deletes files that are too old there, then the oldest files that `when_full` allows, kind by kind;
    /// 4. deletes files that are too old anywhere.
    pub async fn step(&mut self) -> Result<Step, HistoryError> {
        self.gone.note(&self.deletable).await?;
        self.take_late().await;
        let mut disks = BTreeSet::new();
        for shortage in self.shortages() {
            let disk = shortage.space.disk;
            if disks.insert(disk) {
                let mut done = self.too_old(Some(disk)).await?;
                if done == Step::Nothing {
                    done = self.oldest_allowed(disk).await?;
                }
                if done != Step::Nothing {
                    return Ok(done);
                }
            }
            if self.disks.is_short(&shortage) {
                self.news.push(News::Short(shortage));
            }
        }
        self.too_old(None).await
    }

    /// The products that want more free space than there is; each disk once.
    pub fn shortages(&self) -> Vec<Shortage> {
        self.disks.shortages(&self.products)
    }

    /// Folders that did not answer and still do not.
    fn stuck(&self) -> impl Iterator<Item = &Path> {
        self.hanging.iter().map(|(folder, _)| folder.as_path())
    }

    /// A batch of files that are past their time; with a disk, of products that have such files on it.
    async fn too_old(&mut self, disk: Option<u64>) -> Result<Step, HistoryError> {
        for product in 0..self.products.len() {
            let ages = self.products[product].retention.ages.clone();
            for (kind, age) in ages {
                let walk = Walk { disk: None, product, kind };
                if disk.is_some_and(|disk| !self.is_on(walk, disk)) {
                    continue;
                }
                let done = self.batch(walk, age, BATCH).await?;
                if done != Step::Nothing {
                    return Ok(done);
                }
            }
        }
        Ok(Step::Nothing)
    }

    /// A batch of the oldest files on this disk that `min_free` may delete.
    async fn oldest_allowed(&mut self, disk: u64) -> Result<Step, HistoryError> {
        for kind in FileKind::ALL.iter().copied() {
            loop {
                let mut oldest: Option<(KeptCursor, Walk)> = None;
                for shortage in self.shortages().into_iter().filter(|shortage| shortage.space.disk == disk) {
                    let Some(product) = self.products.iter().position(|product| product.name == shortage.product) else { continue };
                    let walk = Walk { disk: Some(disk), product, kind };
                    let retention = &self.products[product].retention;
                    if !retention.when_full.contains(&kind) || !self.is_on(walk, disk) {
                        continue;
                    }
                    let age = retention.keep_at_least;
                    if let Some(head) = self.kept(walk, age, 1).await?.first().map(KeptFiles::cursor)
                        && oldest.as_ref().is_none_or(|(cursor, _)| head < *cursor)
                    {
                        oldest = Some((head, walk));
                    }
                }
                let Some((_, walk)) = oldest else { break };
                let done = self.batch(walk, self.products[walk.product].retention.keep_at_least, SHORT_BATCH).await?;
                if done != Step::Nothing {
                    return Ok(done);
                }
            }
        }
        Ok(Step::Nothing)
    }

    /// True when files of the walk are written to this disk.
    fn is_on(&self, walk: Walk, disk: u64) -> bool {
        places(&self.products[walk.product], walk.kind).iter().any(|folder| self.disks.has(disk, folder))
    }

    async fn kept(&mut self, walk: Walk, age: Duration, limit: u32) -> Result<Vec<KeptFiles>, HistoryError> {
        if self.at_end.contains(&walk) {
            return Ok(Vec::new());
        }
        // The files that are too old came first; no need to visit the rest of them again.
        let after = self.cursors.get(&walk).or_else(|| self.cursors.get(&Walk { disk: None, ..walk })).cloned().unwrap_or_default();
        self.pulse.step();
        // As of the last look: when an image becomes too old meanwhile, its outputs still go first.
        for span in self.witnesses.clock.old(age.saturating_add(self.looked.elapsed()), Purpose::Delete) {
            let after = after.clone().max(KeptCursor::at(span.from));
            let kept = self.deletable.kept_files(&self.products[walk.product].name, walk.kind, span.until, &after, limit).await?;
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
        self.at_end.insert(walk);
        Ok(Vec::new())
    }

    /// Visits the next images of a walk, until files of `most` were deleted. Does nothing when the walk is at its end or cannot continue
    /// now.
    async fn batch(&mut self, walk: Walk, age: Duration, most: u32) -> Result<Step, HistoryError> {
        let protected = if walk.kind.is_image() { self.learn_protected().await } else { Some(Arc::default()) };
        let Some(protected) = protected else {
            self.at_end.insert(walk);
            return Ok(Step::Nothing);
        };
        let limit = if self.delete && self.passing.contains(&walk) { PASSING } else { most };
        let asked = Instant::now();
        let kept = self.kept(walk, age, limit).await?;
        let Some(last) = kept.last() else { return Ok(Step::Nothing) };
        self.cursors.insert(walk, last.cursor());
        let files_before = self.files;
        let mut by_folder: BTreeMap<PathBuf, Vec<KeptFiles>> = BTreeMap::new();
        for image in kept {
            match place_of(&image, walk.kind) {
                // No file that is left belongs to this image.
                None if self.delete && image.is_all_of_later_images() => self.gone.add(walk.kind, image.id),
                None => {}
                Some(path) if path.parent().is_some_and(|folder| self.empty.contains(folder)) => {}
                Some(path) => {
                    if let Some(root) = self.root_of(walk, &path) {
                        by_folder.entry(root).or_default().push(image);
                    }
                }
            }
        }
        let (product, kind, delete) = (walk.product, walk.kind, self.delete);
        let why = if walk.disk.is_some() { Why::Space } else { Why::Age };
        for (root, images) in by_folder {
            let protected = Arc::clone(&protected);
            let Witnesses { claims, leftovers, .. } = self.witnesses.clone();
            let batch =
                Batch { product, kind, why, root: root.clone(), images, protected, claims, leftovers, most: most as usize, delete, asked };
            self.ask(root, move || Answer::Done(Box::new(batch.run()), walk)).await;
        }
        self.gone.note(&self.deletable).await?;
        let deleted = self.files != files_before;
        if deleted {
            self.passing.remove(&walk)
        } else {
            self.passing.insert(walk)
        };
        Ok(if deleted { Step::Deleted } else { Step::Passed })
    }

    /// The configured folder that holds the file, if the daemon can work there.
    fn root_of(&self, walk: Walk, path: &Path) -> Option<PathBuf> {
        let product = &self.products[walk.product];
        let dir = product.outputs.dir.as_ref().filter(|_| !walk.kind.is_image());
        let roots = product.drop.iter().map(|drop| &drop.path).chain(dir).filter(|root| path.starts_with(root));
        let root = roots.max_by_key(|root| root.as_os_str().len())?;
        let elsewhere = walk.disk.is_some_and(|disk| !self.disks.has(disk, root));
        let refuses = self.refusals.get(root).is_some_and(|count| *count >= REFUSALS);
        (!elsewhere && !refuses).then(|| root.clone())
    }

    /// The files that must stay now; `None` while an ok folder does not answer.
    async fn learn_protected(&mut self) -> Option<Arc<HashSet<FileId>>> {
        if self.learned.is_none_or(|learned| learned.elapsed() >= FRESH) {
            for product in 0..self.products.len() {
                let ProductConfig { ok, reference, .. } = &self.products[product];
                let guarded = Guarded { ok: ok.clone(), reference: reference.clone() };
                self.ask(guarded.ok.clone(), move || Answer::Guarded(product, guarded.files())).await;
            }
            self.learned = Some(Instant::now());
        }
        self.protected.all()
    }

    /// Does file work in `folder`, unless something hangs there. A late answer is taken when it comes.
    async fn ask(&mut self, folder: PathBuf, work: impl FnOnce() -> Answer + Send + 'static) {
        if self.avoid.contains(&folder) || self.stuck().any(|stuck| stuck == folder) {
            return;
        }
        let mut task = FolderWork::begin(work);
        // A folder that does not answer is given up and reported. It must not restart the daemon.
        self.pulse.long_step();
        let answer = task.end_in_time().await;
        self.pulse.step();
        match answer {
            Some(answer) => self.take(answer),
            None => {
                self.disks.seen(folder.clone(), None);
                self.news.push(News::Stuck(folder.clone()));
                self.hanging.push((folder, task));
            }
        }
    }

    async fn take_late(&mut self) {
        while let Some(ended) = self.hanging.iter().position(|(_, task)| task.has_ended()) {
            let (folder, mut task) = self.hanging.swap_remove(ended);
            self.take(task.end().await);
            self.news.push(News::Answers(folder));
            // Its files were skipped meanwhile. A dry run visits everything only once.
            if self.delete {
                self.cursors.clear();
            }
        }
    }

    fn take(&mut self, answer: Result<Answer, tokio::task::JoinError>) {
        match answer {
            Ok(Answer::Space(folder, space)) => self.disks.seen(folder, space),
            Ok(Answer::Guarded(product, Ok(files))) => self.protected.learn(product, files),
            Ok(Answer::Guarded(product, Err(error))) => {
                let reason = format!("the ok folder cannot be read, so that no image can be told to be none of it: {error}");
                self.refused(self.products[product].ok.clone(), 1, reason);
            }
            Ok(Answer::Done(outcome, walk)) => {
                // The images that it did not reach are next. A walk that began again meanwhile reaches them anyway.
                if self.delete
                    && let (Some(ended_at), Some(cursor)) = (&outcome.ended_at, self.cursors.get_mut(&walk))
                {
                    *cursor = cursor.clone().min(ended_at.clone());
                }
                self.take_outcome(*outcome);
            }
            Err(error) => tracing::error!(%error, "file work of retention ended early"),
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        let Outcome { product, kind, why, root, gone, count, deleted, empty, refused: (refused, reason), space, ended_at: _ } = outcome;
        self.files += count.files;
        self.empty.extend(empty);
        if count.files > 0 && self.delete {
            crash_point::reach("deletions_synced");
        }
        let name = &self.products[product].name;
        self.tally.add(name, kind, why, count);
        if self.delete {
            tracing::debug!(product = %name, %kind, images = count.images, files = count.files, bytes = count.bytes, "deleted");
            gone.into_iter().for_each(|id| self.gone.add(kind, id));
        } else {
            self.told.extend(deleted.into_iter().map(|path| (name.clone(), kind, why, path)));
        }
        self.refused(root.clone(), refused, reason);
        match space {
            Some(space) if self.delete => self.disks.seen_all(space),
            _ if self.delete => {}
            _ => self.disks.would_free(&root, count.bytes),
        }
    }

    /// This many files in this folder, or the folder itself, refuse.
    fn refused(&mut self, folder: PathBuf, files: u32, reason: String) {
        let before = self.refusals.entry(folder.clone()).or_default();
        if files > 0 && *before == 0 {
            self.news.push(News::Refused(folder, reason));
        }
        *before = before.saturating_add(files);
    }
}
