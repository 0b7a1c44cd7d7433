//! Images, defects and messages that have waited too long for help.
//!
//! The clock is the monotonic one: the same image, defect or message must be the oldest for a minute.

use crate::domain::{HeldUp, MQTT, ON_NG, WAITS_TOO_LONG};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A product and the reason of its wait.
type Key = (Option<String>, String);

/// The current waits.
#[derive(Debug, Default)]
pub struct Waits {
    known: Mutex<BTreeMap<Key, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    held_up: HeldUp,
    /// When its oldest was first seen to wait.
    since: Instant,
    /// It was reported.
    told: bool,
}

impl Waits {
    /// Takes the waits found now. Returns those to report now, and those that are over.
    pub fn find(&self, found: Vec<HeldUp>, now: Instant) -> (Vec<HeldUp>, Vec<HeldUp>) {
        let mut known = self.lock();
        let mut before = std::mem::take(&mut *known);
        let (mut late, mut over) = (Vec::new(), Vec::new());
        for held_up in found {
            let key = (held_up.product.clone(), held_up.reason.clone());
            let same = before.remove(&key).filter(|known| {
                known.held_up.oldest == held_up.oldest || {
                    over.extend(known.told.then(|| known.held_up.clone()));
                    false
                }
            });
            let (since, mut told) = same.map_or((now, false), |known| (known.since, known.told));
            if !told && now.duration_since(since) >= WAITS_TOO_LONG {
                late.push(held_up.clone());
                told = true;
            }
            known.insert(key, Known { held_up, since, told });
        }
        over.extend(before.into_values().filter(|known| known.told).map(|known| known.held_up));
        (late, over)
    }

    /// The reported waits, in words.
    pub fn told(&self) -> Vec<String> {
        self.lock().values().filter(|known| known.told).map(|known| wait_in_words(&known.held_up)).collect()
    }

    /// How long the oldest has waited, for each reason; 0 when no command or message waits.
    pub fn longest(&self) -> BTreeMap<String, Duration> {
        let mut longest = BTreeMap::from([ON_NG, MQTT].map(|reason| (reason.to_owned(), Duration::ZERO)));
        for known in self.lock().values() {
            let longest = longest.entry(known.held_up.reason.clone()).or_default();
            *longest = known.since.elapsed().max(*longest);
        }
        longest
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.known.lock()
    }
}

/// `2 images of prod1 wait: not_writable: /srv/a.png: cannot write …`
pub fn wait_in_words(held_up: &HeldUp) -> String {
    let HeldUp { product, reason, count, what, .. } = held_up;
    let whose = product.as_ref().map_or(String::new(), |product| format!(" of {product}"));
    match reason.as_str() {
        MQTT => format!("{count} messages wait for the broker: mqtt: the oldest is for {what}"),
        ON_NG => format!("{count} defects{whose} wait to be acted on: on_ng: the oldest is {what}"),
        _ => format!("{count} images{whose} wait: {reason}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn held_up(reason: &str, oldest: i64) -> HeldUp {
        let (product, what) = (Some("p".to_owned()), "/a.png: why".to_owned());
        HeldUp { product, reason: reason.to_owned(), count: 2, oldest, what, since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_begin_and_the_end_are_told_once_each() {
        let waiting = Waits::default();
        let begin = Instant::now();
        let find = |seconds: u64, found: &[HeldUp]| {
            let (late, over) = waiting.find(found.to_vec(), begin + Duration::from_secs(seconds));
            (late.len(), over.len())
        };
        let image = held_up("not_writable", 1);
        assert_eq!([0, 59, 60, 65].map(|at| find(at, std::slice::from_ref(&image))), [(0, 0), (0, 0), (1, 0), (0, 0)]);
        assert_eq!(waiting.told(), ["2 images of p wait: not_writable: /a.png: why"]);
        assert_eq!(find(70, &[held_up("not_writable", 2)]), (0, 1), "the next one has not waited long");
        assert_eq!(find(100, &[held_up("not_writable", 3)]), (0, 0), "they get on");
        assert_eq!(find(200, &[held_up("not_writable", 3), held_up("bank_unusable", 9)]), (1, 0));
        assert_eq!(find(260, &[held_up("bank_unusable", 9)]), (1, 1));
        assert_eq!(find(265, &[]), (0, 1));
        assert!(waiting.told().is_empty() && waiting.longest().into_keys().eq([MQTT, ON_NG].map(str::to_owned)));
    }
}
