//! Writes the rows of arrivals, however long that takes.

use super::camera_health::CameraHealth;
use super::products::Products;
use crate::banks::ActiveBanks;
use crate::history::{Arrival, ArrivalState, Arrivals, Recorded};
use crate::platform::crash_point;
use crate::telemetry::{Counters, Pulse, Telemetry};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pause before another try to write the rows. Meanwhile the bounded channel holds up intake.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);

/// The context that recording arrivals needs.
#[derive(Clone)]
pub struct RecorderContext {
    /// The products, and which product a file belongs to.
    pub products: Arc<Products>,
    /// Where the rows go.
    pub arrivals: Arrivals,
    /// Says which products have a bank.
    pub banks: Arc<ActiveBanks>,
    /// The recent images of the cameras.
    pub cameras: Arc<CameraHealth>,
    /// Where events go.
    pub telemetry: Telemetry,
    /// Rung when there may be images to inspect.
    pub wake: Arc<Notify>,
}

/// Returns one answer per arrival; none when it was asked to stop first.
pub(super) async fn record(context: &RecorderContext, arrivals: &[Arrival], pulse: &Pulse, stop: &CancellationToken) -> Vec<Recorded> {
    loop {
        match context.arrivals.record_arrivals(arrivals).await {
            Ok(answers) => {
                tell(&context.telemetry.counters, arrivals, &answers);
                crash_point::reach("row_recorded");
                context.wake.notify_one();
                return answers;
            }
            Err(error) => tracing::error!(%error, files = arrivals.len(), "arrivals not recorded; intake pauses and tries again"),
        }
        // A full disk may take days; the watchdog checks separately whether the database hangs.
        pulse.step();
        tokio::select! {
            () = stop.cancelled() => return Vec::new(),
            () = tokio::time::sleep(HISTORY_PAUSE) => {}
        }
    }
}

/// Counts new images. Every image has a line in the log, even an image that is never tried.
fn tell(counters: &Counters, arrivals: &[Arrival], answers: &[Recorded]) {
    for (arrival, _) in arrivals.iter().zip(answers).filter(|(_, answer)| matches!(answer, Recorded::New(_))) {
        let product = arrival.product.as_deref();
        counters.arrived(product);
        if let ArrivalState::Failed { reason } = &arrival.state {
            counters.failed(product.unwrap_or_default(), reason.code);
            tracing::warn!(product, image = %arrival.path.display(), reason_code = reason.code.as_str(), reason = %reason.text, "failed");
        }
    }
}
