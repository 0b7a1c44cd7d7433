//! What lists of inspections are asked for, and what they count.

use serde::Serialize;

/// `arrived = done + failed + pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All rows.
    pub arrived: i64,
    /// Decided.
    pub done: i64,
    /// Given up.
    pub failed: i64,
    /// Still to inspect.
    pub pending: i64,
}

/// The counts of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProductCounts {
    /// Its product; `None` for unrouted images.
    pub product: Option<String>,
    /// Its rows.
    pub counts: Counts,
}

words! {
    /// The state of an inspection, as lists show it.
    InspectionResult {
        /// Decided: a good part.
        Ok = "ok",
        /// Decided: not good.
        Ng = "ng",
        /// Given up.
        Failed = "failed",
        /// Not inspected yet.
        Pending = "pending",
    }
}

/// A distance from `image_tau`; a score above it has a positive distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distance {
    /// In the unit of the scores.
    Score(f64),
    /// As a share of `image_tau`: 0.05 is 5 %.
    OfTau(f64),
}

impl Distance {
    /// The same distance on the other side of tau.
    pub fn opposite(self) -> Self {
        match self {
            Self::Score(value) => Self::Score(-value),
            Self::OfTau(share) => Self::OfTau(-share),
        }
    }
}
