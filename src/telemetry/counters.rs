//! The counters of the line. They begin at zero with the process and outlive every line, so that a reload does not reset them.

use crate::codes::{EventKind, Level, ReasonCode};
use crate::domain::Decision;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Seconds, from a small network on a GPU to a large one on an old processor, with the time that a backlog adds.
const LATENCY: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Seconds for one step of the way of an image.
const STAGE: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds of a build: from a few small images to a thousand large ones.
const REBUILD: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProduct {
    product: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    product: String,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    product: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rebuilt {
    product: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    level: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// How a rebuild ended without a new bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRebuilt {
    /// A guard refused it: too few images, or half of them gone.
    Refused,
    /// It failed.
    Failed,
    /// Its process was ended from outside, most often because memory ran out.
    Killed,
}

const BUILT: &str = "built";
const OUTCOMES: [&str; 4] = [BUILT, NotRebuilt::Refused.as_str(), NotRebuilt::Failed.as_str(), NotRebuilt::Killed.as_str()];

impl NotRebuilt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }
}

/// The counters. Counting takes about a microsecond and waits for nothing.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    arrived: Family<OfProduct, Counter>,
    decided: Family<Decided, Counter>,
    failed: Family<Failed, Counter>,
    stage: Family<Stage, Histogram>,
    latency: Family<OfProduct, Histogram>,
    rebuilt: Family<Rebuilt, Counter>,
    rebuild_time: Family<OfProduct, Histogram>,
    events: Family<OfKind, Counter>,
    reloads: Family<Outcome, Counter>,
}

impl Default for Counters {
    fn default() -> Self {
        let (arrived, decided, failed) = (Family::default(), Family::default(), Family::default());
        let (rebuilt, events, reloads) = (Family::default(), Family::default(), Family::default());
        let stage: Family<Stage, Histogram> = Family::new_with_constructor(|| Histogram::new(STAGE));
        let latency: Family<OfProduct, Histogram> = Family::new_with_constructor(|| Histogram::new(LATENCY));
        let rebuild_time: Family<OfProduct, Histogram> = Family::new_with_constructor(|| Histogram::new(REBUILD));

        let mut registry = Registry::with_prefix("patchcored");
        registry.register(
            "arrivals",
            "Images that were recorded for the first time; unrouted ones have no product",
            Family::clone(&arrived),
        );
        registry.register("inspections", "Images that were decided", Family::clone(&decided));
        registry.register("failures", "Images that were given up, by reason; unrouted ones have no product", Family::clone(&failed));
        let help = "Time of one step of the way of a decided image";
        registry.register_with_unit("stage_duration", help, Unit::Seconds, stage.clone());
        let help = "Time from seeing a file to its decision";
        registry.register_with_unit("inspection_latency", help, Unit::Seconds, latency.clone());
        registry.register("rebuilds", "Rebuilds of a bank that ended, by outcome", Family::clone(&rebuilt));
        let help = "Time of the builds that gave a bank";
        registry.register_with_unit("rebuild_duration", help, Unit::Seconds, rebuild_time.clone());
        registry.register("events", "What happened to the daemon, as in the table events", Family::clone(&events));
        registry.register("reloads", "Requests to read the configuration again, by outcome", Family::clone(&reloads));

        for outcome in [ACCEPTED, REFUSED] {
            drop(reloads.get_or_create(&outcome));
        }
        for stage_name in STAGES {
            drop(stage.get_or_create(&Stage { stage: stage_name }));
        }
        Self { registry, arrived, decided, failed, stage, latency, rebuilt, rebuild_time, events, reloads }
    }
}

const ACCEPTED: Outcome = Outcome { outcome: "accepted" };
const REFUSED: Outcome = Outcome { outcome: "refused" };
const STAGES: [&str; 3] = ["decode", "engine", "write"];

/// The reasons for which images fail and do not only wait.
fn failures() -> impl Iterator<Item = &'static str> {
    ReasonCode::ALL.iter().map(|reason| reason.entry()).filter(|entry| entry.level == Level::Error).map(|entry| entry.code)
}

impl Counters {
    /// All counters.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows the counters of these products from the start, at zero: there is no rate for a counter that first appears at one.
    pub fn show<'a>(&self, products: impl IntoIterator<Item = &'a str>) {
        for product in products {
            drop(self.arrived.get_or_create(&of_product(product)));
            for decision in [Decision::Ok, Decision::Ng] {
                drop(self.decided.get_or_create(&Decided { product: product.to_owned(), decision: decision.as_str() }));
            }
            for reason in failures() {
                drop(self.failed.get_or_create(&Failed { product: product.to_owned(), reason }));
            }
            drop(self.latency.get_or_create(&of_product(product)));
            for outcome in OUTCOMES {
                drop(self.rebuilt.get_or_create(&Rebuilt { product: product.to_owned(), outcome }));
            }
            drop(self.rebuild_time.get_or_create(&of_product(product)));
        }
    }

    /// An image was recorded for the first time; unrouted ones have no product.
    pub fn arrived(&self, product: Option<&str>) {
        self.arrived.get_or_create(&of_product(product.unwrap_or_default())).inc();
    }

    /// An image was decided, this long after it was seen. Reading and decoding, the engine, and writing took this many milliseconds.
    pub fn decided(&self, product: &str, decision: Decision, waited: Duration, stages_ms: [f64; 3]) {
        self.decided.get_or_create(&Decided { product: product.to_owned(), decision: decision.as_str() }).inc();
        for (stage, millis) in STAGES.into_iter().zip(stages_ms) {
            self.stage.get_or_create(&Stage { stage }).observe(millis / 1e3);
        }
        self.latency.get_or_create(&of_product(product)).observe(waited.as_secs_f64());
    }

    /// An image failed; `reason` is that of its row.
    pub fn failed(&self, product: &str, reason: ReasonCode) {
        self.failed.get_or_create(&Failed { product: product.to_owned(), reason: reason.as_str() }).inc();
    }

    /// A build gave a bank, which is in use.
    pub fn rebuilt(&self, product: &str, seconds: f64) {
        self.rebuilt.get_or_create(&Rebuilt { product: product.to_owned(), outcome: BUILT }).inc();
        self.rebuild_time.get_or_create(&of_product(product)).observe(seconds);
    }

    /// A rebuild gave no bank.
    pub fn not_rebuilt(&self, product: &str, outcome: NotRebuilt) {
        self.rebuilt.get_or_create(&Rebuilt { product: product.to_owned(), outcome: outcome.as_str() }).inc();
    }

    /// An event was recorded. Reloads are counted here, so that they cannot differ from their events.
    pub fn event(&self, kind: EventKind) {
        self.events.get_or_create(&OfKind { level: kind.level().as_str(), kind: kind.as_str() }).inc();
        match kind {
            EventKind::Reload => self.reloads.get_or_create(&ACCEPTED).inc(),
            EventKind::ReloadRefused => self.reloads.get_or_create(&REFUSED).inc(),
            _ => return,
        };
    }
}

fn of_product(product: &str) -> OfProduct {
    OfProduct { product: product.to_owned() }
}
