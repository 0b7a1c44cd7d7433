//! What the line is doing, for systemd's STATUS line, SIGUSR1 and the log.

use crate::inspection::Decision;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Counted since the daemon started.
#[derive(Debug, Default)]
pub struct Status {
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    ok: u64,
    ng: u64,
    failed: u64,
    last: Option<(String, Decision)>,
    building: Option<String>,
    /// Drop folders and what is wrong with them.
    troubles: BTreeSet<(PathBuf, &'static str)>,
}

impl Status {
    /// One image was decided.
    pub fn decided(&self, product: &str, decision: Decision) {
        let mut now = self.lock();
        match decision {
            Decision::Ok => now.ok += 1,
            Decision::Ng => now.ng += 1,
        }
        now.last = Some((product.to_owned(), decision));
    }

    /// One image failed.
    pub fn failed(&self) {
        self.lock().failed += 1;
    }

    /// A bank is being built for this product, or none any more.
    pub fn building(&self, product: Option<&str>) {
        self.lock().building = product.map(str::to_owned);
    }

    /// Something is wrong with this drop folder or broker (`trouble` is a predicate, as `is lost`), or is no longer.
    pub fn folder(&self, folder: &Path, trouble: &'static str, is_so: bool) {
        let mut now = self.lock();
        if is_so {
            now.troubles.insert((folder.to_owned(), trouble));
        } else {
            now.troubles.remove(&(folder.to_owned(), trouble));
        }
    }

    /// One line: `backlog 3, ok 120, ng 2, failed 0, last prod1-front ok, building prod2-back, /srv/camera/line2 is lost`.
    pub fn line(&self, backlog: i64) -> String {
        let now = self.lock();
        let mut line = format!("backlog {backlog}, ok {}, ng {}, failed {}", now.ok, now.ng, now.failed);
        if let Some((product, decision)) = &now.last {
            line += &format!(", last {product} {}", decision.as_str());
        }
        if let Some(product) = &now.building {
            line += &format!(", building {product}");
        }
        for (folder, trouble) in &now.troubles {
            line += &format!(", {} {trouble}", folder.display());
        }
        line
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        // Counters stay usable whoever panicked.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_happened() {
        let status = Status::default();
        assert_eq!(status.line(3), "backlog 3, ok 0, ng 0, failed 0");
        status.decided("a", Decision::Ok);
        status.decided("b", Decision::Ng);
        status.failed();
        status.building(Some("c"));
        assert_eq!(status.line(0), "backlog 0, ok 1, ng 1, failed 1, last b ng, building c");
        status.building(None);
        status.folder(Path::new("/d"), "is lost", true);
        status.folder(Path::new("/d"), "is lost", true);
        assert_eq!(status.line(0), "backlog 0, ok 1, ng 1, failed 1, last b ng, /d is lost");
        status.folder(Path::new("/d"), "is lost", false);
        assert_eq!(status.line(0), "backlog 0, ok 1, ng 1, failed 1, last b ng");
    }
}
