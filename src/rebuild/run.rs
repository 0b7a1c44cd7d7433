//! One task per product: serves the requests of people first, and otherwise looks at the ok folder.

use super::asked::{Asked, can_be_served};
use super::context::RebuildContext;
use super::rebuilder::Rebuilder;
use crate::banks::{Debounce, DebounceTimes, Origin};
use crate::config::ProductConfig;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The shortest and the longest time between two looks at the ok folder; in between it is a third of `quiet_period`.
const LOOK_SHORTEST: Duration = Duration::from_millis(300);
const LOOK_LONGEST: Duration = Duration::from_secs(10);

/// The time between two looks at the ok folder of a product.
pub fn look(product: &ProductConfig) -> Duration {
    (product.rebuild.quiet_period / 3).clamp(LOOK_SHORTEST, LOOK_LONGEST)
}

/// Runs the rebuilder of one product until `stop`.
pub async fn run(context: RebuildContext, product: ProductConfig, stop: CancellationToken) {
    let times = DebounceTimes { quiet_period: product.rebuild.quiet_period, max_wait: product.rebuild.max_wait };
    let look = look(&product);
    let asked = Asked::of(&context, &product.name);
    // What a daemon that was killed noted is over.
    context.note_work(&product.name, None).await;
    let origin = tokio::select! {
        origin = known_origin(&context, &product, &asked) => origin,
        () = stop.cancelled() => return,
    };
    // The pulse covers neither the folder, which is reported when it does not answer, nor the build, which has its own watch.
    let (pulse, _watch) = context.banks.telemetry.progress.worker(format!("rebuilder of {}", product.name));
    let mut rebuilder = Rebuilder {
        context: &context,
        product: &product,
        // A bank without a record of its images (made by hand) stays until the ok folder changes.
        origin_unknown: matches!(origin, Origin::Of(None)),
        debounce: Debounce::new(
            times,
            match origin {
                Origin::NoBank => None,
                Origin::Of(fingerprint) => fingerprint,
            },
        ),
        folder_was_lost: false,
        untested: is_untested(&context, &product).await,
        asked,
        stop: &stop,
    };
    while !stop.is_cancelled() {
        if let Some(request) = rebuilder.asked.next() {
            rebuilder.serve(request).await;
            continue;
        }
        rebuilder.look_at_ok().await;
        rebuilder.self_test().await;
        // The pause below may be long.
        let _work = pulse.begin();
        pulse.long_step();
        // Images that arrived while the bank was being published may have begun to wait too late to be released then.
        if context.banks.active.get(&product.name).is_some()
            && let Err(error) = context.banks.rows.release_waiting(&product.name).await
        {
            tracing::error!(%error, "history not written; waiting images are released later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = rebuilder.asked.anything() => {}
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// Whether the bank in use has no result of a self-test, as after a stop or a reload that ended the test.
async fn is_untested(context: &RebuildContext, product: &ProductConfig) -> bool {
    let Some(bank) = context.banks.active.get(&product.name) else { return false };
    context.banks.rows.is_untested(bank.bank_id).await.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot look up whether the bank was tested");
        false
    })
}

/// Waits until the daemon knows which bank the product uses. A request for another bank does not wait for that.
async fn known_origin(context: &RebuildContext, product: &ProductConfig, asked: &Asked) -> Origin {
    loop {
        if let Some(origin) = context.banks.origin(product).await {
            return origin;
        }
        if let Some(request) = asked.next()
            && can_be_served(&context.banks.rows, product, &request).await
        {
            return Origin::Of(None);
        }
        tokio::time::sleep(LOOK_SHORTEST).await;
    }
}
