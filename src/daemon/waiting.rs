//! Tells of whatever waits too long for what does not come by itself: images, defects that are to be acted on, messages.
//!
//! One worker asks the history for the oldest of each product and reason, so that no cause can be forgotten. Its clock is the monotonic
//! one: the same image, defect or message has to be the oldest for a minute.

use super::Line;
use crate::codes::EventKind;
use crate::history::{HeldUp, MQTT, ON_NG};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the history is asked: a look into small indices.
const LOOK: Duration = Duration::from_secs(5);
/// What has waited for this long is told of.
pub const BOUND: Duration = Duration::from_secs(60);

/// A product and the reason for which something of it waits.
type Key = (Option<String>, String);

/// What waits now.
#[derive(Debug, Default)]
pub struct Waiting {
    known: Mutex<BTreeMap<Key, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    held_up: HeldUp,
    /// Since when its oldest has been seen to wait.
    since: Instant,
    /// It was told of.
    told: bool,
}

impl Waiting {
    /// Takes in what was found. Returns what is to be told of now, and what waits no longer.
    fn find(&self, found: Vec<HeldUp>, now: Instant) -> (Vec<HeldUp>, Vec<HeldUp>) {
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
            if !told && now.duration_since(since) >= BOUND {
                late.push(held_up.clone());
                told = true;
            }
            known.insert(key, Known { held_up, since, told });
        }
        over.extend(before.into_values().filter(|known| known.told).map(|known| known.held_up));
        (late, over)
    }

    /// What has waited too long, in words.
    pub fn told(&self) -> Vec<String> {
        self.lock().values().filter(|known| known.told).map(|known| words(&known.held_up)).collect()
    }

    /// How long the oldest has waited, for each reason; 0 for commands and messages that do not.
    pub fn longest(&self) -> BTreeMap<String, Duration> {
        let mut longest = BTreeMap::from([ON_NG, MQTT].map(|reason| (reason.to_owned(), Duration::ZERO)));
        for known in self.lock().values() {
            let longest = longest.entry(known.held_up.reason.clone()).or_default();
            *longest = known.since.elapsed().max(*longest);
        }
        longest
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        // Every change is whole by itself, whoever panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `2 images of prod1 wait: not_writable: /srv/a.png: cannot write …`
fn words(held_up: &HeldUp) -> String {
    let HeldUp { product, reason, count, what, .. } = held_up;
    let whose = product.as_ref().map_or(String::new(), |product| format!(" of {product}"));
    match reason.as_str() {
        MQTT => format!("{count} messages wait for the broker: mqtt: the oldest is for {what}"),
        ON_NG => format!("{count} defects{whose} wait to be acted on: on_ng: the oldest is {what}"),
        _ => format!("{count} images{whose} wait: {reason}: {what}"),
    }
}

/// Runs until it is aborted.
pub(super) async fn run(line: Arc<Line>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let found = match line.store.held_up().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "not known what waits; asked again");
                continue;
            }
        };
        let (late, over) = line.waiting.find(found, Instant::now());
        for held_up in late {
            line.event(EventKind::Waiting, held_up.product.as_deref(), &words(&held_up)).await;
        }
        for held_up in over {
            let HeldUp { product, reason, .. } = &held_up;
            let detail = format!("{reason}: what had waited longest goes on");
            line.event(EventKind::WaitingOver, product.as_deref(), &detail).await;
        }
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
        let waiting = Waiting::default();
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
