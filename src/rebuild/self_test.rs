//! The self-test of a new bank: which planted defects it finds. The bank is in use by then, so nothing waits for it.

use super::rebuilder::Rebuilder;
use super::run::look;
use crate::banks::{ActiveBank, EngineJob, SelfTestJob, run_self_test};
use crate::codes::EventKind;
use crate::domain::error_text;
use crate::inspect::VerdictRules;
use crate::telemetry::Event;

/// A bank of fewer OK images has no self-test: there are too few to plant defects into.
const LEAST_IMAGES: usize = 20;

impl Rebuilder<'_> {
    /// Tests the bank in use, if it has no result yet. A request of a person, a change of the ok folder and the stop end the test; it is
    /// begun again after the request, and at the next start.
    pub(super) async fn self_test(&mut self) {
        if !std::mem::take(&mut self.untested) {
            return;
        }
        let (context, product) = (self.context, self.product);
        let Some(bank) = context.banks.active.get(&product.name) else { return };
        let Ok(listing) = self.listing().list().await else { return };
        if listing.len() < LEAST_IMAGES {
            return;
        }
        let begun = listing.fingerprint(&product.build);
        let changed = async {
            loop {
                tokio::time::sleep(look(product)).await;
                if !self.listing().list().await.is_ok_and(|now| now.fingerprint(&product.build) == begun) {
                    return;
                }
            }
        };
        let test = async {
            let _turn = context.test_turn.acquire().await?;
            let job = SelfTestJob {
                bank_dir: bank.dir.clone(),
                ok_dir: product.ok.clone(),
                rules: VerdictRules { mask: product.mask.clone(), decide_by: product.decide_by, sensitivity: product.sensitivity },
                engine: EngineJob::of_product(&context.config, product),
            };
            run_self_test(&product.name, job, &context.banks.telemetry.progress).await
        };
        let found = tokio::select! {
            found = test => found,
            () = changed => return,
            () = self.asked.anything() => {
                self.untested = true;
                return;
            }
            () = self.stop.cancelled() => return,
        };
        match found {
            Ok(found) => self.tested(&bank, &found).await,
            Err(error) => {
                let error = error_text(&error);
                tracing::warn!(product = %product.name, error, "the self-test of the new bank failed; the bank is in use all the same");
            }
        }
    }

    /// Tells what the bank found.
    async fn tested(&self, bank: &ActiveBank, found: &[String]) {
        let detail = format!("version {}: {}", bank.version, found.join("; "));
        self.context.events().tell(Event::new(EventKind::BankSelfTested, detail).of_product(&self.product.name)).await;
        if let Err(error) = self.context.banks.rows.self_tested(bank.bank_id, &found.join("\n")).await {
            tracing::error!(%error, "the result of the self-test was not recorded");
        }
    }
}
