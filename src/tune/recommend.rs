//! Which settings are best, and whether that is more than chance.

use super::report::{Measured, TunedCandidate};
use crate::domain::duration::show;
use statrs::distribution::{Binomial, DiscreteCDF};
use std::time::Duration;

/// So many false alarms or more have to be this rare for a bank that keeps its promise; then they are clearly more than promised.
const RARE: f64 = 0.05;
/// A difference counts when it is larger than so many of its standard errors.
const STANDARD_ERRORS: f64 = 2.0;

impl Measured {
    /// The share of the planted defects that were found, 0 to 1; 0 without any.
    pub fn share(&self) -> f64 {
        f64::from(self.found) / f64::from(self.planted.max(1))
    }

    /// Whether the false alarms on held-out images are not clearly more than the bank promises. The promise is its 95 % bound; without
    /// one it is what `image_pct` asks for.
    pub fn keeps_promise(&self) -> bool {
        let rejected = self.promise.map_or(1.0 - self.image_pct, |promise| promise.bound / 1000.0);
        let Some(fewer) = self.false_alarms.checked_sub(1) else { return true };
        match Binomial::new(rejected.clamp(0.0, 1.0), u64::from(self.held_out)) {
            Ok(promised) => promised.sf(u64::from(fewer)) >= RARE,
            Err(_) => false,
        }
    }
}

/// Whether `new` finds more than `old`, place by place, by more than chance.
fn finds_more(new: &Measured, old: &Measured) -> bool {
    let differences: Vec<f64> = new.found_at.iter().zip(&old.found_at).map(|(new, old)| f64::from(*new) - f64::from(*old)).collect();
    let count = differences.len() as f64;
    if count < 2.0 {
        return false;
    }
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    mean > 0.0 && mean > STANDARD_ERRORS * (variance / count).sqrt()
}

/// Of two equal ones, the first.
fn best<'a>(candidates: impl Iterator<Item = (usize, &'a TunedCandidate)>) -> Option<(usize, &'a TunedCandidate)> {
    candidates.reduce(|best, next| if next.1.measured.share() > best.1.measured.share() { next } else { best })
}

impl TunedCandidate {
    /// Whether it can be recommended.
    pub fn is_eligible(&self) -> bool {
        self.within_budget && self.as_promised
    }

    fn found(&self) -> String {
        format!("{:.1} %", 100.0 * self.measured.share())
    }
}

/// The number of the settings to take, 0 = those in use, and the reason in one sentence.
pub(super) fn recommend(candidates: &[TunedCandidate], budget: Option<Duration>) -> (usize, String) {
    let Some(current) = candidates.first() else { return (0, "keep what you have: nothing was compared".to_owned()) };
    let eligible = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_eligible());
    let chosen = if current.is_eligible() {
        best(eligible().filter(|(_, candidate)| finds_more(&candidate.measured, &current.measured)))
    } else {
        best(eligible())
    };
    let (found, planted) = (current.found(), current.measured.planted);
    if let Some((number, candidate)) = chosen {
        let now = if current.is_eligible() {
            String::new()
        } else if current.within_budget {
            let Measured { false_alarms, held_out, .. } = current.measured;
            format!("; as configured, {false_alarms} of {held_out} good parts are rejected, clearly more than promised")
        } else {
            format!("; as configured, an image takes {:.0} ms, longer than the budget", current.measured.ms_per_image)
        };
        let with = candidate.found();
        return (number, format!("take `{}`: it finds {with} of {planted} planted defects instead of {found}{now}", candidate.settings));
    }
    let within = budget.map(|budget| format!(" within {}", show(budget))).unwrap_or_default();
    let why = match best(eligible()) {
        None if candidates.iter().all(|candidate| !candidate.within_budget) => format!("no settings are{within}"),
        None => format!("no settings{within} keep their promise about false alarms"),
        Some((0, _)) => format!("no other settings{within} find more"),
        Some((_, other)) => format!("`{}` finds {} instead of {found}, which can be chance", other.settings, other.found()),
    };
    (0, format!("keep what you have: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FalseAlarms;

    fn candidate(settings: &str, found_at: [u32; 4]) -> TunedCandidate {
        let measured =
            Measured { found: found_at.iter().sum(), planted: 40, found_at: found_at.to_vec(), held_out: 30, ..Measured::default() };
        TunedCandidate { settings: settings.to_owned(), yaml: String::new(), within_budget: true, as_promised: true, measured }
    }

    #[test]
    fn the_one_that_finds_most_is_taken() {
        let current = candidate("as configured", [4, 5, 4, 5]);
        let (better, best) = (candidate("stride: 1", [6, 7, 6, 7]), candidate("shorter: 768", [8, 9, 8, 9]));
        let (number, words) = recommend(&[current.clone(), better.clone(), best.clone()], None);
        assert_eq!((number, words.as_str()), (2, "take `shorter: 768`: it finds 85.0 % of 40 planted defects instead of 45.0 %"));
        let slow = TunedCandidate { within_budget: false, ..best.clone() };
        assert_eq!(recommend(&[current.clone(), better.clone(), slow], None).0, 1);
        let rejects = TunedCandidate { as_promised: false, ..best };
        assert_eq!(recommend(&[current, better, rejects], None).0, 1);
    }

    #[test]
    fn what_can_be_chance_is_not_taken() {
        let current = candidate("as configured", [4, 5, 4, 5]);
        // 2 more on average, with a standard error of 1.41.
        let lucky = candidate("stride: 1", [10, 5, 4, 7]);
        let (number, words) = recommend(&[current.clone(), lucky], None);
        assert_eq!((number, words.as_str()), (0, "keep what you have: `stride: 1` finds 65.0 % instead of 45.0 %, which can be chance"));
        let (same, worse) = (candidate("stride: 1", [4, 5, 4, 5]), candidate("score: guide", [1, 1, 1, 1]));
        let (number, words) = recommend(&[current, same, worse], Some(Duration::from_millis(100)));
        assert_eq!((number, words.as_str()), (0, "keep what you have: no other settings within 100ms find more"));
    }

    #[test]
    fn settings_in_use_that_are_too_slow_or_reject_too_much_are_replaced() {
        let mut current = candidate("as configured", [9, 9, 9, 9]);
        let fast = candidate("shorter: 384", [8, 8, 7, 8]);
        current.measured.ms_per_image = 180.4;
        let slow = TunedCandidate { within_budget: false, ..current.clone() };
        let (number, words) = recommend(&[slow.clone(), fast.clone()], Some(Duration::from_millis(100)));
        assert_eq!(number, 1);
        assert!(words.ends_with("instead of 90.0 %; as configured, an image takes 180 ms, longer than the budget"), "{words}");
        current.measured.false_alarms = 7;
        let (number, words) = recommend(&[TunedCandidate { as_promised: false, ..current }, fast], None);
        assert!(number == 1 && words.ends_with("; as configured, 7 of 30 good parts are rejected, clearly more than promised"), "{words}");
        let (number, words) = recommend(&[slow], Some(Duration::from_millis(100)));
        assert_eq!((number, words.as_str()), (0, "keep what you have: no settings are within 100ms"));
        let (number, words) = recommend(&[TunedCandidate { as_promised: false, ..candidate("as configured", [1, 1, 1, 1]) }], None);
        assert_eq!((number, words.as_str()), (0, "keep what you have: no settings keep their promise about false alarms"));
    }

    #[test]
    fn false_alarms_are_compared_with_the_promise() {
        let keeps = |false_alarms, promise, image_pct| {
            Measured { false_alarms, held_out: 30, promise, image_pct, ..Measured::default() }.keeps_promise()
        };
        let promise = Some(FalseAlarms { expected: 32.0, bound: 95.0 });
        // scipy.stats.binom.sf(5, 30, 0.095) is 0.060, sf(6, …) is 0.020.
        assert_eq!([0, 6, 7, 30].map(|count| keeps(count, promise, 0.98)), [true, true, false, false]);
        // scipy.stats.binom.sf(0, 30, 0.005) is 0.14, sf(1, …) is 0.010.
        assert_eq!([0, 1, 2].map(|count| keeps(count, None, 0.995)), [true, true, false]);
    }
}
