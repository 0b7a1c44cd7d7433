//! The troubles of the bank of a product: reported once when one begins or its reason changes, and once when it is over.

use super::{Event, Events, LineStatus};
use crate::codes::EventKind;
use crate::domain::{BankTrouble, Trouble};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The troubles of the banks, and the reported reason of each.
pub struct BankHealth {
    events: Events,
    status: Arc<LineStatus>,
    troubles: Troubles,
}

impl BankHealth {
    /// Starts without any trouble; reports go to `events` and `status`.
    pub fn new(events: Events, status: Arc<LineStatus>) -> Self {
        Self { events, status, troubles: Troubles::default() }
    }

    /// The bank of `product` in `folder` has this trouble for this reason.
    pub async fn begins(&self, product: &str, folder: &Path, trouble: BankTrouble, reason: &str) {
        if self.troubles.begins(product, trouble, reason) {
            self.status.trouble(folder.into(), Trouble::Bank(trouble), true);
            self.events.tell(Event::new(EventKind::of_bank_trouble(trouble).0, reason).of_product(product).at(folder)).await;
        }
    }

    /// The bank of `product` in `folder` does not have this trouble.
    pub async fn ends(&self, product: &str, folder: &Path, trouble: BankTrouble) {
        if self.troubles.ends(product, trouble) {
            self.status.trouble(folder.into(), Trouble::Bank(trouble), false);
            let detail = format!("{}: the bank is well again", folder.display());
            self.events.tell(Event::new(EventKind::of_bank_trouble(trouble).1, detail).of_product(product).at(folder)).await;
        }
    }
}

#[derive(Debug, Default)]
struct Troubles {
    told: Mutex<HashMap<(String, BankTrouble), String>>,
}

impl Troubles {
    /// True when this is news.
    fn begins(&self, product: &str, trouble: BankTrouble, reason: &str) -> bool {
        let before = self.told.lock().insert((product.to_owned(), trouble), reason.to_owned());
        before.is_none_or(|before| before != reason)
    }

    /// True when there was such a trouble.
    fn ends(&self, product: &str, trouble: BankTrouble) -> bool {
        self.told.lock().remove(&(product.to_owned(), trouble)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_news_once() {
        let troubles = Troubles::default();
        assert!(!troubles.ends("p", BankTrouble::Changed));
        assert!(troubles.begins("p", BankTrouble::Changed, "cut"));
        assert!(!troubles.begins("p", BankTrouble::Changed, "cut"));
        assert!(troubles.begins("p", BankTrouble::Changed, "gone"));
        assert!(troubles.begins("p", BankTrouble::Unusable, "gone") && troubles.begins("q", BankTrouble::Changed, "gone"));
        assert!(troubles.ends("p", BankTrouble::Changed) && !troubles.ends("p", BankTrouble::Changed));
        assert!(troubles.begins("p", BankTrouble::Changed, "cut"));
    }
}
