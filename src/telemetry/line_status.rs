//! The state of the line, for systemd's STATUS line, SIGUSR1 and the log.

use super::rate::Rate;
use crate::domain::{Decision, FolderTrouble, Place, Trouble};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// The state of the line: counts since the line started, and the current troubles.
#[derive(Debug, Default)]
pub struct LineStatus {
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    ok: u64,
    ng: u64,
    failed: u64,
    rate: Rate,
    last: Option<(String, Decision, Instant)>,
    building: Option<String>,
    configuration_refused: bool,
    /// Folders and brokers, and what is wrong with them.
    troubles: BTreeSet<(Place, Trouble)>,
}

impl Default for Now {
    fn default() -> Self {
        let rate = Rate::since(Instant::now());
        Self { ok: 0, ng: 0, failed: 0, rate, last: None, building: None, configuration_refused: false, troubles: BTreeSet::new() }
    }
}

impl LineStatus {
    /// One image was decided.
    pub fn decided(&self, product: &str, decision: Decision) {
        let at = Instant::now();
        let mut now = self.lock();
        now.rate.count(at);
        match decision {
            Decision::Ok => now.ok += 1,
            Decision::Ng => now.ng += 1,
        }
        now.last = Some((product.to_owned(), decision, at));
    }

    /// One image failed.
    pub fn failed(&self) {
        self.lock().failed += 1;
    }

    /// A bank is being built for this product, or for none any more.
    pub fn building(&self, product: Option<&str>) {
        self.lock().building = product.map(str::to_owned);
    }

    /// The configuration file has mistakes and is not in use.
    pub fn configuration_refused(&self) {
        self.lock().configuration_refused = true;
    }

    /// This place has this trouble, or no longer has it.
    pub fn trouble(&self, place: Place, trouble: Trouble, is_so: bool) {
        let mut now = self.lock();
        if is_so {
            now.troubles.insert((place, trouble));
        } else {
            now.troubles.remove(&(place, trouble));
        }
    }

    /// True when the drop folder has this trouble.
    pub fn has_trouble(&self, folder: &Path, trouble: FolderTrouble) -> bool {
        self.lock().troubles.contains(&(folder.into(), Trouble::Folder(trouble)))
    }

    /// One line: `backlog 3, ok 120, ng 2, failed 0, 24.4/min, last prod1-front ok 2 s ago, building prod2-back, /srv/camera/line2 is
    /// lost`. The rate counts the decisions of the last five minutes.
    pub fn line(&self, backlog: i64) -> String {
        self.line_at(backlog, Instant::now())
    }

    fn line_at(&self, backlog: i64, at: Instant) -> String {
        let now = self.lock();
        let rate = now.rate.per_minute(at);
        let mut line = format!("backlog {backlog}, ok {}, ng {}, failed {}, {rate:.1}/min", now.ok, now.ng, now.failed);
        if let Some((product, decision, decided)) = &now.last {
            line += &format!(", last {product} {} {} ago", decision.as_str(), age(at.saturating_duration_since(*decided)));
        }
        if let Some(product) = &now.building {
            line += &format!(", building {product}");
        }
        if now.configuration_refused {
            line += ", the configuration file has mistakes and is not in use";
        }
        for (place, trouble) in &now.troubles {
            line += &format!(", {place} {}", trouble.predicate());
        }
        line
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Now> {
        self.now.lock()
    }
}

/// In the unit that fits: `59 s`, `3 min`, `26 h`.
fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_happened() {
        let status = LineStatus::default();
        let begin = Instant::now();
        let line = |backlog| status.line_at(backlog, begin);
        assert_eq!(line(3), "backlog 3, ok 0, ng 0, failed 0, 0.0/min");
        status.decided("a", Decision::Ok);
        status.decided("b", Decision::Ng);
        status.failed();
        status.building(Some("c"));
        assert_eq!(line(0), "backlog 0, ok 1, ng 1, failed 1, 2.0/min, last b ng 0 s ago, building c");
        status.building(None);
        status.trouble(Path::new("/d").into(), Trouble::Folder(FolderTrouble::Lost), true);
        status.trouble(Path::new("/d").into(), Trouble::Folder(FolderTrouble::Lost), true);
        assert_eq!(line(0), "backlog 0, ok 1, ng 1, failed 1, 2.0/min, last b ng 0 s ago, /d is lost");
        status.trouble(Path::new("/d").into(), Trouble::Folder(FolderTrouble::Lost), false);
        assert_eq!(line(0), "backlog 0, ok 1, ng 1, failed 1, 2.0/min, last b ng 0 s ago");
        let later = status.line_at(0, Instant::now() + Duration::from_secs(600));
        assert_eq!(later, "backlog 0, ok 1, ng 1, failed 1, 0.0/min, last b ng 10 min ago");
    }

    #[test]
    fn an_age_is_told_in_a_unit_that_fits() {
        let ages = [0, 119, 120, 7199, 7200, 100_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0 s", "119 s", "2 min", "119 min", "2 h", "27 h"]);
    }
}
