//! inotify as a source of hints. No image depends on a hint: scans find the same files a little later.

use super::scan::FolderId;
use super::settle::Sighting;
use super::writers::Writers;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// A hint: something that may have happened.
#[derive(Debug)]
pub enum Hint {
    /// A file (or folder) was seen under this name.
    Sighted(PathBuf, Sighting),
    /// The name is gone.
    Gone(PathBuf),
}

/// One watch per folder, without its sub-folders, so the daemon knows which folders have no watch.
pub struct Watches {
    watcher: RecommendedWatcher,
    folders: HashMap<PathBuf, FolderId>,
    writers: Arc<Writers>,
}

impl Watches {
    /// Watches no folder yet. The handler only tries to send. When the channel is full or the kernel's queue overflowed, it sets `lost`,
    /// which asks for a full scan. `writers` learns who writes below `root`.
    ///
    /// # Errors
    /// Why the system gives no watcher, and what to do about it.
    pub fn open(root: PathBuf, hints: SyncSender<Hint>, lost: Arc<AtomicBool>, writers: Arc<Writers>) -> Result<Self, String> {
        let noting = Arc::clone(&writers);
        let handler = move |event: notify::Result<Event>| {
            // An overflow has no path, so check for it first.
            let event = match event {
                Ok(event) if !event.need_rescan() => event,
                _ => {
                    noting.doubt(&root);
                    return lost.store(true, Ordering::Release);
                }
            };
            noting.note(&event);
            for hint in hints_of(event) {
                if hints.try_send(hint).is_err() {
                    lost.store(true, Ordering::Release);
                }
            }
        };
        let watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false)).map_err(|e| reason(&e))?;
        Ok(Self { watcher, folders: HashMap::new(), writers })
    }

    /// Watches `folder`, unless this same folder is watched already.
    ///
    /// # Errors
    /// Why it cannot be watched, and what to do about it. A folder that is gone needs no watch.
    pub fn add(&mut self, folder: &Path, id: FolderId) -> Result<(), String> {
        match self.folders.get(folder) {
            Some(watched) if *watched == id => return Ok(()),
            // Another folder was there; its watch would continue under this name.
            Some(_) => {
                drop(self.watcher.unwatch(folder));
                self.writers.doubt(folder);
            }
            None => {}
        }
        self.folders.remove(folder);
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder.to_owned(), id);
                Ok(())
            }
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }

    /// `path` is gone. If it was a folder, the watches on it and below it are gone too.
    pub fn forget(&mut self, path: &Path) {
        if self.folders.contains_key(path) {
            self.folders.retain(|folder, _| !folder.starts_with(path));
        }
    }
}

/// The error and its remedy.
fn reason(error: &notify::Error) -> String {
    const TOO_MANY_OPEN_FILES: i32 = 24;
    match &error.kind {
        ErrorKind::MaxFilesWatch => "no inotify watch is left; raise fs.inotify.max_user_watches".to_owned(),
        ErrorKind::Io(cause) if cause.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => {
            "no inotify instance is left; raise fs.inotify.max_user_instances".to_owned()
        }
        ErrorKind::Io(cause) => cause.to_string(),
        _ => error.to_string(),
    }
}

fn hints_of(event: Event) -> Vec<Hint> {
    let sighted = |sighting| event.paths.iter().map(|path| Hint::Sighted(path.clone(), sighting)).collect();
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => sighted(Sighting::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => sighted(Sighting::Renamed),
        EventKind::Create(CreateKind::File | CreateKind::Folder) => sighted(Sighting::Seen),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => event.paths.into_iter().map(Hint::Gone).collect(),
        // Open, write, attributes, and the event that follows the two halves of a rename: other events say the same.
        _ => Vec::new(),
    }
}
