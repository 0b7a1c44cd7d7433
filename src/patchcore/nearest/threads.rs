//! Work for several threads.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many threads as libtorch may use within one operation.
pub(super) fn count() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// Acts on every item, on this thread and `threads - 1` others; each takes the next item as soon as it is free.
pub(super) fn deal<T: Send>(items: impl Iterator<Item = T>, threads: usize, act: impl Fn(T) + Sync) {
    deal_with(items, threads, || (), |(), item| act(item));
}

/// The same; each thread makes itself what it works with.
pub(super) fn deal_with<T: Send, W>(
    items: impl Iterator<Item = T>,
    threads: usize,
    make: impl Fn() -> W + Sync,
    act: impl Fn(&mut W, T) + Sync,
) {
    let items: Vec<_> = items.map(|item| Mutex::new(Some(item))).collect();
    let next = AtomicUsize::new(0);
    let toil = || {
        let mut with = make();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let item = item.lock().take();
            item.into_iter().for_each(|item| act(&mut with, item));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(toil);
        }
        toil();
    });
}
