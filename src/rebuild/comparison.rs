//! What a new bank would change for recent images. One unusual file in the ok folder can raise the threshold so far that most defects pass.

use super::context::RebuildContext;
use crate::banks::{CompareJob, EngineJob, run_comparison};
use crate::codes::EventKind;
use crate::config::ProductConfig;
use crate::domain::{Comparison, error_text};
use crate::inspect::VerdictRules;
use crate::telemetry::Event;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A new bank judges up to so many recent defects again, and as many good parts …
const RECENT_IMAGES: u32 = 100;
/// … and stops after this time: the line waits for the new bank.
const COMPARE_WITHIN: Duration = Duration::from_secs(60);

/// What the finished bank would change for recent images, told to people before it is used; `None` when there is none to judge, or
/// `cut` came first.
pub(super) async fn compare(
    context: &RebuildContext,
    product: &ProductConfig,
    staging: &Path,
    cut: &CancellationToken,
) -> Option<Comparison> {
    let recent = context.banks.rows.recent_images(&product.name, RECENT_IMAGES).await;
    let recent =
        recent.inspect_err(|error| tracing::error!(%error, "recent images not listed")).ok().filter(|recent| !recent.is_empty())?;
    let job = CompareJob {
        bank_dir: staging.to_owned(),
        recent,
        rules: VerdictRules { mask: product.mask.clone(), decide_by: product.decide_by, sensitivity: product.sensitivity },
        seconds: COMPARE_WITHIN.as_secs(),
        engine: EngineJob::of_product(&context.config, product),
    };
    let compared = tokio::select! {
        compared = run_comparison(&product.name, job, &context.banks.telemetry.progress) => compared,
        () = cut.cancelled() => return None,
    };
    match compared {
        Ok(found) if found.images > 0 => {
            context.events().tell(Event::new(EventKind::BankCompared, found.to_string()).of_product(&product.name)).await;
            Some(found)
        }
        Ok(_) => None,
        Err(error) => {
            let error = error_text(&error);
            tracing::warn!(product = %product.name, error, "the new bank was not compared with recent decisions; it is used all the same");
            None
        }
    }
}
