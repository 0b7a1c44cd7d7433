//! inotify as a source of hints. Nothing depends on a hint arriving: scans find the same files a little later.

use super::settle::Sighting;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// Something that may have happened.
#[derive(Debug)]
pub enum Hint {
    /// A file (or folder) was seen under this name.
    Sighted(PathBuf, Sighting),
    /// The name is gone.
    Gone(PathBuf),
}

/// Watches `root` until the returned watcher is dropped.
///
/// The handler only tries to send: when the channel is full, or the kernel's queue overflowed, it sets `lost`, which asks for
/// a full scan.
pub fn watch(root: &Path, recursive: bool, hints: SyncSender<Hint>, lost: Arc<AtomicBool>) -> notify::Result<RecommendedWatcher> {
    let handler = move |event: notify::Result<Event>| {
        let Ok(event) = event else { return lost.store(true, Ordering::Release) };
        // An overflow carries no path, so it must be asked for first.
        if event.need_rescan() {
            return lost.store(true, Ordering::Release);
        }
        for hint in hints_of(event) {
            if hints.try_send(hint).is_err() {
                lost.store(true, Ordering::Release);
            }
        }
    };
    let mut watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
    watcher.watch(root, if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive })?;
    Ok(watcher)
}

fn hints_of(event: Event) -> Vec<Hint> {
    let sighted = |sighting| event.paths.iter().map(|path| Hint::Sighted(path.clone(), sighting)).collect();
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => sighted(Sighting::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => sighted(Sighting::Renamed),
        EventKind::Create(CreateKind::File | CreateKind::Folder) => sighted(Sighting::Seen),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => event.paths.into_iter().map(Hint::Gone).collect(),
        // Opened, written to, attributes, and the pair that follows a rename's two halves: nothing that is not told otherwise.
        _ => Vec::new(),
    }
}
