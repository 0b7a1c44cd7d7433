//! The trouble of a bank, derived from its events.

use crate::codes::EventKind;
use crate::domain::BankTrouble;
use crate::history::EventRow;

/// Worst first.
const TROUBLES: [BankTrouble; 2] = [BankTrouble::Unusable, BankTrouble::Changed];

/// The kinds of events that [`bank_trouble`] needs.
pub(super) fn bank_event_kinds() -> Vec<EventKind> {
    TROUBLES.into_iter().flat_map(|trouble| <[EventKind; 2]>::from(EventKind::of_bank_trouble(trouble))).collect()
}

/// The worst trouble of this product's bank, if any; "unusable" comes first. `events` are the events of [`bank_event_kinds`] since the line
/// started, oldest first.
pub(super) fn bank_trouble<'a>(product: &str, events: &'a [EventRow]) -> Option<&'a EventRow> {
    TROUBLES.into_iter().find_map(|trouble| {
        let (begin, end) = EventKind::of_bank_trouble(trouble);
        let of_pair = |event: &&EventRow| event.kind == begin.as_str() || event.kind == end.as_str();
        let newest = events.iter().rev().filter(of_pair).find(|event| event.product.as_deref() == Some(product))?;
        (newest.kind == begin.as_str()).then_some(newest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_pair_counts_for_its_product() {
        let mut events = Vec::new();
        let mut after = |product: &str, kind: &str| {
            let at = events.len().to_string();
            events.push(EventRow { at, kind: kind.into(), product: Some(product.into()), place: None, detail: String::new() });
            bank_trouble("p", &events).map(|event| event.kind.clone()).unwrap_or_default()
        };
        assert_eq!(after("q", "bank_unusable"), "");
        assert_eq!(after("p", "bank_changed"), "bank_changed");
        assert_eq!(after("p", "bank_unusable"), "bank_unusable");
        assert_eq!(after("q", "bank_changed_over"), "bank_unusable");
        assert_eq!(after("p", "bank_unusable_over"), "bank_changed");
        assert_eq!(after("p", "bank_changed_over"), "");
    }
}
