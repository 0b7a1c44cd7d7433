//! What is wrong with the bank of a product: told once when it begins or becomes another trouble, and once when it is over.

use super::Line;
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::history::EventRow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BankTrouble {
    /// Its files are not those that were recorded; a bank in memory goes on judging.
    Changed,
    /// It cannot be loaded, or it cannot be told which one it is: images wait.
    Unusable,
}

impl BankTrouble {
    fn events(self) -> (EventKind, EventKind) {
        match self {
            Self::Changed => (EventKind::BankChanged, EventKind::BankChangedOver),
            Self::Unusable => (EventKind::BankUnusable, EventKind::BankUnusableOver),
        }
    }

    /// As the status line has it, behind the folder.
    fn predicate(self) -> &'static str {
        match self {
            Self::Changed => "has bank files that were changed",
            Self::Unusable => "has no bank that can be used",
        }
    }
}

/// The troubles there are, and what was said of each.
#[derive(Debug, Default)]
pub struct BankTroubles {
    told: Mutex<HashMap<(String, BankTrouble), String>>,
}

impl BankTroubles {
    /// True when this is news.
    fn begins(&self, product: &str, trouble: BankTrouble, reason: &str) -> bool {
        let before = self.lock().insert((product.to_owned(), trouble), reason.to_owned());
        before.is_none_or(|before| before != reason)
    }

    /// True when there was such a trouble.
    fn ends(&self, product: &str, trouble: BankTrouble) -> bool {
        self.lock().remove(&(product.to_owned(), trouble)).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, BankTrouble), String>> {
        // The map is whole at every moment, whoever panicked.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds of events that [`bank_trouble`] needs.
pub fn bank_event_kinds() -> Vec<&'static str> {
    [BankTrouble::Unusable, BankTrouble::Changed]
        .into_iter()
        .flat_map(|trouble| <[EventKind; 2]>::from(trouble.events()))
        .map(EventKind::as_str)
        .collect()
}

/// What is wrong with the bank of this product, if anything; that it cannot be used comes first. `events` are those of
/// [`bank_event_kinds`] since the line started, oldest first.
pub fn bank_trouble<'a>(product: &str, events: &'a [EventRow]) -> Option<&'a EventRow> {
    [BankTrouble::Unusable, BankTrouble::Changed].into_iter().find_map(|trouble| {
        let (begin, end) = trouble.events();
        let of_pair = |event: &&EventRow| event.kind == begin.as_str() || event.kind == end.as_str();
        let newest = events.iter().rev().filter(of_pair).find(|event| event.product.as_deref() == Some(product))?;
        (newest.kind == begin.as_str()).then_some(newest)
    })
}

/// The bank of `product` is in trouble for this reason.
pub(super) async fn tell(line: &Line, product: &ProductConfig, trouble: BankTrouble, reason: &str) {
    if line.bank_troubles.begins(&product.name, trouble, reason) {
        line.status.folder(&product.bank, trouble.predicate(), true);
        line.event(trouble.events().0, Some(&product.name), reason).await;
    }
}

/// The bank of `product` is not in this trouble.
pub(super) async fn over(line: &Line, product: &ProductConfig, trouble: BankTrouble) {
    if line.bank_troubles.ends(&product.name, trouble) {
        line.status.folder(&product.bank, trouble.predicate(), false);
        let detail = format!("{}: the bank is well again", product.bank.display());
        line.event(trouble.events().1, Some(&product.name), &detail).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_pair_counts_for_its_product() {
        let mut events = Vec::new();
        let mut after = |product: &str, kind: &str| {
            events.push(EventRow { at: events.len().to_string(), kind: kind.into(), product: Some(product.into()), detail: String::new() });
            bank_trouble("p", &events).map(|event| event.kind.clone()).unwrap_or_default()
        };
        assert_eq!(after("q", "bank_unusable"), "");
        assert_eq!(after("p", "bank_changed"), "bank_changed");
        assert_eq!(after("p", "bank_unusable"), "bank_unusable");
        assert_eq!(after("q", "bank_changed_over"), "bank_unusable");
        assert_eq!(after("p", "bank_unusable_over"), "bank_changed");
        assert_eq!(after("p", "bank_changed_over"), "");
    }

    #[test]
    fn each_trouble_is_news_once() {
        let troubles = BankTroubles::default();
        assert!(!troubles.ends("p", BankTrouble::Changed));
        assert!(troubles.begins("p", BankTrouble::Changed, "cut"));
        assert!(!troubles.begins("p", BankTrouble::Changed, "cut"));
        assert!(troubles.begins("p", BankTrouble::Changed, "gone"));
        assert!(troubles.begins("p", BankTrouble::Unusable, "gone") && troubles.begins("q", BankTrouble::Changed, "gone"));
        assert!(troubles.ends("p", BankTrouble::Changed) && !troubles.ends("p", BankTrouble::Changed));
        assert!(troubles.begins("p", BankTrouble::Changed, "cut"));
    }
}
